package dockerauth

import "strings"

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
		p, ok := e.Match.Labels[c.label]
		if !ok || !t.implies(parsePattern(p, nil).withoutLabels(), c.pattern) {
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
	case len(wider.pieces) > 1 || len(p.pieces) > 1 || strings.Contains(wider.text+p.text, "${"):
		return false
	}
	x, ok := wider.fill(noValue)
	if !ok {
		return false
	}
	if x.source == ".*" {
		return true
	}
	narrow, ok := p.fill(noValue)
	if !ok {
		return false
	}
	globs, exact := narrow.globs(plainName)
	if !exact || len(globs) == 0 {
		return false
	}
	for _, g := range globs {
		if isGlob(g) || !t.matches(x, g) {
			return false
		}
	}
	return !strings.Contains(narrow.source, "(?")
}
