package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"

	"shorepass/internal/secret"
	"shorepass/registry"
	"shorepass/session"
)

// introspection is the answer of /oauth/introspect (RFC 7662, section 2.2). For a
// token that is not active it has no other field. There is no scope, since the
// policy decides at each use of a token.
type introspection struct {
	Active    bool   `json:"active"`
	TokenType string `json:"token_type,omitempty"` // "Bearer" for an access token, else the session's kind
	Subject   string `json:"sub,omitempty"`        // of a session the person's subject, of an access token its sub claim
	Username  string `json:"username,omitempty"`
	Provider  string `json:"provider,omitempty"`
	ClientID  string `json:"client_id,omitempty"` // of the login
	Issuer    string `json:"iss,omitempty"`
	Audience  string `json:"aud,omitempty"` // the service; absent for a token that is good at several
	IssuedAt  int64  `json:"iat,omitempty"`
	Expires   int64  `json:"exp,omitempty"` // a session may end earlier, when idle
	ID        string `json:"jti,omitempty"`
	Session   string `json:"session,omitempty"`
}

// serveIntrospect is token introspection for operators (RFC 7662), of a token of a
// session or an access token, which is verified as its registry verifies it.
// Introspection does not count as a use of the token, and asks no provider.
func (s *Server) serveIntrospect(w http.ResponseWriter, r *http.Request, gen *Generation, req *request) error {
	ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
	defer cancel()
	params, err := readForm(w, r, maxBody)
	if err != nil {
		return err
	}
	cred, err := parseCallerCredential(r, params, "token", "token_type_hint")
	if err != nil {
		return err
	}
	token := tokenParam(params)
	if token.IsZero() {
		return malformed("token is missing; send the token to introspect")
	}
	req.noteCredential(cred)
	caller, err := s.authenticateCaller(ctx, gen, cred, req)
	switch {
	case err != nil:
		return err
	case caller.identity == nil:
		return errNoCaller
	case !gen.isOperator(caller):
		return forbidden("only members of server.operators may introspect tokens")
	}
	answer, err := s.introspect(ctx, gen, token, req)
	if err != nil {
		return err
	}
	return s.answer(w, req, answer)
}

// introspect inspects one token. The audit line says why a token is not active.
func (s *Server) introspect(ctx context.Context, gen *Generation, token secret.Text, req *request) (introspection, error) {
	var accessErr error
	if !session.Recognize(token) {
		var answer introspection
		if answer, accessErr = gen.introspectAccess(token, req); !errors.Is(accessErr, registry.ErrNotOurToken) {
			return answer, accessErr
		}
	}
	found, err := s.admin.Inspect(ctx, token)
	switch {
	case errors.Is(err, session.ErrRefused) && accessErr != nil:
		req.line.Reason = auditText(fmt.Sprintf("%v; %v", accessErr, err))
		return introspection{}, nil
	case errors.Is(err, session.ErrRefused):
		req.line.Reason = auditText(err.Error())
		return introspection{}, nil
	case err != nil:
		return introspection{}, err
	}
	req.line.Target = newAuditTarget(found)
	if _, err := gen.Issuer.Service(cmp.Or(found.Service, gen.Issuer.FirstService())); err != nil {
		req.line.Reason = auditText(fmt.Sprintf("service %q: %v", found.Service, err))
		return introspection{}, nil
	}
	return introspection{
		Active: true, TokenType: string(found.Kind), Subject: found.Identity.Subject, Username: found.Identity.User, Provider: found.Identity.Provider,
		ClientID: found.Client.ID, Audience: found.Service, IssuedAt: found.Created.Unix(), Expires: found.Expires.Unix(), Session: found.ID,
	}, nil
}

// introspectAccess inspects an access token. The error is registry.ErrNotOurToken for
// any other token. An access token is active as long as a registry accepts it,
// whatever the state of the session that it was issued in.
func (g *Generation) introspectAccess(token secret.Text, req *request) (introspection, error) {
	claims, err := g.Issuer.Verify(token.Reveal(), req.storeTime)
	if err != nil {
		return introspection{}, err
	}
	req.line.JTI = claims.ID
	answer := introspection{
		Active: true, TokenType: "Bearer", Subject: claims.Subject, Username: claims.Subject, Issuer: claims.Issuer,
		Audience: claims.Service, Expires: claims.Expires.Unix(), ID: claims.ID,
	}
	if !claims.IssuedAt.IsZero() {
		answer.IssuedAt = claims.IssuedAt.Unix()
	}
	return answer, nil
}
