package pages

import (
	"context"
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
	signedIn, err := p.Providers.SignIn(ctx, provider, providers.AuthorizationResponse{Request: p.request(s), Params: params})
	if err != nil {
		return nil, err
	}
	again, err := p.needsConsent(ctx, s, signedIn)
	if err != nil {
		return nil, err
	}
	if again {
		v.Record = Record{}
		s.Consent = true
		return p.startSignIn(ctx, v, *s)
	}
	v.setCookie(p.cookie(cookieProvider, provider, rememberProvider))
	return p.beginSession(ctx, v, signedIn, s.To)
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
