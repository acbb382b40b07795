package dockerauth

import (
	"slices"
	"strings"
)

// shapeIndex finds rules that may cover the same name: by its first component.
type shapeIndex struct {
	first map[string][]int // rules by the literal first component of their shape
	wild  []int            // rules whose first component has a wildcard
	all   []int
	rules []*aclRule
}

func newShapeIndex(rules []*aclRule) *shapeIndex {
	ix := &shapeIndex{first: map[string][]int{}, rules: rules}
	for i, r := range rules {
		ix.all = append(ix.all, i)
		components, wild := firstComponents(r.shape)
		for _, c := range components {
			ix.first[c] = append(ix.first[c], i)
		}
		if wild {
			ix.wild = append(ix.wild, i)
		}
	}
	return ix
}

// firstComponents returns the different literal first components of globs, and whether
// that of some glob is not literal.
func firstComponents(globs []string) (literal []string, wild bool) {
	for _, g := range globs {
		first, _, _ := strings.Cut(g, "/")
		if strings.ContainsAny(first, "*{") {
			wild = true
		} else if !slices.Contains(literal, first) {
			literal = append(literal, first)
		}
	}
	return literal, wild
}

// earlier returns the rules before rule i that may cover the same names.
func (ix *shapeIndex) earlier(i int) []int {
	all := ix.near(i)
	n, _ := slices.BinarySearch(all, i)
	return all[:n]
}

// later returns the rules after rule i that may cover the same names.
func (ix *shapeIndex) later(i int) []int {
	all := ix.near(i)
	n, _ := slices.BinarySearch(all, i+1)
	return all[n:]
}

// near returns the rules that may cover the same names as rule i, in order.
func (ix *shapeIndex) near(i int) []int {
	components, wild := firstComponents(ix.rules[i].shape)
	if wild {
		return ix.all
	}
	all := slices.Clone(ix.wild)
	for _, c := range components {
		all = append(all, ix.first[c]...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}
