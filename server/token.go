package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"shorepass/internal/secret"
	"shorepass/policy"
	"shorepass/providers"
	"shorepass/registry"
	"shorepass/session"
)

// maxAnswer bounds the fields of an answer that grow with the scopes, in bytes: the
// token, which is there twice, and the scope. The other fields take less than 1 KiB,
// and the sum must stay below 60 KiB, since crane reads 64 KiB at most.
const maxAnswer = 59 << 10

// tokenAnswer is the answer of the token endpoint (distribution token
// specification; RFC 6749, section 5.1). It has no issued_at, which no client needs:
// with it, a client whose clock is fast requests a token before each request.
type tokenAnswer struct {
	Token        string `json:"token"` // some clients read the first, some the second
	AccessToken  string `json:"access_token"`
	ExpiresIn    int    `json:"expires_in"` // seconds; without it containerd caches a token for ever
	Scope        string `json:"scope,omitempty"`
	RefreshToken string `json:"refresh_token,omitempty"`
}

// appendJSON appends the same bytes as encoding/json, which would scan the access token
// twice for characters to escape. A JWT has none: it is base64url and dots (RFC 7515,
// section 7.1).
func (a tokenAnswer) appendJSON(b []byte) []byte {
	b = append(append(b, `{"token":"`...), a.Token...)
	b = append(append(b, `","access_token":"`...), a.AccessToken...)
	b = strconv.AppendInt(append(b, `","expires_in":`...), int64(a.ExpiresIn), 10)
	for _, member := range []struct{ name, value string }{{"scope", a.Scope}, {"refresh_token", a.RefreshToken}} {
		if member.value == "" {
			continue
		}
		value, _ := json.Marshal(member.value) // a string has no error
		b = append(append(b, `,"`+member.name+`":`...), value...)
	}
	return append(b, '}')
}

// sessionIssuer makes sessions for logins that ask for an offline token.
type sessionIssuer interface {
	// Issue makes a session and returns its token. When it returns, the session is
	// durable: it survives a crash.
	Issue(ctx context.Context, id *providers.Identity, service string, client session.Client) (secret.Text, *session.Session, error)

	// RevokeProviderToken has the provider revoke the refresh token of a login that got no
	// session. It does not block, and ignores a nil identity.
	RevokeProviderToken(id *providers.Identity)
}

// clock is the store's clock, which all replicas use.
type clock interface {
	Now() time.Time

	// ClockOffset is the store's time minus this machine's.
	ClockOffset() time.Duration
}

// serveToken handles a token request: parse, authenticate, decide, mint, answer.
func (s *Server) serveToken(w http.ResponseWriter, r *http.Request, gen *Generation, req *request) error {
	ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
	defer cancel()

	q, err := parseQuestion(w, r)
	if err != nil {
		return err
	}
	service, err := gen.Issuer.Service(q.service)
	if err != nil {
		asked := auditText(q.service)
		q.service = "" // the audit line names only services that exist there
		req.noteQuestion(q)
		return serviceError{asked, err}
	}
	q.service = service
	req.noteQuestion(q)
	if q.post && gen.hasUIOrigins { // whose query does not name the service
		gen.allowOrigin(w, r, service)
	}

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
	req.noteGroupsAndClaims(gen, s.audit.allGroups, caller, asked)
	req.noteDecision(q.scopes, decision)

	err = gen.explainDenial(q, caller, asked, decision)
	if err == nil {
		err = s.mintAndAnswer(ctx, w, gen, q, caller, decision.Access, req)
	}
	if err != nil && caller.session == nil {
		s.sessions.RevokeProviderToken(caller.identity) // the client receives no token of a session
	}
	return err
}

func (s *Server) mintAndAnswer(ctx context.Context, w http.ResponseWriter, gen *Generation, q *question, caller principal, access []registry.Access, req *request) error {
	answer, err := s.mint(ctx, gen, q, caller, access, req)
	if err != nil {
		return err
	}
	return s.answer(w, req, answer)
}

// policyRequest returns the question and the principal as the policy sees them.
func (p principal) policyRequest(q *question, from origin, now time.Time) policy.Request {
	asked := policy.Request{Service: q.service, Address: from.address, Time: now, Scopes: q.scopes}
	if p.identity == nil {
		asked.Anonymous, asked.Groups = true, []string{providers.GroupAnonymous}
		return asked
	}
	asked.User, asked.Groups, asked.Claims = p.identity.User, p.identity.Groups, p.identity.Claims
	asked.Unsure, asked.FoldsCase = p.identity.Unsure, p.identity.FoldsCase
	asked.Provider, asked.Method = p.identity.Provider, string(p.identity.Method)
	asked.ACR, asked.AMR, asked.AuthTime = p.identity.ACR, p.identity.AMR, p.identity.AuthTime
	return asked
}

// rights returns what the rules grant a person today, by the same view of the person as a
// decision.
func (g *Generation) rights(id *providers.Identity) policy.Rights {
	return g.Policy.Rights(principal{identity: id}.policyRequest(&question{}, origin{}, time.Time{}))
}

// hasRights reports whether the rules grant a person anything.
func (g *Generation) hasRights(id *providers.Identity) bool {
	return g.Policy.HasRights(principal{identity: id}.policyRequest(&question{}, origin{}, time.Time{}))
}

// mint returns the answer: the access token for the granted access and, where the
// request gets one, the refresh token.
func (s *Server) mint(ctx context.Context, gen *Generation, q *question, caller principal, access []registry.Access, req *request) (tokenAnswer, error) {
	if caller.identity == nil && len(access) == 0 {
		return tokenAnswer{}, errAnonymous
	}
	token, err := gen.Issuer.Mint(q.service, caller.user(), access, s.tokenClock(req))
	if err != nil {
		return tokenAnswer{}, err
	}
	answer := tokenAnswer{Token: token.Reveal(), AccessToken: token.Reveal(), ExpiresIn: int(token.ExpiresIn / time.Second)}
	if q.post {
		answer.Scope = strings.Join(req.line.Granted, " ")
	}
	if size := len(answer.Token) + len(answer.AccessToken) + len(answer.Scope); size > maxAnswer {
		return tokenAnswer{}, fmt.Errorf("an answer of %d bytes: %w", size, registry.ErrTooManyScopes)
	}
	req.line.JTI = token.ID
	refresh, err := s.refreshToken(ctx, q, caller, req)
	if err != nil {
		return tokenAnswer{}, err
	}
	answer.RefreshToken = refresh.Reveal()
	return answer, nil
}

// maxSkew bounds the clock skew for which tokens are valid by both clocks. Their
// lifetime grows by the skew.
const maxSkew = 10 * time.Minute

// tokenClock returns the time of a request by this machine's clock and by the
// store's, since a registry may agree with either.
func (s *Server) tokenClock(req *request) registry.Clock {
	offset := min(max(s.sessions.ClockOffset(), -maxSkew), maxSkew)
	return registry.Clock{Earliest: req.localTime.Add(min(offset, 0)), Latest: req.localTime.Add(max(offset, 0))}
}

// refreshToken returns the refresh token of the answer. The grant refresh_token
// echoes its own. Where another request asks for an offline token and its credential
// may get one, it is that of the session that the authentication made, or of a new
// one. Otherwise there is none.
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
	if caller.identity.Method == providers.MethodPassword { // a token does not prove the name that was sent with it
		client.LoginName = string(q.credential.login)
	}
	token, made, err := s.sessions.Issue(ctx, caller.identity, q.service, client)
	if err != nil {
		return secret.Text{}, fmt.Errorf("make a session: %w", err)
	}
	req.line.Session = made.ID
	return token, nil
}
