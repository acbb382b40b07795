package server

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"shorepass/internal/duration"
	"shorepass/internal/secret"
	"shorepass/session"
)

// revokeTimeout is the timeout of a revocation, shorter than writeTimeout. It is enough
// for thousands of sessions; after a timeout the same request ends the rest.
const revokeTimeout = 25 * time.Second

// revokeSelectors are the parameters of /oauth/revoke that RFC 7009 does not have. A
// session must match all that are sent.
var revokeSelectors = []string{"session", "user", "provider", "group", "older_than"}

// revocation is a parsed request to /oauth/revoke.
type revocation struct {
	token    secret.Text // zero where selector is set
	selector session.Selector
	asked    []string // the selector as sent, for the audit line
}

// revokeAnswer is the answer of /oauth/revoke. For a token it is empty, so that it
// discloses nothing about the token (RFC 7009, section 2.2).
type revokeAnswer struct {
	Ended *int `json:"ended,omitempty"`
}

// serveRevoke ends sessions (RFC 7009): the holder of a token ends its session, a
// person ends their own sessions, and an operator anyone's. When it answers 200,
// every replica refuses their tokens.
func (s *Server) serveRevoke(w http.ResponseWriter, r *http.Request, gen *Generation, req *request) error {
	ctx, cancel := context.WithTimeout(r.Context(), revokeTimeout)
	defer cancel()
	params, err := readForm(w, r, maxBody)
	if err != nil {
		return err
	}
	cred, err := parseCallerCredential(r, params, append([]string{"token", "token_type_hint"}, revokeSelectors...)...)
	if err != nil {
		return err
	}
	rev, err := parseRevocation(params, req.storeTime)
	if err != nil {
		return err
	}
	req.noteCredential(cred)
	req.line.Asked = rev.asked
	caller, err := s.authenticateCaller(ctx, gen, cred, req)
	if err != nil {
		return err
	}
	var answer revokeAnswer
	if rev.token.IsZero() {
		answer, err = s.revokeSelected(ctx, gen, rev.selector, caller, req)
	} else {
		err = s.revokeToken(ctx, gen, rev.token, caller, req)
	}
	if err != nil {
		return err
	}
	return s.answer(w, req, answer)
}

// parseRevocation parses a request to /oauth/revoke. A selection is parsed strictly: a
// parameter that is misspelt or empty, or one such as service that a caller may take
// for a selector, would select more sessions than intended. With a token, unknown
// parameters are ignored (RFC 6749, section 3.2).
func parseRevocation(params url.Values, now time.Time) (*revocation, error) {
	rev := &revocation{token: tokenParam(params)}
	for _, name := range revokeSelectors {
		if !params.Has(name) {
			continue
		}
		if params.Get(name) == "" {
			return nil, malformed(name + " is empty; send a value, or leave it out")
		}
		rev.asked = append(rev.asked, name+"="+auditText(params.Get(name)))
	}
	switch {
	case len(rev.asked) == 0 && rev.token.IsZero():
		return nil, malformed("token is missing; send the token to revoke, or select sessions by " + strings.Join(revokeSelectors, ", "))
	case len(rev.asked) == 0:
		return rev, nil
	case params.Has("token"):
		return nil, malformed("token and " + rev.asked[0][:strings.Index(rev.asked[0], "=")] + " exclude each other; send one of the two")
	}
	for _, name := range slices.Sorted(maps.Keys(params)) {
		if !slices.Contains(revokeSelectors, name) {
			return nil, malformed(strconv.Quote(auditText(name)) + " is not a selector; use " + strings.Join(revokeSelectors, ", "))
		}
	}
	sel := session.Selector{ID: params.Get("session"), User: params.Get("user"), Provider: params.Get("provider"), Group: params.Get("group")}
	if _, _, ok := session.ParseID(sel.ID); sel.ID != "" && !ok {
		return nil, malformed("session is not the id of a session, as shorepass sessions list prints it")
	}
	if text := params.Get("older_than"); text != "" {
		age, err := duration.Parse(text)
		if err != nil || age <= 0 {
			return nil, malformed("older_than is not a length of time such as 30d or 12h")
		}
		sel.Before = now.Add(-age)
	}
	rev.selector = sel
	return rev, nil
}

// revokeToken ends the session of a token. It is idempotent: an unknown or ended token
// is no error (RFC 7009, section 2.2).
func (s *Server) revokeToken(ctx context.Context, gen *Generation, token secret.Text, caller principal, req *request) error {
	was, ended, err := s.admin.RevokeToken(ctx, token, gen.revokedBy(caller))
	switch {
	case errors.Is(err, session.ErrRefused):
		if _, err := gen.Issuer.Verify(token.Reveal(), req.storeTime); err == nil {
			return errNotRevocable
		}
		req.line.Reason = auditText(err.Error())
		return nil
	case err != nil:
		return gen.incompleteRevocation(err)
	}
	req.line.Target, req.line.Ended = newAuditTarget(was), new(int)
	if ended {
		*req.line.Ended = 1
	}
	return nil
}

// errNotRevocable is for an access token, which registries verify without asking us. A
// 200 would say that it has ended.
var errNotRevocable = httpError{status: http.StatusBadRequest, code: codeUnsupported, oauth: "unsupported_token_type",
	message: "an access token of a registry cannot be revoked, and expires within minutes; send the refresh token"}

// revokeSelected ends those sessions of a selection that the caller may end.
func (s *Server) revokeSelected(ctx context.Context, gen *Generation, sel session.Selector, caller principal, req *request) (revokeAnswer, error) {
	sel, err := gen.restrict(caller, sel)
	if err != nil {
		return revokeAnswer{}, err
	}
	ended, err := s.admin.Revoke(ctx, sel, gen.revokedBy(caller))
	req.line.Ended = &ended
	if err != nil {
		return revokeAnswer{}, gen.incompleteRevocation(err)
	}
	return revokeAnswer{&ended}, nil
}

// restrict narrows sel to the sessions that the caller may end. Without the right of
// an operator, another person's session looks like one that does not exist.
func (g *Generation) restrict(caller principal, sel session.Selector) (session.Selector, error) {
	switch {
	case caller.identity == nil:
		return sel, errNoCaller
	case g.isOperator(caller):
		return sel, nil
	case sel.Provider != "" || sel.Group != "":
		return sel, forbidden("only members of server.operators may end sessions by provider or group")
	case sel.User != "" && sel.User != caller.identity.User:
		return sel, forbidden(fmt.Sprintf("you may end your own sessions only: user can only be %q", caller.identity.User))
	case sel.User == "" && sel.ID == "":
		return sel, forbidden(fmt.Sprintf("only members of server.operators may end everyone's sessions; add user=%s for your own", caller.identity.User))
	}
	// By subject, since the user name may have changed after the login.
	sel.User, sel.Provider, sel.Subject = "", caller.identity.Provider, caller.identity.Subject
	return sel, nil
}

// revokedBy names the caller as the list of ended sessions shows it.
func (g *Generation) revokedBy(caller principal) string {
	switch {
	case caller.identity == nil:
		return session.ByTokenHolder
	case g.isOperator(caller):
		return auditText(caller.identity.User) + session.ByOperator
	}
	return auditText(caller.identity.User)
}

// incompleteRevocation changes the message of a 503: some sessions may not have ended
// (RFC 7009, section 2.2.1).
func (g *Generation) incompleteRevocation(err error) error {
	failure := g.wireError(err)
	if failure.status != http.StatusServiceUnavailable {
		return err
	}
	failure.message = "not all sessions were ended; send the request again in a moment"
	return failure
}
