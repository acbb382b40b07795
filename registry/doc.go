// Package registry speaks the registry's protocol: the grammar of scopes, the
// access entries, and the JSON Web Token that a registry verifies offline,
// with the keys that sign it.
//
// A registry (distribution 2.8 and 3, the GitLab container registry, zot) sends
// its clients to us for a token. A request has scopes, and the signed token has
// access entries:
//
//	scopes, err := registry.ParseScopes(query["scope"])   // scope.go
//	service, err := issuer.Service(query.Get("service"))  // issuer.go
//	access := decide(who, scopes)                         // another package
//	token, err := issuer.Mint(service, user, access, now) // token.go
//
// The package knows nothing of people. Its caller decides what is granted to
// whom. [Issuer.Mint] refuses only a service that is unknown or disabled.
// [Issuer.Verify] verifies a token as a registry does, to find out whether a
// login fails at the registry or before it.
//
// # Keys
//
// A registry trusts a root certificate (its rootcertbundle). The root's key signs
// no token. Each process makes a leaf key in memory, certifies it under the root,
// and sends the leaf certificate in the header x5c of each token. The leaf is
// rotated daily (rotatingleaf.go). So no registry needs to be told of a new key,
// and replicas share nothing but the root. [CreateRoot] makes a root; one made by
// openssl does as well.
//
// An operator who wants no root key on the replicas configures a leaf that is
// certified elsewhere; it is reloaded when its files change (reloadingleaf.go).
// For a registry that cannot follow x5c, or should trust one key alone, signing =
// "kid" or "libtrust" lets the configured key itself sign (signer.go, keyid.go).
// It is never chosen by default.
//
// Any certificate under the root can sign any token for every registry that
// trusts the root, so the root belongs to shorepass alone. [AuthSettings.Block]
// prints what a registry needs in its own configuration, with that warning.
//
// # Time
//
// Registries allow the times of a token a minute of leeway, or none (zot), and
// those of a certificate never any. So a token is backdated by ten seconds and
// ends a minute later than its client is told, a leaf is backdated by an hour,
// and neither outlives the certificates above it.
//
// The package has no goroutines. Periodic work is done within Mint, by the first
// caller that finds it due; the others do not wait.
package registry
