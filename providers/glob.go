package providers

import (
	"slices"
	"strings"
)

// glob is a pattern of names: "*" matches any text, "?" any one character, everything else
// itself. Login names and groups are not paths, so that "*" matches "/" too, as in the
// users and groups of a rule (policy/glob.go). The two cannot be escaped: no name holds
// them.
type glob []rune

// globs are alternatives: one that matches is enough. An empty list matches everything.
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

// match reports whether one of the globs matches, or there is none.
func (all globs) match(name string) bool {
	return len(all) == 0 || slices.ContainsFunc(all, func(g glob) bool { return g.match(name) })
}

// covers reports whether all match every name that other matches. It is conservative: it
// matches the globs of other as if they were names, since a glob that matches the text of
// another one matches every name that this one does.
func (all globs) covers(other globs) bool {
	if len(all) == 0 {
		return true
	}
	if len(other) == 0 {
		return slices.ContainsFunc(all, func(g glob) bool { return strings.Trim(string(g), "*") == "" && len(g) > 0 })
	}
	// A "*" of the other becomes a text that no "?" matches.
	any := strings.Repeat("\uE000", 64)
	return !slices.ContainsFunc(other, func(o glob) bool { return !all.match(strings.ReplaceAll(string(o), "*", any)) })
}

// match backtracks to the last "*" alone, so that its time is at worst proportional to the
// product of both lengths.
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
