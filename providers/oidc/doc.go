// Package oidc authenticates people and jobs at an OpenID provider.
//
// Three kinds of credential can arrive as the password, each accepted only where
// grants names it: the corporate password, by the resource owner password grant
// (RFC 6749, section 4.3); the provider's own refresh token, by the refresh grant
// (section 6); and an ID token (OpenID Connect Core 1.0, section 2), verified
// here against the provider's published keys.
//
// With the grant browser people sign in at the provider itself, by the authorization code
// grant with PKCE (browser.go has the request, authresponse.go the response), and log out
// there (logouttoken.go).
//
// A request that may have reached the token endpoint is never retried, so one
// wrong password is one failed login at the provider. An outage is never a wrong
// password: only an error response about the person or the grant is a rejection
// (tokenerror.go has the table), any other error means unavailable.
//
// No text of a response to a request with a secret leaves the package: it may
// quote the secret, in any encoding. Errors hold an HTTP status, an error code
// out of a closed table, or the kind of a connection error (requesterror.go).
//
// go-oidc discovers the provider and verifies its ID tokens, and x/oauth2 sends
// the grants. Both decode without case, and fail at the type of a member that is
// not needed, so that they get each answer normalized (normalize.go): names of
// members and claims count as they are spelled, and of an answer only the members
// that are needed.
//
// Refused on purpose: redirects, endpoints on hosts that the configuration does
// not name, symmetric signatures, and keys and key locations in a token's header.
// Distributed claims are not fetched: their groups are unsure, unless groups.graph
// names Microsoft Graph, which has those of Entra ID (graphgroups.go).
//
//	p, err := oidc.New(oidc.Config{
//		Issuer:   "https://sso.corp.example/realms/corp",
//		ClientID: "registry",
//		Grants:   []string{"password", "refresh_token"},
//	}.WithDefaults())
package oidc
