package policy

import (
	"math"
	"slices"
	"strings"
)

// index finds the rules that may cover a resource, so that a decision costs in
// proportion to them and not to all rules.
//
// Each pattern of each rule is in one bucket: under a component that the
// requested name must have, under a prefix or suffix of one, or under the
// placeholder that one must equal. If several are possible, the pattern goes
// into the bucket with the fewest candidates. Patterns without any of these are
// in the bucket unkeyed, which every request tries.
//
// A large bucket is in turn indexed by the person.
type index struct {
	component map[string]*bucket
	prefix    affixes
	suffix    affixes
	user      bucket
	group     map[int32]*bucket // by number, under each entry of the rule's groups key
	claim     []bucket          // by slot
	unkeyed   bucket

	anyGroup bucket // the rules in group that count unsure groups, for a person who may be in any group
}

// affixes are buckets by a literal prefix (or suffix) of a component, at most
// maxAffix bytes of it.
type affixes struct {
	buckets map[string]*bucket
	lengths []int // those of the keys, sorted
}

const maxAffix = 32

// candidate is a rule and the patterns by which it may match: one of them in the
// index, all of them elsewhere.
type candidate struct {
	rule     *rule
	patterns []pattern
}

// countsUnsure reports whether unsure groups count in the evaluation of a rule: for
// a deny rule, and for one that some unless names.
func (r *rule) countsUnsure() bool { return r.deny || r.named }

// bucket holds candidates in the order of the file. A large one also indexes
// them by the person they cover.
type bucket struct {
	all      []candidate
	everyone []candidate
	anyGroup []candidate           // rules that name groups and count unsure ones, for a person who may be in any group
	byEntry  map[int32][]candidate // by number, under each entry of the rule's groups key, or of its users key if it has no groups
}

// largeBucket is the number of candidates above which a bucket is indexed by
// person.
const largeBucket = 16

// bucketKey names a bucket that can hold a pattern.
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

// newIndex returns the index of rules. claims is the number of claims that
// their placeholders name.
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
	ix.indexLargeBuckets()
	return ix
}

// bucketKeys returns the buckets that can hold a pattern.
func (p *pattern) bucketKeys() []bucketKey {
	var all []bucketKey
	for _, part := range components(p.text) {
		g, err := parseGlob(part, pathName)
		if err != nil {
			continue // an empty component: no name has one
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

// slotOf returns the slot of a claim in the pattern.
func (p *pattern) slotOf(path string) int {
	i := slices.IndexFunc(p.glob, func(t token) bool { return t.kind == claimValue && t.text == path })
	return p.glob[i].slot
}

// components splits a pattern or a name at its slashes.
func components(text string) []string { return strings.Split(text, "/") }

// add adds a candidate with one pattern to the bucket with the fewest
// candidates.
func (ix *index) add(c candidate, counts map[bucketKey]int) {
	bestKey, fewest := bucketKey{}, math.MaxInt
	for _, at := range c.patterns[0].bucketKeys() {
		n := counts[at]
		switch at.kind {
		case byGroup, byUser, byClaim:
			n /= largeBucket // a component rarely equals the person's own name
		case unkeyed:
			n = math.MaxInt - 1
		}
		if n < fewest {
			bestKey, fewest = at, n
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
		if c.rule.countsUnsure() {
			ix.anyGroup.all = append(ix.anyGroup.all, c)
		}
	case byUser:
		ix.user.all = append(ix.user.all, c)
	case byClaim:
		ix.claim[bestKey.slot].all = append(ix.claim[bestKey.slot].all, c)
	case unkeyed:
		ix.unkeyed.all = append(ix.unkeyed.all, c)
	}
}

// appendTo appends a candidate to the bucket under key, and makes the bucket if
// there is none.
func appendTo[K comparable](m map[K]*bucket, key K, c candidate) {
	b := m[key]
	if b == nil {
		b = &bucket{}
		m[key] = b
	}
	b.all = append(b.all, c)
}

// indexLargeBuckets indexes the large buckets by person.
func (ix *index) indexLargeBuckets() {
	ix.prefix.collectLengths()
	ix.suffix.collectLengths()
	for _, m := range []map[string]*bucket{ix.component, ix.prefix.buckets, ix.suffix.buckets} {
		for _, b := range m {
			b.indexByEntry()
		}
	}
	for _, b := range ix.group {
		b.indexByEntry()
	}
	for _, b := range []*bucket{&ix.user, &ix.unkeyed, &ix.anyGroup} {
		b.indexByEntry()
	}
	for i := range ix.claim {
		ix.claim[i].indexByEntry()
	}
}

// collectLengths collects the lengths of the keys.
func (a *affixes) collectLengths() {
	for text := range a.buckets {
		if !slices.Contains(a.lengths, len(text)) {
			a.lengths = append(a.lengths, len(text))
		}
	}
	slices.Sort(a.lengths)
}

// indexByEntry indexes a large bucket by the entries of groups and users.
func (b *bucket) indexByEntry() {
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
		if c.rule.countsUnsure() && c.rule.namesGroups {
			b.anyGroup = append(b.anyGroup, c)
		}
		for _, id := range entries {
			b.byEntry[id] = append(b.byEntry[id], c)
		}
	}
}
