package dockerauth

import (
	"slices"
	"strings"
)

// hiddenBy returns an earlier entry that matches every request that an entry matches, if
// that can be told. It compares the entry with those whose names have the same first
// component, or one with a wildcard.
func (t *aclTranslation) hiddenBy(e *aclEntry) *aclEntry {
	first := e.firstComponent()
	lists := [][]*aclEntry{t.byComponent[""]}
	if first != "" {
		lists = append(lists, t.byComponent[first])
	}
	t.byComponent[first] = append(t.byComponent[first], e)
	for _, list := range lists {
		for _, earlier := range list {
			if t.hides(earlier, e) {
				return earlier
			}
		}
	}
	return nil
}

// firstComponent returns the first component of an entry's name, or "" if it is not
// literal.
func (e *aclEntry) firstComponent() string {
	if e.name == nil || e.name.regexp {
		return ""
	}
	first, _, _ := strings.Cut(e.name.text, "/")
	if strings.ContainsAny(first, `*?[\$`) {
		return ""
	}
	return first
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
