package providers

import (
	"context"
	"fmt"
	"net/netip"
	"net/url"
	"time"

	"shorepass/internal/secret"
)

// BrowserSignIn is a Provider at which a person signs in with a browser: the
// authorization code grant with PKCE (RFC 6749, section 4.1; RFC 7636; OpenID Connect Core
// 1.0, section 3.1).
type BrowserSignIn interface {
	// SignsIn reports whether the provider has the grant browser. Without it no other
	// method is called.
	SignsIn() bool

	// Label is what the sign-in page calls the provider.
	Label() string

	// AuthorizationURL returns the URL at the provider to which the browser is sent. It
	// requests the discovery document if it is not cached, and pushes the request where
	// the provider demands that (RFC 9126). Any error means that the provider is
	// unavailable.
	AuthorizationURL(ctx context.Context, request AuthorizationRequest) (string, error)

	// RedeemCode exchanges the code of an authorization response for tokens, once, and
	// returns the identity of their ID token. The error is an [*AuthorizationError] where
	// the response has an error, and wraps ErrRejected where response or ID token are not
	// the answer to the request (state, nonce, iss, code, auth_time), or the person
	// may not log in; any other means that the provider is unavailable. AuthTime is zero
	// where the provider does not tell it.
	RedeemCode(ctx context.Context, response AuthorizationResponse) (*SignedIn, error)

	// LogoutURL returns the URL at the provider at which a person logs out there and
	// from which the browser comes back to returnTo (OpenID Connect RP-Initiated Logout
	// 1.0), or "" where the provider has none.
	LogoutURL(ctx context.Context, returnTo string) (string, error)

	// VerifyLogoutToken verifies a logout token (OpenID Connect Back-Channel Logout 1.0,
	// section 2.6). The error wraps ErrRejected where the token is not valid; any other
	// means that the provider is unavailable.
	VerifyLogoutToken(ctx context.Context, token secret.Text) (*LogoutToken, error)
}

// AuthorizationRequest is what an authorization request and its response have in common.
// The browser keeps it, sealed, until the response.
type AuthorizationRequest struct {
	RedirectURI string      // the provider's own callback, so that no other provider's response is taken for it
	State       string      // random; checked by the caller
	Nonce       string      // random; in the ID token
	Verifier    secret.Text // code_verifier (RFC 7636); the request has its S256 challenge
	LoginHint   string      // login_hint; empty for none
	Consent     bool        // prompt=consent, for providers that give a refresh token only then

	// MaxAge is the longest time between the person's authentication and Made, in
	// max_age; an older auth_time is refused. The provider may be configured with a
	// shorter one.
	MaxAge time.Duration
	Made   time.Time // of the request; the zero Time is the time of the response

	Address netip.Addr // of the browser; the zero Addr where it is unknown
}

// AuthorizationResponse is the query with which the browser comes back from the provider,
// and the request that it answers.
type AuthorizationResponse struct {
	Request AuthorizationRequest
	Params  url.Values // code and iss (RFC 9207), or error
}

// SignedIn is the identity of a person who signed in with a browser.
type SignedIn struct {
	Identity     *Identity
	SID          string // the provider's session (the sid claim); empty where it has none
	NeedsConsent bool   // the provider gave no refresh token, and may give one for a request with Consent
}

// AuthorizationError is an error that the provider sent the browser back with (RFC 6749,
// section 4.1.2.1; OpenID Connect Core 1.0, section 3.1.2.6).
type AuthorizationError struct {
	Code string // one of a closed list, else "other"
}

func (e *AuthorizationError) Error() string {
	return fmt.Sprintf("the provider sent the browser back with the error %s", e.Code)
}

// LogoutToken says whose sessions a provider ended (OpenID Connect Back-Channel Logout 1.0,
// section 2.4).
type LogoutToken struct {
	Subject  string    // as [Identity.Subject]; empty where the token names only a session, or the claims of the subject are others
	SID      string    // the provider's session; empty where the token names only a person
	IssuedAt time.Time // sessions that began later are not meant
	Offline  bool      // refresh tokens end too: the token says so (revoke_offline_access of Keycloak), or the configuration does
}

// BrowserProvider is a provider that the sign-in page offers.
type BrowserProvider struct {
	Name  string // the configured name
	Label string // what people call it
}
