package registry

import (
	"errors"
	"slices"
	"strings"
)

// Scope is a parsed resource scope of the distribution token specification: a
// resource and the actions that are requested on it.
type Scope struct {
	Type    string   // "repository", "registry"
	Class   string   // "plugin" in "repository(plugin)"; mostly empty
	Name    string   // "team-a/app", "catalog", "host:5000/app"; empty for zot's catalog
	Actions []string // "pull", "push", "delete", "*"; in the order requested, without repetition; nil for none
}

// Access is an access entry of a token: the actions that it grants on one
// resource.
type Access struct {
	Type    string   `json:"type"`
	Class   string   `json:"class,omitempty"`
	Name    string   `json:"name"`
	Actions []string `json:"actions"`
}

// ErrTooManyScopes says that a request has more than MaxScopes scopes or more
// than MaxScopeBytes bytes of them. The client gets 400.
var ErrTooManyScopes = errors.New("too many scopes")

// Bounds of the scopes of one request.
const (
	MaxScopes     = 256
	MaxScopeBytes = 64 << 10
)

// MaxName bounds a resource name in bytes: registries accept no longer one
// (github.com/distribution/reference, NameTotalLengthMax).
const MaxName = 255

// Bounds of one scope. They bound the work for it, which MaxScopeBytes alone would
// not.
const (
	maxWordBytes = 64 // bytes of a type, a class or an action
	maxActions   = 16 // actions on one resource; further ones are ignored
)

// String prints the scope as in a request. [ParseScopes] reads it back the
// same.
func (s Scope) String() string {
	var b strings.Builder
	size := len(s.Type) + len(s.Class) + len(s.Name) + 4
	for _, a := range s.Actions {
		size += len(a) + 1
	}
	b.Grow(size)
	b.WriteString(s.Type)
	if s.Class != "" {
		b.WriteByte('(')
		b.WriteString(s.Class)
		b.WriteByte(')')
	}
	b.WriteByte(':')
	b.WriteString(s.Name)
	b.WriteByte(':')
	for i, a := range s.Actions {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(a)
	}
	return b.String()
}

// ParseScopes parses the scope parameters of one request: each may have several
// scopes joined by spaces. Scopes of one resource are merged, in the order of
// their first mention. A scope that does not follow the grammar is left out: it
// grants nothing and is no error. The error is ErrTooManyScopes, with nil
// scopes.
//
//	resourcescope := resourcetype ":" resourcename ":" action [ ',' action ]*
//	resourcetype  := value [ '(' value ')' ]        value := /[a-z0-9]+/
//	resourcename  := [ hostname '/' ] component [ '/' component ]*
//	action        := /[a-z]*/ | '*'
//
// https://distribution.github.io/distribution/spec/auth/scope/
//
// One scope outside of the grammar is accepted: "repository::pull", by which
// zot asks for its catalog. Its name is empty, and its only action is "pull".
//
// A part before the first "/" is a hostname only if it has a "." or a ":", as
// in all references to images. So "Team/app", which the specification's grammar
// reads as "app" on the host "Team", is left out like "team/App".
func ParseScopes(params []string) ([]Scope, error) {
	asked, size := 0, 0
	for _, p := range params {
		size += len(p)
		asked += countScopes(p)
	}
	if asked > MaxScopes || size > MaxScopeBytes {
		return nil, ErrTooManyScopes
	}
	if asked == 0 {
		return nil, nil
	}
	scopes := make([]Scope, 0, asked)
	for _, p := range params {
		for p != "" {
			var text string
			text, p, _ = strings.Cut(p, " ")
			if scope, actions, ok := parseScope(text); ok {
				scopes = mergeScope(scopes, scope, actions)
			}
		}
	}
	return scopes, nil
}

// countScopes returns the number of texts between spaces that are not empty.
func countScopes(p string) int {
	n := 0
	for i := range len(p) {
		if p[i] != ' ' && (i == 0 || p[i-1] == ' ') {
			n++
		}
	}
	return n
}

// mergeScope adds a scope with its actions to the scope of the same resource.
func mergeScope(scopes []Scope, scope Scope, actions string) []Scope {
	same := func(s Scope) bool {
		return s.Name == scope.Name && s.Type == scope.Type && s.Class == scope.Class
	}
	i := slices.IndexFunc(scopes, same)
	if i < 0 {
		i = len(scopes)
		scopes = append(scopes, scope)
	}
	s := &scopes[i]
	for more := true; more && len(s.Actions) < maxActions; {
		var action string
		action, actions, more = strings.Cut(actions, ",")
		if action == "" || slices.Contains(s.Actions, action) {
			continue
		}
		if s.Actions == nil {
			s.Actions = make([]string, 0, min(2+strings.Count(actions, ","), maxActions))
		}
		s.Actions = append(s.Actions, action)
	}
	return scopes
}

// parseScope parses one scope, and returns its actions as they are written:
// "pull,push". The name may have a colon (the port of a host), so it is the
// text between the first colon and the last.
func parseScope(text string) (Scope, string, bool) {
	first, last := strings.IndexByte(text, ':'), strings.LastIndexByte(text, ':')
	if first == last {
		return Scope{}, "", false
	}
	scope := Scope{Type: text[:first], Name: text[first+1 : last]}
	actions := text[last+1:]
	if text[:last+1] == "repository::" {
		pulls := isActionList(actions) && slices.Contains(strings.Split(actions, ","), "pull")
		return scope, "pull", pulls
	}
	if inner, ok := strings.CutSuffix(scope.Type, ")"); ok {
		if scope.Type, scope.Class, ok = strings.Cut(inner, "("); !ok || !isTypeOrClass(scope.Class) {
			return Scope{}, "", false
		}
	}
	return scope, actions, isTypeOrClass(scope.Type) && isName(scope.Name) && isActionList(actions)
}

// isTypeOrClass reports whether s is a type or a class: /[a-z0-9]+/.
func isTypeOrClass(s string) bool {
	for i := range len(s) {
		if !isLowerAlnum(s[i]) {
			return false
		}
	}
	return s != "" && len(s) <= maxWordBytes
}

// isActionList reports whether each part between commas is /[a-z]*/ or "*".
func isActionList(s string) bool {
	start := 0 // the start of the part that s[i] is in
	for i := range len(s) {
		switch c := s[i]; {
		case c == ',':
			start = i + 1
		case c == '*':
			if i > start || i+1 < len(s) && s[i+1] != ',' {
				return false
			}
		case c < 'a' || c > 'z' || i-start >= maxWordBytes:
			return false
		}
	}
	return true
}

// isName reports whether s is a resource name.
func isName(s string) bool {
	if len(s) > MaxName {
		return false
	}
	if host, path, ok := strings.Cut(s, "/"); ok && isHostname(host) {
		s = path
	}
	for {
		component, rest, more := strings.Cut(s, "/")
		if !IsComponent(component) {
			return false
		}
		if !more {
			return true
		}
		s = rest
	}
}

// IsComponent reports whether s is one component of a repository's path: lower
// case letters and digits, with separators between them.
//
//	component     := alpha-numeric [ separator alpha-numeric ]*
//	alpha-numeric := /[a-z0-9]+/
//	separator     := /[_.]|__|[-]*/
func IsComponent(s string) bool {
	if s == "" || !isLowerAlnum(s[0]) || !isLowerAlnum(s[len(s)-1]) {
		return false
	}
	for i := 1; i < len(s); i++ {
		if isLowerAlnum(s[i]) || isLowerAlnum(s[i-1]) && isOneOf(s[i], "-_.") {
			continue
		}
		// The second byte of a separator, or a later one.
		dash := s[i] == '-' && s[i-1] == '-'
		underscore := s[i] == '_' && s[i-1] == '_' && isLowerAlnum(s[i-2])
		if !dash && !underscore {
			return false
		}
	}
	return true
}

// isHostname reports whether s is a host with a "." or a port:
//
//	hostname      := hostcomponent [ '.' hostcomponent ]* [ ':' /[0-9]+/ ]
//	hostcomponent := /[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]/
func isHostname(s string) bool {
	host, port, hasPort := strings.Cut(s, ":")
	if hasPort && !isNumber(port) || !hasPort && !strings.Contains(host, ".") {
		return false
	}
	for {
		component, rest, more := strings.Cut(host, ".")
		if !isHostComponent(component) {
			return false
		}
		if !more {
			return true
		}
		host = rest
	}
}

func isHostComponent(s string) bool {
	for i := range len(s) {
		if !isAlnum(s[i]) && s[i] != '-' {
			return false
		}
	}
	return s != "" && s[0] != '-' && s[len(s)-1] != '-'
}

func isNumber(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

func isOneOf(c byte, set string) bool { return strings.IndexByte(set, c) >= 0 }

func isLowerAlnum(c byte) bool { return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' }

func isAlnum(c byte) bool { return isLowerAlnum(c) || 'A' <= c && c <= 'Z' }
