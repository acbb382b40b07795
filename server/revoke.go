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

// revokeLimit is how long a revocation may take, shorter than writeLimit.
// Thousands of sessions end within it; where they do not, asking again ends the
// rest.
const revokeLimit = 25 * time.Second

// revokeSelectors are the parameters of /oauth/revoke that are ours, beside RFC
// 7009: what is given must all hold.
var revokeSelectors = []string{"session", "user", "provider", "group", "older_than"}

// revocation is what a client asks of /oauth/revoke, parsed once.
type revocation struct {
	token    secret.Text // zero where sessions are selected
	selector session.Selector
	asked    []string // the selector as it came, for the audit line
}

// revokeAnswer is the answer where sessions were selected. To a token the answer is
// empty: whoever holds it hears nothing about it (RFC 7009, section 2.2).
type revokeAnswer struct {
	Ended *int `json:"ended,omitempty"`
}

// serveRevoke ends sessions (RFC 7009): that of a token for whoever holds it, a
// person's own for the person, and anybody's for operators. When it answers
// 200, every replica refuses their tokens.
func (s *Server) serveRevoke(w http.ResponseWriter, r *http.Request, gen *Generation, req *request) error {
	ctx, cancel := context.WithTimeout(r.Context(), revokeLimit)
	defer cancel()
	params, err := readForm(w, r)
	if err != nil {
		return err
	}
	cred, err := parseCaller(r, params, append([]string{"token", "token_type_hint"}, revokeSelectors...)...)
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

// parseRevocation reads what is to end. It is strict where sessions are
// selected, since a parameter that is misspelt, empty, or taken for a selector
// as service might be would select more than was meant. Beside a token other
// parameters are overlooked (RFC 6749, section 3.2).
func parseRevocation(params url.Values, now time.Time) (*revocation, error) {
	rev := &revocation{token: tokenParam(params)}
	for _, name := range revokeSelectors {
		if !params.Has(name) {
			continue
		}
		if params.Get(name) == "" {
			return nil, malformed(name + " is empty; say which sessions end, or leave it out")
		}
		rev.asked = append(rev.asked, name+"="+auditText(params.Get(name)))
	}
	switch {
	case len(rev.asked) == 0 && rev.token.IsZero():
		return nil, malformed("token is missing; send the one to end, or select sessions by " + strings.Join(revokeSelectors, ", "))
	case len(rev.asked) == 0:
		return rev, nil
	case params.Has("token"):
		return nil, malformed("token ends one session, and " + rev.asked[0][:strings.Index(rev.asked[0], "=")] + " selects some; send one or the other")
	}
	for _, name := range slices.Sorted(maps.Keys(params)) {
		if !slices.Contains(revokeSelectors, name) {
			return nil, malformed(strconv.Quote(auditText(name)) + " selects nothing; there are " + strings.Join(revokeSelectors, ", "))
		}
	}
	sel := session.Selector{ID: params.Get("session"), User: params.Get("user"), Provider: params.Get("provider"), Group: params.Get("group")}
	if _, _, ok := session.ParseID(sel.ID); sel.ID != "" && !ok {
		return nil, malformed("session is no id of a session, as shorepass sessions list prints them")
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

// revokeToken ends the session of a token for whoever holds it. One that is
// unknown, or ended already, is what was asked for.
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
		return incompleteRevocation(err)
	}
	req.line.Target, req.line.Ended = newAuditTarget(was), new(int)
	if ended {
		*req.line.Ended = 1
	}
	return nil
}

// errNotRevocable says that a registry takes a token without asking us. Who
// sends one must not believe that it has ended.
var errNotRevocable = httpError{status: http.StatusBadRequest, code: codeUnsupported, oauth: "unsupported_token_type",
	message: "a registry's access token cannot be taken back and ends by itself within minutes; send the refresh token"}

// revokeSelected ends the sessions that sel selects, of those that who may end.
func (s *Server) revokeSelected(ctx context.Context, gen *Generation, sel session.Selector, caller principal, req *request) (revokeAnswer, error) {
	sel, err := gen.restrict(caller, sel)
	if err != nil {
		return revokeAnswer{}, err
	}
	ended, err := s.admin.Revoke(ctx, sel, gen.revokedBy(caller))
	req.line.Ended = &ended
	if err != nil {
		return revokeAnswer{}, incompleteRevocation(err)
	}
	return revokeAnswer{&ended}, nil
}

// restrict narrows sel to what who may end. Somebody else's session is to a
// person like one that does not exist: neither ends, and neither is told from
// the other.
func (g *Generation) restrict(caller principal, sel session.Selector) (session.Selector, error) {
	switch {
	case caller.identity == nil:
		return sel, errNoCaller
	case g.isOperator(caller):
		return sel, nil
	case sel.Provider != "" || sel.Group != "":
		return sel, forbidden("only members of server.operators may end sessions by provider or group")
	case sel.User != "" && sel.User != caller.identity.User:
		return sel, forbidden(fmt.Sprintf("you may end your own sessions only: user can be %q and nobody else", caller.identity.User))
	case sel.User == "" && sel.ID == "":
		return sel, forbidden(fmt.Sprintf("only members of server.operators may end everyone's sessions; add user=%s for your own", caller.identity.User))
	}
	// The name may be another one than at the login.
	sel.User, sel.Provider, sel.Subject = "", caller.identity.Provider, caller.identity.Subject
	return sel, nil
}

// revokedBy says who ends a session, for the list of ended ones.
func (g *Generation) revokedBy(caller principal) string {
	switch {
	case caller.identity == nil:
		return "who held its token"
	case g.isOperator(caller):
		return auditText(caller.identity.User) + ", an operator"
	}
	return auditText(caller.identity.User)
}

// incompleteRevocation says that sessions may live on (RFC 7009, section 2.2.1).
func incompleteRevocation(err error) error {
	failure := wireError(err)
	if failure.status != http.StatusServiceUnavailable {
		return err
	}
	failure.message = "not all of it could be ended; ask again in a moment"
	return failure
}
