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
	"shorepass/server/pages"
	"shorepass/session"
)

// errNoCaller is for a request without a credential to an endpoint that needs one.
var errNoCaller = httpError{status: http.StatusUnauthorized, code: codeUnauthorized, oauth: "invalid_client",
	message: "authentication required: send your user name and password, or a token as the password, by Basic"}

// SessionAdmin inspects and ends sessions: the part of [session.Admin] that the pages,
// /oauth/revoke and /oauth/introspect need. Its errors wrap
// providers.ErrUnavailable, or session.ErrRefused where a token has no session.
type SessionAdmin interface {
	pages.Admin

	// ServiceOf returns the service that a token was issued for, whether the token
	// is valid or not.
	ServiceOf(ctx context.Context, token secret.Text) (string, error)
}

// parseCallerCredential parses the credential of a request to /oauth/revoke or
// /oauth/introspect: Basic, or none. single names the endpoint's own parameters,
// none of which may be repeated.
func parseCallerCredential(r *http.Request, params url.Values, single ...string) (credential, error) {
	// Cross-site request forgery: a browser may attach Basic credentials that it has
	// cached to a request from a page of another site.
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

// tokenParam returns the token parameter of a form, without surrounding blanks and
// newlines, as a file that holds the token may have them. No token of ours contains
// any, and with them it would be unknown and pass for an ended one.
func tokenParam(params url.Values) secret.Text {
	return secret.New(strings.TrimSpace(params.Get("token")))
}

// authenticateCaller authenticates the caller of /oauth/revoke or /oauth/introspect
// by any credential that the token endpoint accepts.
func (s *Server) authenticateCaller(ctx context.Context, gen *Generation, cred credential, req *request) (principal, error) {
	service, err := s.serviceFor(ctx, gen, cred.secret)
	if err != nil {
		return principal{}, gen.invalidClient(err)
	}
	caller, err := s.authenticate(ctx, gen, cred, service, req)
	if err != nil {
		return principal{}, gen.invalidClient(err)
	}
	req.notePrincipal(caller)
	return caller, nil
}

// serviceFor returns the service to authenticate a caller's secret for: that of a
// token of ours, else the first one.
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
	case service == "": // a token that is valid for several services
		return gen.Issuer.FirstService(), nil
	}
	if _, err := gen.Issuer.Service(service); err != nil {
		return "", fmt.Errorf("%w: it was made for the service %q: %w", session.ErrRefused, service, err)
	}
	return service, nil
}

// invalidClient changes the OAuth code of a 401 to invalid_client: the caller's
// credential is wrong, not the token parameter (RFC 6749, section 5.2).
func (g *Generation) invalidClient(err error) error {
	failure := g.wireError(err)
	if failure.status != http.StatusUnauthorized {
		return err
	}
	failure.oauth = "invalid_client"
	return failure
}

// isOperator reports whether a principal is an operator: a person in one of the
// groups of server.operators, authenticated by a password. No token of ours or of a
// provider carries the right: tokens are stored in files for months, and the thief
// of a laptop must not be able to end everyone's sessions.
func (g *Generation) isOperator(caller principal) bool {
	return caller.identity != nil && caller.session == nil && caller.identity.Method == providers.MethodPassword &&
		slices.ContainsFunc(g.Config.Operators, caller.identity.InGroup)
}

// addOperatorGroups returns groups and the person's groups that server.operators
// names, sorted. It does not change its argument.
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
