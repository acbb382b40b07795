// Package oidc proves people and jobs at an OpenID provider.
//
// Three things can arrive as the password, each accepted only where the config
// names its grant: the corporate password, sent on by the resource owner
// password grant (RFC 6749, section 4.3); the provider's own refresh token
// (section 6); and an ID token (OpenID Connect Core 1.0, section 2), verified
// here against the provider's published keys.
//
// What may have arrived at the token endpoint is never sent again, so one wrong
// password is one failure at the provider. Whether the provider is up is never
// a reason to call a password wrong: only an answer is that says so of the person
// (answer.go has the table).
//
// Nothing that the provider says in answer to a request with a secret leaves the
// package: it may be the secret, in any encoding. Errors hold an HTTP status, a
// code out of a closed table, or a fault of the connection (fault.go).
//
// Refused on purpose: redirects, endpoints on hosts that the config does not
// name, symmetric signatures, keys or key locations that a token brings along,
// and claims whose names only look like the ones meant. Distributed claims are not
// fetched: a person whose groups are elsewhere may be in any.
//
//	p, err := oidc.New(oidc.Config{
//		Issuer:   "https://sso.corp.example/realms/corp",
//		ClientID: "registry",
//		Grants:   []string{"password", "refresh_token"},
//	}.WithDefaults())
package oidc
