package pages

import (
	"context"
	"errors"
	"net/http"
	"time"

	"shorepass/providers"
	"shorepass/session"
)

// logoutView is the data of logout.html, which asks before the session ends.
type logoutView struct {
	Provider string // its label, where the person can log out there too; else empty
}

// signedOutView is the data of signedout.html.
type signedOutView struct {
	Provider string // its label, where the person may still be logged in there; else empty
	URL      string // logs out there; empty where it was asked for and cannot be reached
}

// forwardView is the data of forward.html: a page that leads straight to the provider. A
// redirect would be blocked, since form-action holds for what a form is redirected to.
type forwardView struct {
	Provider string // its label
	URL      string // logs out there, and comes back to GET /logout
}

// logoutURLTimeout is how long a logout waits for the discovery document of a provider.
const logoutURLTimeout = 3 * time.Second

// bySignOut says who ended the session, for lists.
const bySignOut = "signing out in the browser"

// showLogout answers GET /logout: what a logout ends and what not, or that the person is
// signed out. It asks no provider about the session, so that one that is down keeps no person
// from logging out.
func (p *Pages) showLogout(ctx context.Context, v *Visit) (*Response, error) {
	token := p.sessionToken(v.Request)
	if token.IsZero() {
		return p.signedOutPage(v, signedOutView{}), nil
	}
	found, err := p.Admin.Inspect(ctx, token)
	switch {
	case errors.Is(err, session.ErrRefused):
		return p.signedOutPage(v, signedOutView{}), nil
	case err != nil:
		return nil, err
	}
	var data logoutView
	if at, to := p.logoutAt(ctx, found); to != "" {
		data.Provider = at.Label
	}
	return p.page(v, http.StatusOK, "logout", view{Title: v.text.get("logout.title"), Person: found.Identity.User, Data: data}), nil
}

// logOut answers POST /logout: it ends the session of the cookie, and no other login. With
// the field provider it leads to the provider's logout as well.
func (p *Pages) logOut(ctx context.Context, v *Visit) (*Response, error) {
	was, err := p.endSession(ctx, v)
	if err != nil {
		return nil, err
	}
	v.setCookie(p.deletion(cookieSession))
	var data signedOutView
	if was != nil {
		if at, to := p.logoutAt(ctx, was); at != nil {
			data = signedOutView{at.Label, to}
		}
	}
	var response *Response
	switch leads := v.Form.Get("provider") != ""; {
	case leads && data.URL != "":
		response = p.page(v, http.StatusOK, "forward", view{Title: v.text.get("signed_out.title"), Data: forwardView(data)})
	case !leads && data.URL == "":
		response = p.signedOutPage(v, signedOutView{}) // the provider has no logout
	default:
		response = p.signedOutPage(v, data)
	}
	response.Header.Set("Clear-Site-Data", `"cache"`) // not "cookies": that reaches every host of the domain
	return response, nil
}

// endSession ends the session of the cookie, and records that. It returns the session, or
// nil where there is none to end.
func (p *Pages) endSession(ctx context.Context, v *Visit) (*session.Session, error) {
	token := p.sessionToken(v.Request)
	if token.IsZero() {
		return nil, nil
	}
	was, isEnded, err := p.Admin.RevokeToken(ctx, token, bySignOut)
	switch {
	case errors.Is(err, session.ErrRefused): // such as an unknown token
		return nil, nil
	case err != nil:
		return nil, err
	}
	ended := 0
	if isEnded {
		ended = 1
	}
	v.Record = Record{Action: ActionSignOut, Identity: was.Identity, Session: was, Target: was, Ended: &ended}
	return was, nil
}

func (p *Pages) signedOutPage(v *Visit, data signedOutView) *Response {
	return p.page(v, http.StatusOK, "signedout", view{Title: v.text.get("signed_out.title"), Data: data})
}

// logoutAt returns the provider at which the person of a session signed in with a browser,
// nil for none, and the URL that logs out there, empty where it has none or is down.
func (p *Pages) logoutAt(ctx context.Context, s *session.Session) (*providers.BrowserProvider, string) {
	at := p.provider(s.Identity.Provider)
	if at == nil {
		return nil, ""
	}
	ctx, cancel := context.WithTimeout(ctx, logoutURLTimeout)
	defer cancel()
	to, err := p.Providers.LogoutURL(ctx, at.Name, p.url("/logout"))
	if err != nil {
		return at, ""
	}
	return at, to
}
