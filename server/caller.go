package server

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"shorepass/internal/secret"
	"shorepass/session"
)

// errNoCaller says that an endpoint for sessions needs to know who asks.
var errNoCaller = httpError{status: http.StatusUnauthorized, code: codeUnauthorized, oauth: "invalid_client",
	message: "authentication required: send your user name and password, or a token as the password, by Basic"}

// parseCaller reads who calls an endpoint for sessions: Basic, or nobody. single
// names the endpoint's own parameters, of which none may come twice.
func parseCaller(r *http.Request, params url.Values, single ...string) (*question, error) {
	// A page elsewhere could have a browser send what it knows of Basic.
	if err := new(http.CrossOriginProtection).Check(r); err != nil {
		return nil, forbidden("this cannot be asked from a page of another site")
	}
	q := &question{post: true}
	if err := q.readCommon(params, single...); err != nil {
		return nil, err
	}
	q.service = "" // no registry is asked about here
	return q, q.readBasic(r.Header["Authorization"])
}

// tokenOf returns the token that a form is about, without the blanks and the
// new line of the file it was read from: none of ours has any, and with them it
// would be unknown and so pass for ended.
func tokenOf(params url.Values) secret.Text {
	return secret.New(strings.TrimSpace(params.Get("token")))
}

// caller proves who calls, by whatever the token endpoint would take. Without
// credentials it is nobody.
func (s *Server) caller(ctx context.Context, gen *Generation, q *question, e *event) (asker, error) {
	if err := s.settleService(ctx, gen, q); err != nil {
		return asker{}, invalidClient(err)
	}
	who, err := s.authenticate(ctx, gen, q, e.origin)
	if err != nil {
		return asker{}, invalidClient(err)
	}
	e.isFrom(who)
	return who, nil
}

// settleService finds the registry that the caller's own credential is shown
// for: the one that a token of ours was made for, else the first.
func (s *Server) settleService(ctx context.Context, gen *Generation, q *question) (err error) {
	if !session.Recognize(q.secret) {
		q.service = gen.Issuer.First()
		return nil
	}
	if q.service, err = s.sessions.ServiceOf(ctx, q.secret); err != nil {
		return err
	}
	if _, err := gen.Issuer.Service(q.service); err != nil {
		return fmt.Errorf("%w: it was made for the service %q: %w", session.ErrRefused, q.service, err)
	}
	return nil
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

// operates reports whether who is an operator. Whoever is in none of the groups
// is not, and nobody is where there are none. Neither a token of ours makes
// anybody one nor a provider's refresh token: they lie in a file for months, and
// who steals a laptop must not be able to end everyone's sessions.
func (g *Generation) operates(who asker) bool {
	return who.identity != nil && who.session == nil && slices.ContainsFunc(g.Config.Operators, func(group string) bool {
		return slices.Contains(who.identity.Groups, group)
	})
}
