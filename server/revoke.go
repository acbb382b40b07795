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

// revoked is the answer where sessions were selected. To a token the answer is
// empty: whoever holds it hears nothing about it (RFC 7009, section 2.2).
type revoked struct {
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
	wanted, err := parseRevocation(params, req.at)
	if err != nil {
		return err
	}
	req.noteCredential(cred)
	req.line.Asked = wanted.asked
	who, err := s.authenticateCaller(ctx, gen, cred, req)
	if err != nil {
		return err
	}
	var answer revoked
	if wanted.token.IsZero() {
		answer, err = s.revokeSelected(ctx, gen, wanted.selector, who, req)
	} else {
		err = s.revokeToken(ctx, gen, wanted.token, who, req)
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
	wanted := &revocation{token: tokenOf(params)}
	for _, name := range revokeSelectors {
		if !params.Has(name) {
			continue
		}
		if params.Get(name) == "" {
			return nil, malformed(name + " is empty; say which sessions end, or leave it out")
		}
		wanted.asked = append(wanted.asked, name+"="+bounded(params.Get(name)))
	}
	switch {
	case len(wanted.asked) == 0 && wanted.token.IsZero():
		return nil, malformed("token is missing; send the one to end, or select sessions by " + strings.Join(revokeSelectors, ", "))
	case len(wanted.asked) == 0:
		return wanted, nil
	case params.Has("token"):
		return nil, malformed("token ends one session, and " + wanted.asked[0][:strings.Index(wanted.asked[0], "=")] + " selects some; send one or the other")
	}
	for _, name := range slices.Sorted(maps.Keys(params)) {
		if !slices.Contains(revokeSelectors, name) {
			return nil, malformed(strconv.Quote(bounded(name)) + " selects nothing; there are " + strings.Join(revokeSelectors, ", "))
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
	wanted.selector = sel
	return wanted, nil
}

// revokeToken ends the session of a token for whoever holds it. One that is
// unknown, or ended already, is what was asked for.
func (s *Server) revokeToken(ctx context.Context, gen *Generation, token secret.Text, who principal, req *request) error {
	was, ended, err := s.admin.RevokeToken(ctx, token, gen.nameOf(who))
	switch {
	case errors.Is(err, session.ErrRefused):
		if _, err := gen.Issuer.Verify(token.Reveal(), req.at); err == nil {
			return errNotRevocable
		}
		req.line.Reason = bounded(err.Error())
		return nil
	case err != nil:
		return notEnded(err)
	}
	req.line.Target, req.line.Ended = newTarget(was), new(int)
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
func (s *Server) revokeSelected(ctx context.Context, gen *Generation, sel session.Selector, who principal, req *request) (revoked, error) {
	sel, err := gen.mayEnd(who, sel)
	if err != nil {
		return revoked{}, err
	}
	ended, err := s.admin.Revoke(ctx, sel, gen.nameOf(who))
	req.line.Ended = &ended
	if err != nil {
		return revoked{}, notEnded(err)
	}
	return revoked{&ended}, nil
}

// mayEnd narrows sel to what who may end. Somebody else's session is to a
// person like one that does not exist: neither ends, and neither is told from
// the other.
func (g *Generation) mayEnd(who principal, sel session.Selector) (session.Selector, error) {
	switch {
	case who.identity == nil:
		return sel, errNoCaller
	case g.operates(who):
		return sel, nil
	case sel.Provider != "" || sel.Group != "":
		return sel, forbidden("only members of server.operators may end sessions by provider or group")
	case sel.User != "" && sel.User != who.identity.User:
		return sel, forbidden(fmt.Sprintf("you may end your own sessions only: user can be %q and nobody else", who.identity.User))
	case sel.User == "" && sel.ID == "":
		return sel, forbidden(fmt.Sprintf("only members of server.operators may end everyone's sessions; add user=%s for your own", who.identity.User))
	}
	// The name may be another one than at the login.
	sel.User, sel.Provider, sel.Subject = "", who.identity.Provider, who.identity.Subject
	return sel, nil
}

// nameOf says who ends a session, for the list of ended ones.
func (g *Generation) nameOf(who principal) string {
	switch {
	case who.identity == nil:
		return "who held its token"
	case g.operates(who):
		return bounded(who.identity.User) + ", an operator"
	}
	return bounded(who.identity.User)
}

// notEnded says that sessions may live on (RFC 7009, section 2.2.1).
func notEnded(err error) error {
	failure := wireError(err)
	if failure.status != http.StatusServiceUnavailable {
		return err
	}
	failure.message = "not all of it could be ended; ask again in a moment"
	return failure
}
