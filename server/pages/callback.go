package pages

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"shorepass/providers"
)

// finishSignIn answers GET /login/NAME/callback: the provider sends the browser back with a
// code (RFC 6749, section 4.1.2) or an error.
//
// The response belongs to this browser, since its state is that of a cookie (login CSRF),
// and to this provider, since each has its own callback (mix-up; RFC 9700, section 4.4.2).
// The provider's own part, such as iss, nonce and the verifier, is checked by
// [providers.BrowserSignIn].
func (p *Pages) finishSignIn(ctx context.Context, v *Visit) (*Response, error) {
	provider := v.Request.PathValue("provider")
	if !p.offers(provider) {
		return nil, errUnknownProvider
	}
	v.Record.Action, v.Record.Provider = ActionSignIn, provider
	params, err := responseParams(v.Request)
	if err != nil {
		return nil, err
	}
	s, err := p.takeSignIn(v, params.Get("state"))
	if err != nil {
		return nil, err
	}
	if s.Provider != provider {
		return nil, errSignInMixedUp
	}
	signedIn, err := p.Providers.SignIn(ctx, provider, providers.AuthorizationResponse{Request: p.request(v, s), Params: params})
	if refused, ok := errors.AsType[*providers.AuthorizationError](err); ok && s.Consent {
		return p.goOnWithoutConsent(ctx, v, s, refused)
	}
	if err != nil {
		return nil, err
	}
	asksConsent, err := p.needsConsent(ctx, s, signedIn)
	if err != nil {
		return nil, err
	}
	v.setCookie(p.cookie(cookieProvider, provider, rememberProvider))
	if asksConsent && p.isSignedIn(ctx, v, signedIn.Identity) {
		return p.askConsent(ctx, v, s, redirect(p.routePath(s.To)))
	}
	response, err := p.beginSession(ctx, v, signedIn, s.To)
	if err != nil || !asksConsent {
		return response, err
	}
	return p.askConsent(ctx, v, s, response)
}

// isSignedIn reports whether the browser has a session of a person. Then none needs to begin
// before the person consents: it would end that session, and have the provider revoke a
// refresh token while the person is on its pages.
func (p *Pages) isSignedIn(ctx context.Context, v *Visit, id *providers.Identity) bool {
	token := p.sessionToken(v.Request)
	if token.IsZero() {
		return false
	}
	found, err := p.Admin.Inspect(ctx, token)
	return err == nil && found.Identity.Provider == id.Provider && found.Identity.Subject == id.Subject
}

// askConsent sends the browser to the provider once more, with prompt=consent. The browser
// has a session, which that of the second response replaces: a provider may
// leave the person at a page of its own, as Entra ID does where only an administrator may
// consent. signedIn is the response without a second request.
func (p *Pages) askConsent(ctx context.Context, v *Visit, s *pendingSignIn, signedIn *Response) (*Response, error) {
	again := *s
	again.Consent = true
	response, err := p.startSignIn(ctx, v, again)
	if err != nil {
		v.Record.Err = err
		return signedIn, nil
	}
	return response, nil
}

// goOnWithoutConsent answers a second request that was refused: the session of the first
// response stays, and /me says until when a login lasts.
func (p *Pages) goOnWithoutConsent(ctx context.Context, v *Visit, s *pendingSignIn, refused error) (*Response, error) {
	if _, err := p.signedIn(ctx, v); err != nil {
		return nil, refused
	}
	v.Record.Err = refused
	return redirect(p.routePath(s.To)), nil
}

// responseParams returns the parameters of an authorization response. None is repeated
// (RFC 6749, section 3.1).
func responseParams(r *http.Request) (url.Values, error) {
	params, err := queryOf(r)
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"state", "code", "iss", "error"} {
		if len(params[name]) > 1 {
			return nil, errMalformed
		}
	}
	return params, nil
}

// needsConsent reports whether the person is to be asked for consent: the provider gives a
// refresh token only then, and none of an earlier sign-in is stored. It is asked once: where
// none comes then either, the session lasts as long as one whose provider cannot be asked
// again.
func (p *Pages) needsConsent(ctx context.Context, s *pendingSignIn, signedIn *providers.SignedIn) (bool, error) {
	if s.Consent || !signedIn.NeedsConsent {
		return false, nil
	}
	held, err := p.Sessions.HoldsProviderToken(ctx, signedIn.Identity)
	return !held, err
}
