package policy

import (
	"slices"
	"strings"
)

// maxSteps bounds the steps that all matches of lists in one decision take, of some tens
// of nanoseconds each. Only a name that is made for it takes more than some thousand.
const maxSteps = 1_000_000

const tooManySteps = "repositories: the values of the placeholders have too many combinations"

// needsList reports whether a pattern has the placeholder of a claim with several
// values.
func (d *decider) needsList(p *pattern) bool {
	for i := range p.glob {
		if t := &p.glob[i]; t.kind == claimValue && len(d.fillClaim(t.slot).values) > 1 {
			return true
		}
	}
	return false
}

// coversWithLists is [decider.covers] for a pattern whose placeholders have several
// values.
func (d *decider) coversWithLists(r *rule, p *pattern, groups *membership) bool {
	if d.steps > maxSteps {
		d.exhausted = true
		return false
	}
	m := newSetMatcher(p.glob, d.scope.Name, d.steps, func(t *token) []string {
		switch t.kind {
		case userName:
			return []string{d.identity.userText}
		case groupName:
			return d.groupTexts(groups, r, p)
		}
		return d.fillClaim(t.slot).values
	})
	covers := m.matches()
	d.steps = m.steps
	d.exhausted = d.exhausted || !covers && d.steps > maxSteps
	return covers
}

// groupTexts returns the values of {group} in a pattern of a rule that occur in the
// requested name, sorted.
func (d *decider) groupTexts(m *membership, r *rule, p *pattern) []string {
	var all []string
	add := func(groups []group) {
		for i := range groups {
			if g := &groups[i]; g.entries.intersects(&r.groups) {
				all = append(all, g.text)
			}
		}
	}
	if !p.wholeGroup {
		add(d.occurring(m))
		return slices.Compact(all)
	}
	for part := range strings.SplitSeq(d.scope.Name, "/") {
		add(m.withText(part))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// setMatcher matches a glob whose placeholders have a set of values each. It is
// backtracking with memoization: no position of the glob is tried twice at one position
// of the name, so the combinations of values are not enumerated. A placeholder that
// occurs more than once has the same value everywhere; of its values those are tried
// that occur so often in the name.
type setMatcher struct {
	glob  glob
	name  string
	texts []string   // by token: the literal, or the only value
	sets  [][]string // by token: the values, sorted, if there is not just one; else nil
	tried []bool     // by token and position in the name
	steps int        // taken so far, by earlier matchers too
}

// newSetMatcher returns a matcher. steps are those taken so far; values returns the
// values of a placeholder, sorted.
func newSetMatcher(g glob, name string, steps int, values func(*token) []string) *setMatcher {
	m := &setMatcher{glob: g, name: name, steps: steps, texts: make([]string, len(g)), sets: make([][]string, len(g))}
	m.tried = make([]bool, len(g)*(len(name)+1))
	for i := range g {
		switch t := &g[i]; t.kind {
		case literal:
			m.texts[i] = t.text
		case userName, groupName, claimValue:
			switch set := values(t); len(set) {
			case 0:
				m.sets[i] = []string{}
			case 1:
				m.texts[i] = set[0]
			default:
				m.sets[i] = set
			}
		}
	}
	return m
}

// matches reports whether the glob matches the whole name with some values.
func (m *setMatcher) matches() bool {
	for i, set := range m.sets {
		if same := m.occurrences(i); len(same) > 1 {
			return m.matchesWithOneOf(set, same)
		}
	}
	clear(m.tried)
	return m.matchFrom(0, 0)
}

// matchesWithOneOf is matches for a placeholder that occurs at several tokens.
func (m *setMatcher) matchesWithOneOf(set []string, same []int) bool {
	defer func() {
		for _, i := range same {
			m.sets[i] = set
		}
	}()
	for _, i := range same {
		m.sets[i] = nil
	}
	for _, text := range set {
		if m.steps++; m.steps > maxSteps {
			return false
		}
		if strings.Count(m.name, text) < len(same) {
			continue
		}
		for _, i := range same {
			m.texts[i] = text
		}
		if m.matches() {
			return true
		}
	}
	return false
}

// occurrences returns the tokens that are the same placeholder as token i, if it has
// several values.
func (m *setMatcher) occurrences(i int) []int {
	var all []int
	for j := range m.glob {
		if m.sets[i] != nil && m.glob[j] == m.glob[i] {
			all = append(all, j)
		}
	}
	return all
}

// matchFrom reports whether the glob from token i matches the name from at.
func (m *setMatcher) matchFrom(i, at int) bool {
	if i == len(m.glob) {
		return at == len(m.name)
	}
	tried := &m.tried[i*(len(m.name)+1)+at]
	if m.steps++; *tried || m.steps > maxSteps {
		return false
	}
	*tried = true
	switch kind := m.glob[i].kind; {
	case kind == star || kind == doubleStar:
		more := at < len(m.name) && (kind == doubleStar || m.name[at] != '/')
		return m.matchFrom(i+1, at) || more && m.matchFrom(i, at+1)
	case m.sets[i] == nil:
		return strings.HasPrefix(m.name[at:], m.texts[i]) && m.matchFrom(i+1, at+len(m.texts[i]))
	}
	for end := at + 1; end <= len(m.name) && m.name[end-1] != '/'; end++ {
		m.steps++
		if _, found := slices.BinarySearch(m.sets[i], m.name[at:end]); found && m.matchFrom(i+1, end) {
			return true
		}
	}
	return false
}
