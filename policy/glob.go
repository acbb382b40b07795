package policy

import (
	"fmt"
	"strings"
)

// A glob matches names. "**" matches any run of characters, and everything else
// matches itself; there is no other syntax and no escape. What "*" matches
// depends on the kind of name: in a path, as the name of a repository is, a run
// without "/"; in any other name the same as "**". In a path "{user}",
// "{group}" and "{claims.NAME}" match the value that [values] has for them.
type glob []token

type token struct {
	kind tokenKind
	text string // the literal, or the dotted path of a claim
	slot int    // of a claim: its index in values.claims
}

type tokenKind uint8

const (
	literal    tokenKind = iota
	star                 // "*"
	doubleStar           // "**"
	userName             // "{user}"
	groupName            // "{group}"
	claimValue           // "{claims.NAME}"
)

// values are the values of placeholders in one match. Each is one path
// component, so that nothing a person can choose reaches over a "/".
type values struct {
	user, group string
	claims      []string
}

// nameKind is the kind of name that a glob is for.
type nameKind bool

const (
	plainName nameKind = false // of a user, group, provider, service or type
	pathName  nameKind = true  // of a repository: components between slashes
)

// parseGlob parses a glob for names of a kind. The error says what would be
// right.
func parseGlob(text string, kind nameKind) (glob, error) {
	var g glob
	if text == "" {
		return nil, fmt.Errorf("is empty; write a name, or a glob with * and **")
	}
	for rest := text; rest != ""; {
		end := strings.IndexAny(rest, "*{}")
		if end < 0 {
			end = len(rest)
		}
		if end > 0 {
			g, rest = append(g, token{kind: literal, text: rest[:end]}), rest[end:]
			continue
		}
		t, n, err := parseMeta(rest, kind)
		if err != nil {
			return nil, err
		}
		g, rest = append(g, t), rest[n:]
	}
	return g, nil
}

// parseMeta parses the wildcard or placeholder that rest begins with, and
// returns its length too.
func parseMeta(rest string, kind nameKind) (token, int, error) {
	if rest[0] == '*' {
		switch n := len(rest) - len(strings.TrimLeft(rest, "*")); {
		case n > 2 && kind == plainName:
			return token{}, 0, fmt.Errorf(`has %d asterisks in a row; write "*" for any run`, n)
		case n > 2:
			return token{}, 0, fmt.Errorf(`has %d asterisks in a row; write "*" for a run without "/", "**" for any run`, n)
		case n == 2 || kind == plainName:
			return token{kind: doubleStar}, n, nil
		}
		return token{kind: star}, 1, nil
	}
	end := strings.IndexByte(rest, '}')
	if rest[0] == '}' || end < 0 {
		return token{}, 0, fmt.Errorf(`has a brace without its partner; placeholders are {user}, {group} and {claims.NAME}`)
	}
	if kind == plainName {
		return token{}, 0, fmt.Errorf("has the placeholder %s; placeholders are for repositories only", rest[:end+1])
	}
	name := rest[1:end]
	switch path, isClaim := strings.CutPrefix(name, "claims."); {
	case name == "user":
		return token{kind: userName}, end + 1, nil
	case name == "group":
		return token{kind: groupName}, end + 1, nil
	case isClaim && isClaimPath(path):
		return token{kind: claimValue, text: path}, end + 1, nil
	}
	return token{}, 0, fmt.Errorf("has the unknown placeholder {%s}; there are {user}, {group} and {claims.NAME}", name)
}

func isClaimPath(path string) bool {
	for part := range strings.SplitSeq(path, ".") {
		if part == "" || strings.ContainsAny(part, "*{/ ") {
			return false
		}
	}
	return true
}

// literal returns the text of a glob without wildcards and placeholders.
func (g glob) literal() (string, bool) {
	if len(g) == 1 && g[0].kind == literal {
		return g[0].text, true
	}
	return "", false
}

// has reports whether the glob has a token of that kind.
func (g glob) has(kind tokenKind) bool {
	for i := range g {
		if g[i].kind == kind {
			return true
		}
	}
	return false
}

// match reports whether the glob matches the whole of s. v may be nil for a
// glob without placeholders.
//
// It goes from left to right and backtracks to the last "*" of the component,
// or else to the last "**", to let it take more. No other backtracking is
// needed: the text after a wildcard is searched from the left, and a later
// occurrence leaves no more room for the rest.
func (g glob) match(s string, v *values) bool {
	if last := &g[len(g)-1]; last.kind == literal && !strings.HasSuffix(s, last.text) {
		return false
	}
	within, across := -1, -1     // the last "*" and "**", as indexes in g
	withinEnd, acrossEnd := 0, 0 // the ends of what they take
	for i, at := 0, 0; ; {
		switch {
		case i == len(g):
			if at == len(s) {
				return true
			}
		case g[i].kind == star:
			within, withinEnd, i = i, at, i+1
			continue
		case g[i].kind == doubleStar:
			if i == len(g)-1 {
				return true
			}
			across, acrossEnd, within, i = i, at, -1, i+1
			continue
		default:
			if text := g[i].value(v); strings.HasPrefix(s[at:], text) {
				i, at = i+1, at+len(text)
				continue
			}
		}
		if within >= 0 {
			if withinEnd = g.extend(within, s, withinEnd, v); withinEnd >= 0 {
				i, at = within+1, withinEnd
				continue
			}
			within = -1
		}
		if across < 0 {
			return false
		}
		if acrossEnd = g.extend(across, s, acrossEnd, v); acrossEnd < 0 {
			return false
		}
		i, at = across+1, acrossEnd
	}
}

// extend lets the wildcard at i, which takes s up to end, take at least one
// character more, up to the next occurrence of the text after it. It returns
// the new end, or -1 if there is none.
func (g glob) extend(i int, s string, end int, v *values) int {
	room := len(s)
	if g[i].kind == star {
		if slash := strings.IndexByte(s[end:], '/'); slash >= 0 {
			room = end + slash
		}
	}
	if end >= room {
		return -1
	}
	if i == len(g)-1 {
		return room
	}
	next := &g[i+1]
	if next.kind == star || next.kind == doubleStar {
		return end + 1
	}
	// The wildcard may take all of its room; the text then begins there.
	text := next.value(v)
	found := strings.Index(s[end+1:min(room+len(text), len(s))], text)
	if found < 0 {
		return -1
	}
	return end + 1 + found
}

// value returns the text that a token matches.
func (t *token) value(v *values) string {
	switch t.kind {
	case userName:
		return v.user
	case groupName:
		return v.group
	case claimValue:
		return v.claims[t.slot]
	}
	return t.text
}
