package server

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"shorepass/internal/secret"
	"shorepass/providers"
	"shorepass/session"
)

// errNoCaller says that an endpoint for sessions needs to know who asks.
var errNoCaller = httpError{status: http.StatusUnauthorized, code: codeUnauthorized, oauth: "invalid_client",
	message: "authentication required: send your user name and password, or a token as the password, by Basic"}

// SessionAdmin looks at sessions and ends them: what the endpoints for sessions
// need of [session.Admin]. Its errors wrap providers.ErrUnavailable, or
// session.ErrRefused where a token has no session.
type SessionAdmin interface {
	// ServiceOf returns the service that a token was made for, be the token
	// good or not.
	ServiceOf(ctx context.Context, token secret.Text) (string, error)

	// Inspect returns the session behind a token that could be redeemed. It
	// asks no provider and notes no use.
	Inspect(ctx context.Context, token secret.Text) (*session.Session, error)

	// RevokeToken ends the session behind a token. It returns the session as
	// it was, and whether it ended only now.
	RevokeToken(ctx context.Context, token secret.Text, by string) (was *session.Session, ended bool, err error)

	// Revoke ends the sessions that sel selects and returns how many there
	// were. When it returns, every replica refuses them.
	Revoke(ctx context.Context, sel session.Selector, by string) (int, error)
}

// parseCaller reads the credential of a request to an endpoint for sessions:
// Basic, or none. single names the endpoint's own parameters, of which none may
// come twice.
func parseCaller(r *http.Request, params url.Values, single ...string) (credential, error) {
	// A page elsewhere could have a browser send what it knows of Basic.
	if err := new(http.CrossOriginProtection).Check(r); err != nil {
		return credential{}, forbidden("this cannot be asked from a page of another site")
	}
	if err := checkParams(params, single...); err != nil {
		return credential{}, err
	}
	cred := credential{clientID: clientID(params)}
	if err := cred.readBasic(r.Header["Authorization"]); err != nil {
		return credential{}, err
	}
	return cred, nil
}

// tokenParam returns the token that a form is about, without the blanks and the
// new line of the file it was read from: none of ours has any, and with them it
// would be unknown and so pass for ended.
func tokenParam(params url.Values) secret.Text {
	return secret.New(strings.TrimSpace(params.Get("token")))
}

// authenticateCaller proves who calls an endpoint for sessions, by any
// credential that the token endpoint would take.
func (s *Server) authenticateCaller(ctx context.Context, gen *Generation, cred credential, req *request) (principal, error) {
	service, err := s.serviceFor(ctx, gen, cred.secret)
	if err != nil {
		return principal{}, invalidClient(err)
	}
	caller, err := s.authenticate(ctx, gen, cred, service, req)
	if err != nil {
		return principal{}, invalidClient(err)
	}
	req.notePrincipal(caller)
	return caller, nil
}

// serviceFor returns the service that a caller's secret is good for: of a token
// of ours the one that it was made for, else the first.
func (s *Server) serviceFor(ctx context.Context, gen *Generation, of secret.Text) (string, error) {
	switch session.KindOf(of) {
	case "":
		return gen.Issuer.FirstService(), nil
	case session.KindOneTime:
		return "", errOneTime
	}
	service, err := s.admin.ServiceOf(ctx, of)
	switch {
	case err != nil:
		return "", err
	case service == "": // it is good for several
		return gen.Issuer.FirstService(), nil
	}
	if _, err := gen.Issuer.Service(service); err != nil {
		return "", fmt.Errorf("%w: it was made for the service %q: %w", session.ErrRefused, service, err)
	}
	return service, nil
}

// invalidClient gives a 401 the name that it has where not the token of the
// question is wrong, but whoever asks (RFC 6749, section 5.2).
func invalidClient(err error) error {
	failure := wireError(err)
	if failure.status != http.StatusUnauthorized {
		return err
	}
	failure.oauth = "invalid_client"
	return failure
}

// isOperator reports whether a principal is an operator: a person in one of the
// groups that the configuration names, authenticated by a password. None of our
// tokens carries the right, nor a provider's token: they lie in a file for months,
// and the thief of a laptop must not be able to end everyone's sessions.
func (g *Generation) isOperator(caller principal) bool {
	return caller.identity != nil && caller.session == nil && caller.identity.Method == providers.MethodPassword &&
		slices.ContainsFunc(g.Config.Operators, caller.identity.InGroup)
}

// addOperatorGroups returns groups, sorted and not changed, with those of the person
// that server.operators names.
func (g *Generation) addOperatorGroups(id *providers.Identity, groups []string) []string {
	if len(g.Config.Operators) == 0 {
		return groups
	}
	all := slices.Clone(groups)
	for _, group := range id.Groups {
		only := providers.Identity{Groups: []string{group}, FoldsCase: id.FoldsCase}
		if slices.ContainsFunc(g.Config.Operators, only.InGroup) {
			all = append(all, group)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}
