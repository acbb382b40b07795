package policy

import (
	"math"
	"slices"
	"strings"
)

// index finds the rules that may cover a resource, so that the cost of a
// decision grows with them and not with all rules.
//
// Each pattern of each rule stands in one place: under a literal component
// that the asked name must have, under its literal beginning, or under a
// placeholder that a component of the asked name must be. Of these it takes the
// one with the least company. What has none of them stands with the wide ones.
//
// Each place is a bucket, which finds those that cover the person in turn.
type index struct {
	component map[string]*bucket
	beginning map[string]*bucket // at most maxBeginning bytes
	lengths   []int              // of the keys of beginning
	user      bucket
	group     map[int32]*bucket // by the number of each entry of the rule's groups key
	claim     []bucket          // by slot
	wide      bucket

	// Deny rules match whatever is asked when a placeholder of theirs cannot be
	// filled, so they are found by that too.
	denyUser  bucket
	denyGroup map[int32]*bucket
	denyClaim []bucket
}

const maxBeginning = 32

// candidate is a rule that may match by one of its patterns.
type candidate struct {
	rule    *rule
	pattern *pattern
}

// bucket holds candidates in the order of the file; a large one also by whom
// they cover.
type bucket struct {
	all      []candidate
	everyone []candidate
	byPerson map[int32][]candidate // by the number of each entry of the rule's groups key, or else of its users key
}

const largeBucket = 16

// place is where a pattern may stand.
type place struct {
	kind placeKind
	text string
	slot int
}

type placeKind uint8

const (
	atComponent placeKind = iota
	atGroup
	atUser
	atClaim
	atBeginning
	atWide
)

func newIndex(rules []*rule, claims int) index {
	ix := index{
		component: map[string]*bucket{}, beginning: map[string]*bucket{},
		group: map[int32]*bucket{}, denyGroup: map[int32]*bucket{},
		claim: make([]bucket, claims), denyClaim: make([]bucket, claims),
	}
	company := map[place]int{}
	for _, r := range rules {
		for i := range r.patterns {
			for _, at := range r.patterns[i].places() {
				company[at]++
			}
		}
	}
	for _, r := range rules {
		for i := range r.patterns {
			ix.add(candidate{r, &r.patterns[i]}, company)
		}
		if r.deny {
			ix.addDeny(candidate{r, &r.patterns[0]})
		}
	}
	ix.sort()
	return ix
}

// places returns where a pattern can be found.
func (p *pattern) places() []place {
	var all []place
	for _, part := range components(p.text) {
		switch g, err := parseGlob(part, true); {
		case err != nil || len(g) != 1:
		case g[0].kind == literal:
			all = append(all, place{kind: atComponent, text: part})
		case g[0].kind == groupName:
			all = append(all, place{kind: atGroup})
		case g[0].kind == userName:
			all = append(all, place{kind: atUser})
		}
	}
	for _, t := range p.glob {
		if t.kind == claimValue && slices.Contains(components(p.text), "{claims."+t.text+"}") {
			all = append(all, place{kind: atClaim, slot: t.slot})
		}
	}
	if p.glob[0].kind == literal {
		all = append(all, place{kind: atBeginning, text: p.glob[0].text[:min(len(p.glob[0].text), maxBeginning)]})
	}
	return append(all, place{kind: atWide})
}

// components splits a pattern or a name at its slashes.
func components(text string) []string { return strings.Split(text, "/") }

func (ix *index) add(c candidate, company map[place]int) {
	best, least := place{}, math.MaxInt
	for _, at := range c.pattern.places() {
		n := company[at]
		switch at.kind {
		case atGroup, atUser, atClaim:
			n /= largeBucket // a component is seldom the person's own name
		case atWide:
			n = math.MaxInt - 1
		}
		if n < least {
			best, least = at, n
		}
	}
	switch best.kind {
	case atComponent:
		push(ix.component, best.text, c)
	case atBeginning:
		push(ix.beginning, best.text, c)
	case atGroup:
		for _, id := range c.rule.groups.all {
			push(ix.group, id, c)
		}
	case atUser:
		ix.user.all = append(ix.user.all, c)
	case atClaim:
		ix.claim[best.slot].all = append(ix.claim[best.slot].all, c)
	case atWide:
		ix.wide.all = append(ix.wide.all, c)
	}
}

func (ix *index) addDeny(c candidate) {
	if c.rule.needsUser {
		ix.denyUser.all = append(ix.denyUser.all, c)
	}
	if c.rule.needsGroup {
		for _, id := range c.rule.groups.all {
			push(ix.denyGroup, id, c)
		}
	}
	for _, slot := range c.rule.needsClaims {
		ix.denyClaim[slot].all = append(ix.denyClaim[slot].all, c)
	}
}

func push[K comparable](m map[K]*bucket, key K, c candidate) {
	b := m[key]
	if b == nil {
		b = &bucket{}
		m[key] = b
	}
	b.all = append(b.all, c)
}

// sort files the candidates of large buckets by person, and notes which
// beginnings there are.
func (ix *index) sort() {
	for _, m := range []map[string]*bucket{ix.component, ix.beginning} {
		for _, b := range m {
			b.sort()
		}
	}
	for _, m := range []map[int32]*bucket{ix.group, ix.denyGroup} {
		for _, b := range m {
			b.sort()
		}
	}
	for _, b := range []*bucket{&ix.user, &ix.wide, &ix.denyUser} {
		b.sort()
	}
	for i := range ix.claim {
		ix.claim[i].sort()
		ix.denyClaim[i].sort()
	}
	for text := range ix.beginning {
		if !slices.Contains(ix.lengths, len(text)) {
			ix.lengths = append(ix.lengths, len(text))
		}
	}
	slices.Sort(ix.lengths)
}

func (b *bucket) sort() {
	if len(b.all) <= largeBucket {
		return
	}
	b.byPerson = map[int32][]candidate{}
	for _, c := range b.all {
		entries := c.rule.groups.all
		if c.rule.Groups == nil {
			entries = c.rule.users.all
		}
		if c.rule.Groups == nil && c.rule.Users == nil {
			b.everyone = append(b.everyone, c)
		}
		for _, id := range entries {
			b.byPerson[id] = append(b.byPerson[id], c)
		}
	}
}
