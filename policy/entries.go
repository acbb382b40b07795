package policy

import (
	"slices"

	"shorepass/internal/fold"
)

// entries are the entries of all users keys, or of all groups keys, of a policy,
// each different text once and with a number. Each is kept as written and with
// its case folded, and a name is compared with the one or the other as its
// provider compares names.
type entries struct {
	number          map[string]int32 // by the text as written
	written, folded entryIndex
}

// entryIndex finds the entries that match a name without trying all.
type entryIndex struct {
	exact   map[string][]int32 // entries without wildcards
	prefix  map[string][]entry // globs by their literal beginning, at most maxAffix bytes
	lengths []int              // of the keys of beginning
	unkeyed []entry            // globs that begin with a wildcard
}

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

// matching returns the numbers of the entries that match a name, whose provider
// tells upper from lower case or does not.
func (e *entries) matching(name string, foldsCase bool) []int32 {
	if foldsCase {
		return e.folded.matching(fold.Name(name))
	}
	return e.written.matching(name)
}

func (f *entryIndex) add(text string, number int32) {
	if f.exact == nil {
		f.exact, f.prefix = map[string][]int32{}, map[string][]entry{}
	}
	g, err := parseGlob(text, plainName)
	if err != nil {
		return // Compile has refused what cannot be parsed
	}
	if name, plain := g.literal(); plain {
		f.exact[name] = append(f.exact[name], number)
		return
	}
	if g[0].kind != literal {
		f.unkeyed = append(f.unkeyed, entry{g, number})
		return
	}
	begin := g[0].text[:min(len(g[0].text), maxAffix)]
	f.prefix[begin] = append(f.prefix[begin], entry{g, number})
	if !slices.Contains(f.lengths, len(begin)) {
		f.lengths = append(f.lengths, len(begin))
	}
}

func (f *entryIndex) matching(name string) []int32 {
	all := slices.Clone(f.exact[name])
	for _, length := range f.lengths {
		if len(name) < length {
			continue
		}
		for _, e := range f.prefix[name[:length]] {
			if e.match(name, nil) {
				all = append(all, e.number)
			}
		}
	}
	for _, e := range f.unkeyed {
		if e.match(name, nil) {
			all = append(all, e.number)
		}
	}
	return all
}

// ids is a set of entries' numbers, sorted. mask has a bit for each of them,
// which several share: most sets that have nothing in common differ there.
type ids struct {
	all  []int32
	mask uint64
}

// newIDs takes the slice over.
func newIDs(all []int32) ids {
	slices.Sort(all)
	s := ids{all: slices.Compact(all)}
	for _, id := range s.all {
		s.mask |= 1 << (uint(id) % 64)
	}
	return s
}

// intersects reports whether two sets have an element in common.
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
