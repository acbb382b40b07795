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

// nameKind is the kind of name that a glob is for.
type nameKind bool

const (
	plainName nameKind = false // of a person, a group or a service: "*" matches any run
	pathName  nameKind = true  // of a repository: "*" matches a run without "/", "**" any run
)

// globs returns the globs that match the names that an expression matches, with a
// hole as its character. exact is false if they match other names too.
func (e expression) globs(kind nameKind) (globs []string, exact bool) {
	parsed, err := syntax.Parse(e.source, syntax.Perl)
	if err != nil {
		return nil, true
	}
	parsed = parsed.Simplify()
	if globs, exact = globsOf(parsed, kind, maxClass); !exact {
		globs, exact = globsOf(parsed, kind, 1) // a condition says the rest
	}
	return globs, exact
}

// globsOf is [expression.globs] with classes of at most so many characters written out.
func globsOf(re *syntax.Regexp, kind nameKind, class int) (globs []string, exact bool) {
	sequences, ok := expander{class}.alternatives(re)
	if !ok {
		return []string{"**"}, false
	}
	exact = true
	for _, s := range sequences {
		glob, same, possible := globOf(s, kind)
		if !possible {
			continue
		}
		exact = exact && same
		if !slices.Contains(globs, glob) {
			globs = append(globs, glob)
		}
	}
	return globs, exact
}

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

// globOf returns the glob of a sequence. exact is false if it matches more names;
// possible is false if no name matches the sequence.
func globOf(s []element, kind nameKind) (glob string, exact, possible bool) {
	inner := unanchored(s)
	exact = true
	var b strings.Builder
	run := "" // the wildcard before the next character
	for i, e := range inner {
		if e.kind == beginning || e.kind == end {
			return "**", false, true // such an anchor matches beside empty runs only
		}
		if e.kind == character && (kind == pathName || !strings.ContainsRune("*{}", e.r)) {
			r, same, ok := globRune(inner, i, kind)
			if !ok {
				return "", true, false
			}
			exact = exact && same
			b.WriteString(run)
			b.WriteRune(r)
			run = ""
			continue
		}
		same, wildcard := runGlob(inner, i, kind)
		exact = exact && same
		if run == "" || wildcard == "**" {
			run = wildcard
		}
	}
	glob = b.String() + run
	return glob, exact, glob != ""
}

// unanchored returns a sequence without the anchors at its ends, and with any text
// where there is none.
func unanchored(s []element) []element {
	first, last := 0, len(s)
	for first < last && s[first].kind == beginning {
		first++
	}
	for last > first && s[last-1].kind == end {
		last--
	}
	inner := slices.Clone(s[first:last])
	if first == 0 {
		inner = slices.Insert(inner, 0, element{kind: anything})
	}
	if last == len(s) {
		inner = append(inner, element{kind: anything})
	}
	return inner
}

// globRune returns the character of a glob at i. ok is false if no name has it.
func globRune(s []element, i int, kind nameKind) (r rune, exact, ok bool) {
	e := s[i]
	r = e.r
	if e.fold {
		r = unicode.ToLower(r)
	}
	if kind == pathName {
		return r, !e.fold || lowerOnly(s, i), r >= firstHole || strings.ContainsRune(nameRunes, r)
	}
	return r, true, true
}

// runGlob returns the wildcard for the run at i.
func runGlob(s []element, i int, kind nameKind) (exact bool, wildcard string) {
	switch s[i].kind {
	case anything:
		return true, "**"
	case anything1:
		return kind == pathName && (wholeComponent(s, i) || onlyRuns(s)), "**"
	case component:
		return kind == pathName, "*"
	case component1:
		return kind == pathName && wholeComponent(s, i), "*"
	case within:
		return false, "*"
	}
	return false, "**" // also a character that a glob cannot have
}

// onlyRuns reports whether a sequence is nothing but one run of at least one character
// within runs of any text: it matches every name, since none is empty.
func onlyRuns(s []element) bool {
	count := 0
	for _, e := range s {
		if e.kind != anything && e.kind != anything1 {
			return false
		}
		if e.kind == anything1 {
			count++
		}
	}
	return count == 1
}

// wholeComponent reports whether the run at i stands between slashes or the ends of
// the name: there it is never empty in a name of a repository.
func wholeComponent(s []element, i int) bool {
	slash := func(i int) bool {
		return i < 0 || i == len(s) || s[i].kind == character && s[i].r == '/'
	}
	return slash(i-1) && slash(i+1)
}

// lowerOnly reports whether the letter at i is lower case in every name of a
// repository: only the host before the first slash may have upper case, and a name
// without a slash has no host.
func lowerOnly(s []element, i int) bool {
	single := true
	for j, e := range s {
		if e.kind == character && e.r == '/' {
			if j < i {
				return true
			}
			single = false
		}
		single = single && e.kind == character
	}
	return single
}
