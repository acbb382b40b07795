package policy

import (
	"slices"

	"shorepass/internal/fold"
)

// entries are the entries of all users keys, or of all groups keys, of a
// policy: each different text once, with a number. Each is indexed as written
// and with its case folded, since a name is compared with the one or the other,
// as its provider compares names.
type entries struct {
	number          map[string]int32 // by the text as written
	written, folded entryIndex
}

// entryIndex finds the entries that match a name without trying all.
type entryIndex struct {
	exact   map[string][]int32 // entries without wildcards
	prefix  map[string][]entry // globs by their literal prefix, at most maxAffix bytes of it
	lengths []int              // those of the keys of prefix
	unkeyed []entry            // globs that begin with a wildcard
}

// entry is a glob with its number.
type entry struct {
	glob
	number int32
}

// add numbers the entries of one key.
func (e *entries) add(texts []string) ids {
	var all []int32
	for _, text := range texts {
		number, ok := e.number[text]
		if !ok {
			if e.number == nil {
				e.number = map[string]int32{}
			}
			number = int32(len(e.number))
			e.number[text] = number
			e.written.add(text, number)
			e.folded.add(fold.Name(text), number)
		}
		all = append(all, number)
	}
	return newIDs(all)
}

// exactly returns the number of the entry that is the name itself, as written.
func (e *entries) exactly(name string) []int32 { return slices.Clone(e.written.exact[name]) }

// matching returns the numbers of the entries that match a name. foldsCase says
// that its provider ignores case.
func (e *entries) matching(name string, foldsCase bool) []int32 {
	if foldsCase {
		return e.folded.matching(fold.Name(name))
	}
	return e.written.matching(name)
}

func (ix *entryIndex) add(text string, number int32) {
	if ix.exact == nil {
		ix.exact, ix.prefix = map[string][]int32{}, map[string][]entry{}
	}
	g, err := parseGlob(text, plainName)
	if err != nil {
		return // Compile has refused it
	}
	if name, plain := g.literal(); plain {
		ix.exact[name] = append(ix.exact[name], number)
		return
	}
	if g[0].kind != literal {
		ix.unkeyed = append(ix.unkeyed, entry{g, number})
		return
	}
	prefix := g[0].text[:min(len(g[0].text), maxAffix)]
	ix.prefix[prefix] = append(ix.prefix[prefix], entry{g, number})
	if !slices.Contains(ix.lengths, len(prefix)) {
		ix.lengths = append(ix.lengths, len(prefix))
	}
}

func (ix *entryIndex) matching(name string) []int32 {
	all := slices.Clone(ix.exact[name])
	for _, length := range ix.lengths {
		if len(name) < length {
			continue
		}
		for _, e := range ix.prefix[name[:length]] {
			if e.match(name, nil) {
				all = append(all, e.number)
			}
		}
	}
	for _, e := range ix.unkeyed {
		if e.match(name, nil) {
			all = append(all, e.number)
		}
	}
	return all
}

// ids is a sorted set of entry numbers. mask is a Bloom filter of 64 bits, one
// bit for each number: most sets without a common element differ there.
type ids struct {
	all  []int32
	mask uint64
}

// newIDs returns the set of some numbers. It takes the slice over.
func newIDs(all []int32) ids {
	slices.Sort(all)
	s := ids{all: slices.Compact(all)}
	for _, id := range s.all {
		s.mask |= 1 << (uint(id) % 64)
	}
	return s
}

// has reports whether a number is in the set.
func (s *ids) has(id int32) bool {
	if s.mask&(1<<(uint(id)%64)) == 0 {
		return false
	}
	_, found := slices.BinarySearch(s.all, id)
	return found
}

// intersects reports whether two sets have a common element.
func (s *ids) intersects(other *ids) bool {
	if s.mask&other.mask == 0 {
		return false
	}
	few, many := s.all, other.all
	if len(few) > len(many) {
		few, many = many, few
	}
	for _, id := range few {
		if _, found := slices.BinarySearch(many, id); found {
			return true
		}
	}
	return false
}
