package pages

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"shorepass/internal/secret"
	"shorepass/providers"
	"shorepass/session"
)

// logoutSkew is how far a provider's clock may be behind ours: sessions that began so long
// after a logout token was issued end too.
const logoutSkew = time.Minute

// logOutByProvider answers POST /logout/NAME: a provider says with a logout token that a
// person logged out there (OpenID Connect Back-Channel Logout 1.0, sections 2.5 to 2.8).
// The token is the only proof: the request comes from the provider's server, without a
// cookie. A token that comes twice ends nothing more.
func (p *Pages) logOutByProvider(ctx context.Context, v *Visit) (*Response, error) {
	provider := v.Request.PathValue("provider")
	if !p.offers(provider) {
		return p.backChannelRefusal(v, http.StatusNotFound, "invalid_request", errUnknownProvider), nil
	}
	v.Record.Action, v.Record.Provider = ActionBackChannelLogout, provider
	tokens := v.Form["logout_token"]
	if len(tokens) != 1 || tokens[0] == "" {
		return p.backChannelRefusal(v, http.StatusBadRequest, "invalid_request", errors.New("the form has not exactly one logout_token")), nil
	}
	token, err := p.Providers.VerifyLogoutToken(ctx, provider, secret.New(tokens[0]))
	if err == nil {
		err = p.endSessionsOf(ctx, v, provider, token)
	}
	switch {
	case errors.Is(err, providers.ErrRejected):
		return p.backChannelRefusal(v, http.StatusBadRequest, "invalid_request", err), nil
	case err != nil:
		return p.backChannelRefusal(v, http.StatusServiceUnavailable, "temporarily_unavailable", err), nil
	}
	return &Response{Status: http.StatusOK}, nil
}

// endSessionsOf ends the sessions that a logout token means: those in the browser and,
// where it says so, the logins and personal access tokens that were made from them.
func (p *Pages) endSessionsOf(ctx context.Context, v *Visit, provider string, token *providers.LogoutToken) error {
	sel, err := loggedOut(provider, token)
	if err != nil {
		return err
	}
	ended, err := p.Admin.Revoke(ctx, sel, session.ByBackChannelLogout)
	v.Record.Ended = &ended
	if err != nil || sel.SID == "" || token.Subject == "" {
		return err
	}
	// A session whose ID token had no sid may be of the provider's session too.
	without := session.Selector{Provider: provider, Subject: token.Subject, NoSID: true, Kind: session.KindBrowser, Before: sel.Before}
	more, err := p.Admin.Revoke(ctx, without, session.ByBackChannelLogout)
	ended += more
	return err
}

// loggedOut returns which sessions a logout token means: those of the provider's session
// or, where it names none, of the person. One that names neither means no session, and must
// not select those of everybody.
func loggedOut(provider string, token *providers.LogoutToken) (session.Selector, error) {
	sel := session.Selector{Provider: provider, SID: token.SID, Before: token.IssuedAt.Add(logoutSkew)}
	if sel.SID == "" {
		sel.Subject = token.Subject
	}
	if sel.SID == "" && sel.Subject == "" || token.IssuedAt.IsZero() {
		return session.Selector{}, fmt.Errorf("%w: the logout token names neither a session nor a person that can be told", providers.ErrRejected)
	}
	if !token.Offline {
		sel.Kind = session.KindBrowser
	}
	return sel, nil
}

// backChannelRefusal returns the answer to a provider whose logout token was refused or
// could not be verified.
func (p *Pages) backChannelRefusal(v *Visit, status int, code string, err error) *Response {
	v.Record.Err = err
	body, marshalErr := json.Marshal(map[string]string{"error": code})
	if marshalErr != nil {
		panic(marshalErr) // a map of strings can always be marshalled
	}
	response := &Response{Status: status, Body: body, Header: http.Header{"Content-Type": {"application/json"}}}
	if status == http.StatusServiceUnavailable {
		errUnavailable.setHeader(response.Header)
	}
	return response
}
