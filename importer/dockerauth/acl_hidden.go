package dockerauth

import "slices"

// hiddenBy returns an earlier entry that matches every request that an entry matches, if
// that can be told.
func (t *aclTranslation) hiddenBy(e *aclEntry) *aclEntry {
	for i := range t.entries[:e.number-1] {
		if earlier := &t.entries[i]; t.hides(earlier, e) {
			return earlier
		}
	}
	return nil
}

// hides reports whether each condition of an earlier entry follows from one of a later
// one.
func (t *aclTranslation) hides(earlier, e *aclEntry) bool {
	if len(earlier.captures) > 0 || earlier.Match.IP != nil && (e.Match.IP == nil || !e.network.IsValid() || !hasNetwork(earlier, e)) {
		return false
	}
	return t.implies(e.name, earlier.name) && t.implies(e.account, earlier.account) &&
		t.implies(e.service, earlier.service) && t.implies(e.kind, earlier.kind) && t.impliesLabels(e, earlier)
}

// hasNetwork reports whether the network of an earlier entry has that of a later one.
func hasNetwork(earlier, e *aclEntry) bool {
	return earlier.network.IsValid() && earlier.network.Bits() <= e.network.Bits() && earlier.network.Contains(e.network.Addr())
}

func (t *aclTranslation) impliesLabels(e, earlier *aclEntry) bool {
	for _, c := range earlier.labels {
		i := slices.IndexFunc(e.labels, func(own labelCondition) bool { return own.label == c.label })
		if i < 0 || !t.implies(e.labels[i].pattern, c.pattern) {
			return false
		}
	}
	return true
}

// implies reports whether a text that matches the first pattern matches the second too.
func (t *aclTranslation) implies(p, wider *pattern) bool {
	switch {
	case wider == nil:
		return true
	case p == nil:
		return false
	case p.text == wider.text:
		return true
	}
	narrow, wide := p.fixed(), wider.fixed()
	if narrow == nil || wide == nil || !narrow.valid || !wide.valid {
		return false
	}
	if wide.source == ".*" {
		return true
	}
	for _, text := range narrow.literals {
		if !t.constantMatches(wide, text) {
			return false
		}
	}
	return narrow.literals != nil
}
