package policy

import (
	"fmt"
	"strings"
)

// A glob matches names. "**" stands for any run of characters, everything else
// for itself; there is no other syntax and no escape. What "*" stands for goes by
// the kind of name: in a path, which a repository's is, a run without "/", in any
// other name the same as "**". In a path "{user}", "{group}" and "{claims.NAME}"
// stand for what [values] holds when it is matched.
type glob []token

type token struct {
	kind tokenKind
	text string // the literal, or the dotted path of a claim
	slot int    // of a claim: its place in values.claims
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

// values are what placeholders stand for during one match. Each is one path
// component, so that nothing a person can choose reaches over a "/".
type values struct {
	user, group string
	claims      []string
}

// nameKind says what a glob is over.
type nameKind bool

const (
	plainName nameKind = false // a user, group, provider, service or type
	pathName  nameKind = true  // a repository: components between slashes
)

// parseGlob reads a glob over names of a kind. The error says what would be
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

// parseMeta reads the wildcard or placeholder that rest begins with, and
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

// has reports whether a token of that kind is in the glob.
func (g glob) has(kind tokenKind) bool {
	for i := range g {
		if g[i].kind == kind {
			return true
		}
	}
	return false
}

// match reports whether the glob covers the whole of s. v may be nil for a glob
// without placeholders.
//
// It goes from left to right and comes back to the last "*" of the component,
// or else to the last "**", to let it take more. Neither earlier ones nor other
// ways need to be tried: what follows a wildcard is found at its first place,
// and a later place leaves no more room for the rest.
func (g glob) match(s string, v *values) bool {
	if last := &g[len(g)-1]; last.kind == literal && !strings.HasSuffix(s, last.text) {
		return false
	}
	within, across := -1, -1     // the last "*" and "**", as places in g
	withinEnd, acrossEnd := 0, 0 // up to where they reach
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

// extend lets the wildcard at i, which reaches up to end in s, take at least
// one character more, up to where the text after it is found. It returns -1
// where it cannot.
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
	// The wildcard may end where room does, and the text begins there.
	text := next.value(v)
	found := strings.Index(s[end+1:min(room+len(text), len(s))], text)
	if found < 0 {
		return -1
	}
	return end + 1 + found
}

// value returns the text that a token stands for.
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
