package registry

import "errors"

// Scope is one resource and what is asked of it, parsed: the resource scope of
// the distribution token specification.
type Scope struct {
	Type    string   // "repository", "registry"
	Class   string   // "plugin" in "repository(plugin)"; mostly empty
	Name    string   // "team-a/app", "catalog", "host:5000/app"
	Actions []string // "pull", "push", "delete", "*"; in the order asked, without repetition
}

// Access is what a token grants on one resource: an entry of its access claim.
type Access struct {
	Type    string   `json:"type"`
	Class   string   `json:"class,omitempty"`
	Name    string   `json:"name"`
	Actions []string `json:"actions"`
}

// ErrTooManyScopes says that a request asks for more than MaxScopes scopes or
// in more than MaxScopeBytes bytes. The client gets 400.
var ErrTooManyScopes = errors.New("too many scopes")

// What one request may ask at most.
const (
	MaxScopes     = 256
	MaxScopeBytes = 64 << 10
)

// ParseScopes reads the scope parameters of one request: each may hold several
// scopes joined by spaces. Scopes of one resource are merged, in the order of
// their first mention. A scope that does not follow the grammar is left out,
// since it grants nothing and is no error. The error is ErrTooManyScopes or
// nil.
//
//	resourcescope := resourcetype ":" resourcename ":" action [ ',' action ]*
//	resourcetype  := value [ '(' value ')' ]        value := /[a-z0-9]+/
//	resourcename  := [ hostname '/' ] component [ '/' component ]*
//	action        := /[a-z]*/ | '*'
func ParseScopes(params []string) ([]Scope, error) {
	return nil, nil
}
