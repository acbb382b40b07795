package providers

import (
	"slices"
	"strings"
)

// glob matches names: "*" stands for any text, "?" for any one character,
// everything else for itself. Login names and groups are not paths, so nothing
// stops a "*", as in the users and groups of a rule (policy/glob.go). There is no
// way to escape the two: no name holds them.
type glob []rune

// globs are alternatives: one that matches is enough. None at all match
// everything.
type globs []glob

func compileGlobs(texts []string) globs {
	all := make(globs, 0, len(texts))
	for _, text := range texts {
		all = append(all, glob(text))
	}
	return all
}

// compileLoginGlobs compiles globs over the key of a login name, so that "CORP\*"
// matches "corp\bob".
func compileLoginGlobs(texts []string) globs {
	all := make(globs, 0, len(texts))
	for _, text := range texts {
		all = append(all, glob(Login(text).Key()))
	}
	return all
}

// match reports whether one of the globs matches, or none is set.
func (all globs) match(name string) bool {
	return len(all) == 0 || slices.ContainsFunc(all, func(g glob) bool { return g.match(name) })
}

// covers reports whether every name that other matches is matched here too, as
// far as can be seen by reading the globs themselves as names. A glob that
// matches the text of another matches all that the other does.
func (all globs) covers(other globs) bool {
	if len(all) == 0 {
		return true
	}
	if len(other) == 0 {
		return slices.ContainsFunc(all, func(g glob) bool { return strings.Trim(string(g), "*") == "" && len(g) > 0 })
	}
	// A "*" of the other is read as a text that no "?" can stand for.
	any := strings.Repeat("\uE000", 64)
	return !slices.ContainsFunc(other, func(o glob) bool { return !all.match(strings.ReplaceAll(string(o), "*", any)) })
}

// match takes time proportional to the product of both lengths at worst: after
// a mismatch only the last "*" has to be tried further on.
func (g glob) match(name string) bool {
	text := []rune(name)
	p, t := 0, 0
	star, resume := -1, 0
	for t < len(text) {
		switch {
		case p < len(g) && g[p] == '*':
			star, resume = p, t
			p++
		case p < len(g) && (g[p] == '?' || g[p] == text[t]):
			p++
			t++
		case star >= 0:
			resume++
			p, t = star+1, resume
		default:
			return false
		}
	}
	for p < len(g) && g[p] == '*' {
		p++
	}
	return p == len(g)
}
