package dockerauth

import (
	"regexp/syntax"
	"slices"
	"strings"
	"unicode"
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
