package dockerauth

import (
	"strings"

	"shorepass/internal/fold"
)

// meets reports whether two rules may cover the same request.
func (r *aclRule) meets(other *aclRule) bool {
	people := r.anonymous && other.anonymous || r.loggedIn && other.loggedIn
	a, b := r.entry.network, other.entry.network
	return people && meet(r.types(), other.types(), plainName) && (!a.IsValid() || !b.IsValid() || a.Overlaps(b)) &&
		(r.Users == nil || other.Users == nil || meet(r.Users, other.Users, plainName)) &&
		(r.Services == nil || other.Services == nil || meet(r.Services, other.Services, plainName)) &&
		r.shapeMeets(other)
}

// shapeMeets reports whether two rules may cover the same name.
func (r *aclRule) shapeMeets(other *aclRule) bool {
	for _, a := range r.globs() {
		for _, b := range other.globs() {
			if a.meets(b) {
				return true
			}
		}
	}
	return false
}

// globs returns the globs of a rule's shape, from a cache.
func (r *aclRule) globs() []pathGlob {
	if r.parsed == nil {
		for _, g := range r.shape {
			r.parsed = append(r.parsed, parsePathGlob(g))
		}
	}
	return r.parsed
}

// pathGlob is a glob of paths: its positions, and those of each of its components if no
// wildcard crosses "/".
type pathGlob struct {
	all        []symbol
	components [][]symbol
}

func parsePathGlob(glob string) pathGlob {
	parsed := pathGlob{all: symbols(glob, pathName)}
	if !strings.Contains(glob, "**") {
		for part := range strings.SplitSeq(glob, "/") {
			parsed.components = append(parsed.components, symbols(part, pathName))
		}
	}
	return parsed
}

// meets reports whether some name matches both globs.
func (a pathGlob) meets(b pathGlob) bool {
	if a.components == nil || b.components == nil {
		return globsMeet(a.all, b.all)
	}
	if len(a.components) != len(b.components) {
		return false
	}
	for i, component := range a.components {
		if !globsMeet(component, b.components[i]) {
			return false
		}
	}
	return true
}

// meet reports whether a name may match a glob of either list.
func meet(as, bs []string, kind nameKind) bool {
	for _, a := range as {
		for _, b := range bs {
			if a == b || globsMeet(symbols(a, kind), symbols(b, kind)) {
				return true
			}
		}
	}
	return false
}

// symbol is one position of a glob: a character or a wildcard.
type symbol rune

const (
	anyRun       symbol = -1 // any text
	anyComponent symbol = -2 // any text without "/"
)

// symbols returns the positions of a glob. A placeholder is any text without "/".
func symbols(glob string, kind nameKind) []symbol {
	if kind == plainName {
		glob = fold.Name(glob)
	}
	var all []symbol
	for rest := glob; rest != ""; {
		end := strings.IndexByte(rest, '}')
		switch {
		case strings.HasPrefix(rest, "**"), rest[0] == '*' && kind == plainName:
			all, rest = append(all, anyRun), strings.TrimLeft(rest, "*")
		case rest[0] == '*':
			all, rest = append(all, anyComponent), rest[1:]
		case rest[0] == '{' && end > 0 && kind == pathName:
			all, rest = append(all, anyComponent), rest[end+1:]
		default:
			all, rest = append(all, symbol(rest[0])), rest[1:]
		}
	}
	return all
}

// globsMeet reports whether some text matches both globs. It is dynamic programming
// between their common prefix and their common suffix.
func globsMeet(a, b []symbol) bool {
	for len(a) > 0 && len(b) > 0 && a[len(a)-1] >= 0 && b[len(b)-1] >= 0 {
		if a[len(a)-1] != b[len(b)-1] {
			return false
		}
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	for len(a) > 0 && len(b) > 0 && a[0] >= 0 && b[0] >= 0 {
		if a[0] != b[0] {
			return false
		}
		a, b = a[1:], b[1:]
	}
	takes := func(wildcard, s symbol) bool {
		return wildcard == anyRun || wildcard == anyComponent && s != '/'
	}
	// reached[j] says that some text matches the first i of a and the first j of b.
	reached := make([]bool, len(b)+1)
	for i := 0; i <= len(a); i++ {
		diagonal := false
		for j := 0; j <= len(b); j++ {
			above := reached[j]
			left := j > 0 && reached[j-1]
			reached[j] = i == 0 && j == 0 ||
				i > 0 && above && (a[i-1] < 0 || j > 0 && takes(b[j-1], a[i-1])) ||
				left && (b[j-1] < 0 || i > 0 && takes(a[i-1], b[j-1])) ||
				i > 0 && j > 0 && diagonal && a[i-1] == b[j-1]
			diagonal = above
		}
	}
	return reached[len(b)]
}

// plainGlobMatches reports whether a glob of ours, of users or groups, matches a name
// where case is ignored.
func plainGlobMatches(glob []symbol, name string) bool {
	return globsMeet(glob, symbols(strings.ReplaceAll(name, "*", "\x00"), plainName))
}
