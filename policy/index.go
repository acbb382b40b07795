package policy

import (
	"math"
	"slices"
	"strings"
)

// index finds the rules that may cover a resource, so that the cost of a
// decision grows with them and not with all rules.
//
// Each pattern of each rule is filed in one place: under a component that the
// asked name must have, under the beginning or end of one, or under the
// placeholder that one must be. Of these it takes the one with the least
// company. What has none of them is filed with the wide ones.
//
// Each place is a bucket, which finds those that cover the person in turn.
type index struct {
	component map[string]*bucket
	prefix    affixes
	suffix    affixes
	user      bucket
	group     map[int32]*bucket // by the number of each entry of the rule's groups key
	claim     []bucket          // by slot
	unkeyed   bucket

	denyGroup bucket // the deny rules of group, for a person who may be in any group
}

// affixes are buckets by the literal text that a component begins or ends with,
// at most maxAffix bytes of it.
type affixes struct {
	buckets map[string]*bucket
	lengths []int // of the keys
}

const maxAffix = 32

// candidate is a rule that may match by some of its patterns: in the index by
// one of them.
type candidate struct {
	rule     *rule
	patterns []pattern
}

// bucket holds candidates in the order of the file; a large one also by whom
// they cover.
type bucket struct {
	all        []candidate
	everyone   []candidate
	denyGroups []candidate           // deny rules that name groups, for a person who may be in any
	byEntry    map[int32][]candidate // by the number of each entry of the rule's groups key, or else of its users key
}

const largeBucket = 16

// bucketKey is where a pattern may be filed.
type bucketKey struct {
	kind bucketKind
	text string
	slot int
}

type bucketKind uint8

const (
	byComponent bucketKind = iota
	byGroup
	byUser
	byClaim
	byPrefix
	bySuffix
	unkeyed
)

func newIndex(rules []*rule, claims int) index {
	ix := index{
		component: map[string]*bucket{},
		prefix:    affixes{buckets: map[string]*bucket{}}, suffix: affixes{buckets: map[string]*bucket{}},
		group: map[int32]*bucket{}, claim: make([]bucket, claims),
	}
	counts := map[bucketKey]int{}
	for _, r := range rules {
		for i := range r.patterns {
			for _, at := range r.patterns[i].bucketKeys() {
				counts[at]++
			}
		}
	}
	for _, r := range rules {
		for i := range r.patterns {
			ix.add(candidate{r, r.patterns[i : i+1]}, counts)
		}
	}
	ix.sortBuckets()
	return ix
}

// bucketKeys returns where a pattern can be found.
func (p *pattern) bucketKeys() []bucketKey {
	var all []bucketKey
	for _, part := range components(p.text) {
		g, err := parseGlob(part, pathName)
		if err != nil {
			continue // an empty component, which no name has
		}
		switch first, last := g[0], g[len(g)-1]; {
		case len(g) > 1 && first.kind == literal:
			all = append(all, bucketKey{kind: byPrefix, text: first.text[:min(len(first.text), maxAffix)]})
		case len(g) > 1 && last.kind == literal:
			all = append(all, bucketKey{kind: bySuffix, text: last.text[max(0, len(last.text)-maxAffix):]})
		case len(g) > 1:
		case first.kind == literal:
			all = append(all, bucketKey{kind: byComponent, text: part})
		case first.kind == groupName:
			all = append(all, bucketKey{kind: byGroup})
		case first.kind == userName:
			all = append(all, bucketKey{kind: byUser})
		case first.kind == claimValue:
			all = append(all, bucketKey{kind: byClaim, slot: p.slotOf(first.text)})
		}
	}
	return append(all, bucketKey{kind: unkeyed})
}

// slotOf returns the slot of a claim that the pattern has.
func (p *pattern) slotOf(path string) int {
	i := slices.IndexFunc(p.glob, func(t token) bool { return t.kind == claimValue && t.text == path })
	return p.glob[i].slot
}

// components splits a pattern or a name at its slashes.
func components(text string) []string { return strings.Split(text, "/") }

func (ix *index) add(c candidate, counts map[bucketKey]int) {
	bestKey, least := bucketKey{}, math.MaxInt
	for _, at := range c.patterns[0].bucketKeys() {
		n := counts[at]
		switch at.kind {
		case byGroup, byUser, byClaim:
			n /= largeBucket // a component is seldom the person's own name
		case unkeyed:
			n = math.MaxInt - 1
		}
		if n < least {
			bestKey, least = at, n
		}
	}
	switch bestKey.kind {
	case byComponent:
		appendTo(ix.component, bestKey.text, c)
	case byPrefix:
		appendTo(ix.prefix.buckets, bestKey.text, c)
	case bySuffix:
		appendTo(ix.suffix.buckets, bestKey.text, c)
	case byGroup:
		for _, id := range c.rule.groups.all {
			appendTo(ix.group, id, c)
		}
		if c.rule.deny {
			ix.denyGroup.all = append(ix.denyGroup.all, c)
		}
	case byUser:
		ix.user.all = append(ix.user.all, c)
	case byClaim:
		ix.claim[bestKey.slot].all = append(ix.claim[bestKey.slot].all, c)
	case unkeyed:
		ix.unkeyed.all = append(ix.unkeyed.all, c)
	}
}

func appendTo[K comparable](m map[K]*bucket, key K, c candidate) {
	b := m[key]
	if b == nil {
		b = &bucket{}
		m[key] = b
	}
	b.all = append(b.all, c)
}

// sortBuckets files the candidates of large buckets by person.
func (ix *index) sortBuckets() {
	ix.prefix.sortLengths()
	ix.suffix.sortLengths()
	for _, m := range []map[string]*bucket{ix.component, ix.prefix.buckets, ix.suffix.buckets} {
		for _, b := range m {
			b.byEntries()
		}
	}
	for _, b := range ix.group {
		b.byEntries()
	}
	for _, b := range []*bucket{&ix.user, &ix.unkeyed, &ix.denyGroup} {
		b.byEntries()
	}
	for i := range ix.claim {
		ix.claim[i].byEntries()
	}
}

func (a *affixes) sortLengths() {
	for text := range a.buckets {
		if !slices.Contains(a.lengths, len(text)) {
			a.lengths = append(a.lengths, len(text))
		}
	}
	slices.Sort(a.lengths)
}

func (b *bucket) byEntries() {
	if len(b.all) <= largeBucket {
		return
	}
	b.byEntry = map[int32][]candidate{}
	for _, c := range b.all {
		entries := c.rule.groups.all
		if c.rule.Groups == nil {
			entries = c.rule.users.all
		}
		if c.rule.Groups == nil && c.rule.Users == nil {
			b.everyone = append(b.everyone, c)
		}
		if c.rule.deny && c.rule.namesGroups {
			b.denyGroups = append(b.denyGroups, c)
		}
		for _, id := range entries {
			b.byEntry[id] = append(b.byEntry[id], c)
		}
	}
}
