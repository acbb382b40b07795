package server

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"shorepass/internal/secret"
	"shorepass/policy"
	"shorepass/providers"
	"shorepass/registry"
	"shorepass/session"
)

// maxAnswer bounds what grows with the scopes in an answer, in bytes: the token,
// which stands there twice, and the scope. What else is there takes less than
// a KiB, and all of it must stay under 60, since crane reads 64 and no more.
const maxAnswer = 59 << 10

// tokenAnswer is the answer of the token endpoint (distribution token
// specification; RFC 6749, section 5.1). There is no issued_at: nobody needs
// it, and a client whose clock is ahead asks for a token before each of its
// requests because of it.
type tokenAnswer struct {
	Token        string `json:"token"` // some clients read the first, some the second
	AccessToken  string `json:"access_token"`
	ExpiresIn    int    `json:"expires_in"` // seconds; without it containerd keeps a token for ever
	Scope        string `json:"scope,omitempty"`
	RefreshToken string `json:"refresh_token,omitempty"`
}

// sessionIssuer makes sessions for logins that ask for an offline token.
type sessionIssuer interface {
	// Issue makes a session and returns its token. When it returns, the session
	// survives a crash.
	Issue(ctx context.Context, id *providers.Identity, service string, client session.Client) (secret.Text, *session.Session, error)

	// RevokeProviderToken has the provider revoke what it gave for a login that came to
	// nothing. It does not block, and takes nil for no login.
	RevokeProviderToken(id *providers.Identity)
}

// clock is the store's, which all replicas go by.
type clock interface {
	Now() time.Time

	// ClockOffset is how far it is ahead of this machine's clock.
	ClockOffset() time.Duration
}

// serveToken is the way of a request: parse, authenticate, decide, mint,
// answer.
func (s *Server) serveToken(w http.ResponseWriter, r *http.Request, gen *Generation, req *request) error {
	ctx, cancel := context.WithTimeout(r.Context(), answerLimit)
	defer cancel()

	q, err := parseQuestion(w, r)
	if err != nil {
		return err
	}
	if q.service, err = gen.Issuer.Service(q.service); err != nil {
		return err
	}
	req.noteQuestion(q)

	caller, err := s.authenticate(ctx, gen, q.credential, q.service, req)
	if err != nil {
		return err
	}
	req.notePrincipal(caller)

	asked := caller.policyRequest(q, req.origin, req.storeTime)
	decision, err := caller.narrow(q.service, gen.Policy.Decide(asked))
	if err != nil {
		return err
	}
	req.noteWatched(gen, s.audit.allGroups, caller, asked)
	req.noteDecision(decision)

	answer, err := s.mint(ctx, gen, q, caller, decision.Access, req)
	if err == nil {
		err = s.answer(w, req, answer)
	}
	if err != nil && caller.session == nil {
		s.sessions.RevokeProviderToken(caller.identity) // the client learns of no session
	}
	return err
}

// policyRequest returns the question in the terms of policy.
func (p principal) policyRequest(q *question, from origin, now time.Time) policy.Request {
	asked := policy.Request{Service: q.service, Address: from.address, Time: now, Scopes: q.scopes}
	if p.identity == nil {
		asked.Anonymous, asked.Groups = true, []string{providers.GroupAnonymous}
		return asked
	}
	asked.User, asked.Groups, asked.Claims = p.identity.User, p.identity.Groups, p.identity.Claims
	asked.Unsure, asked.FoldsCase = p.identity.Unsure, p.identity.FoldsCase
	asked.Provider, asked.Method = p.identity.Provider, string(p.identity.Method)
	return asked
}

// mint makes the answer: the access token for what was decided, and the refresh
// token that belongs beside it.
func (s *Server) mint(ctx context.Context, gen *Generation, q *question, caller principal, access []registry.Access, req *request) (tokenAnswer, error) {
	if caller.identity == nil && len(access) == 0 {
		return tokenAnswer{}, errAnonymous
	}
	token, err := gen.Issuer.Mint(q.service, caller.user(), access, s.clock(req))
	if err != nil {
		return tokenAnswer{}, err
	}
	answer := tokenAnswer{Token: token.Reveal(), AccessToken: token.Reveal(), ExpiresIn: int(token.ExpiresIn / time.Second)}
	if q.post {
		answer.Scope = strings.Join(req.line.Granted, " ")
	}
	if told := len(answer.Token) + len(answer.AccessToken) + len(answer.Scope); told > maxAnswer {
		return tokenAnswer{}, fmt.Errorf("an answer of %d bytes: %w", told, registry.ErrTooManyScopes)
	}
	req.line.JTI = token.ID
	refresh, err := s.refreshToken(ctx, q, caller, req)
	if err != nil {
		return tokenAnswer{}, err
	}
	answer.RefreshToken = refresh.Reveal()
	return answer, nil
}

// maxSkew is by how much two clocks may differ of which tokens shall be good by
// both. They live longer by that.
const maxSkew = 10 * time.Minute

// clock is the time of a request by this machine's clock and by the store's: a
// registry may go by either.
func (s *Server) clock(req *request) registry.Clock {
	ahead := min(max(s.sessions.ClockOffset(), -maxSkew), maxSkew)
	return registry.Clock{Earliest: req.localTime.Add(min(ahead, 0)), Latest: req.localTime.Add(max(ahead, 0))}
}

// refreshToken returns the refresh token that belongs into the answer: the
// same one at its own redemption, a new one where a login asked for it, and
// none beside any other of our tokens.
func (s *Server) refreshToken(ctx context.Context, q *question, caller principal, req *request) (secret.Text, error) {
	switch {
	case q.credential.kind == kindRefresh:
		return q.credential.secret, nil
	case !q.credential.offline || !caller.mayIssue:
		return secret.Text{}, nil
	case caller.session != nil:
		return caller.session.Token, nil
	}
	client := q.credential.client(req.origin)
	if caller.identity.Method == providers.MethodPassword { // beside a token the name proves nothing
		client.LoginName = string(q.credential.login)
	}
	token, made, err := s.sessions.Issue(ctx, caller.identity, q.service, client)
	if err != nil {
		return secret.Text{}, fmt.Errorf("make a session: %w", err)
	}
	req.line.Session = made.ID
	return token, nil
}
