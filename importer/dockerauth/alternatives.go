package dockerauth

import (
	"regexp/syntax"
	"slices"
	"strings"
	"unicode"
)

// maxAlternatives bounds the globs that one expression becomes. A longer expression would
// often exceed what conditions allow.
const maxAlternatives = 200

// maxClass bounds the characters of a class that is written out.
const maxClass = 10

// element is one position of an expression that is to become a glob.
type element struct {
	kind elementKind
	r    rune // of a character
	fold bool // it matches in either case
}

type elementKind uint8

const (
	character  elementKind = iota
	component              // [^/]*
	component1             // [^/]+
	anything               // .*
	anything1              // .+
	within                 // a text without "/" that a glob cannot say
	unknown                // any other text that a glob cannot say
	beginning              // ^
	end                    // $
)

// expander writes expressions out, and classes of at most so many characters.
type expander struct{ class int }

// alternatives returns the sequences of elements that an expression matches; ok is
// false if they are too many.
func (x expander) alternatives(re *syntax.Regexp) (all [][]element, ok bool) {
	one := func(e ...element) ([][]element, bool) { return [][]element{e}, true }
	switch re.Op {
	case syntax.OpNoMatch:
		return nil, true
	case syntax.OpEmptyMatch:
		return one()
	case syntax.OpLiteral:
		var s []element
		for _, r := range re.Rune {
			s = append(s, element{kind: character, r: r, fold: re.Flags&syntax.FoldCase != 0 && unicode.SimpleFold(r) != r})
		}
		return one(s...)
	case syntax.OpBeginText, syntax.OpBeginLine:
		return one(element{kind: beginning})
	case syntax.OpEndText, syntax.OpEndLine:
		return one(element{kind: end})
	case syntax.OpCapture:
		return x.alternatives(re.Sub[0])
	case syntax.OpCharClass:
		return x.characters(re)
	case syntax.OpStar, syntax.OpPlus:
		return one(element{kind: runKind(re)})
	case syntax.OpQuest:
		all, ok = x.alternatives(re.Sub[0])
		return append(all, nil), ok && len(all) < maxAlternatives
	case syntax.OpAlternate:
		for _, sub := range re.Sub {
			more, ok := x.alternatives(sub)
			if all = append(all, more...); !ok || len(all) > maxAlternatives {
				return nil, false
			}
		}
		return all, true
	case syntax.OpConcat:
		return x.concatenations(re.Sub)
	}
	return one(element{kind: unknown}) // any one character, word boundaries
}

// concatenations returns every sequence of one alternative of each part.
func (x expander) concatenations(parts []*syntax.Regexp) (all [][]element, ok bool) {
	all = [][]element{nil}
	for _, part := range parts {
		more, ok := x.alternatives(part)
		if !ok || len(all)*len(more) > maxAlternatives {
			return nil, false
		}
		var next [][]element
		for _, head := range all {
			for _, tail := range more {
				next = append(next, slices.Concat(head, tail))
			}
		}
		all = next
	}
	return all, true
}

// runKind returns the element of a repetition.
func runKind(re *syntax.Regexp) elementKind {
	sub := re.Sub[0]
	for sub.Op == syntax.OpCapture {
		sub = sub.Sub[0]
	}
	any, slash := sub.Op == syntax.OpAnyChar || sub.Op == syntax.OpAnyCharNotNL, true
	if sub.Op == syntax.OpCharClass {
		any = !strings.ContainsFunc(nameRunes, func(r rune) bool { return r != '/' && !inClass(sub.Rune, r) })
		slash = inClass(sub.Rune, '/')
	}
	switch {
	case !any && !slash:
		return within
	case !any:
		return unknown
	case re.Op == syntax.OpStar && slash:
		return anything
	case re.Op == syntax.OpStar:
		return component
	case slash:
		return anything1
	}
	return component1
}

// nameRunes are the characters of which names of repositories consist.
const nameRunes = "abcdefghijklmnopqrstuvwxyz0123456789._-/:ABCDEFGHIJKLMNOPQRSTUVWXYZ"

// inClass reports whether a class, pairs of first and last character, has a character.
func inClass(pairs []rune, r rune) bool {
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i] <= r && r <= pairs[i+1] {
			return true
		}
	}
	return false
}

// characters writes a small class out.
func (x expander) characters(re *syntax.Regexp) ([][]element, bool) {
	var all [][]element
	for i := 0; i < len(re.Rune); i += 2 {
		for r := re.Rune[i]; r <= re.Rune[i+1]; r++ {
			if all = append(all, []element{{kind: character, r: r}}); len(all) > x.class {
				kind := unknown
				if !inClass(re.Rune, '/') {
					kind = within
				}
				return [][]element{{{kind: kind}}}, true
			}
		}
	}
	return all, true
}
