// Package registry speaks the registry's protocol: the grammar of scopes, the
// access entries, and the JSON Web Token that a registry verifies offline,
// with the keys that sign it.
//
// A registry (distribution 2.8 and 3, the GitLab container registry, zot) sends
// its clients away for a token. What they ask for comes in as scopes, and what
// they are granted goes out as access in a signed token:
//
//	scopes, err := registry.ParseScopes(query["scope"])   // scope.go
//	service, err := issuer.Service(query.Get("service"))  // issuer.go
//	access := decide(who, scopes)                         // somebody else's business
//	token, err := issuer.Mint(service, user, access, now) // token.go
//
// The package knows nothing of people: what is granted, and to whom, is decided
// elsewhere and handed to [Issuer.Mint]. It refuses nothing that it is handed
// there, except for a service that is unknown or disabled. [Issuer.Verify]
// answers as a registry would what was minted here, for anyone who wants to know
// whether a login fails at the registry or before it.
//
// # Keys
//
// A registry trusts a root certificate (its rootcertbundle). That root's key
// signs no token. Each process makes a key in memory, certifies it with the
// root, and sends the certificate along in the token's header x5c; a day later
// it makes another (leaf.go). So keys change without a word to any registry,
// and replicas share nothing but the root. [CreateRoot] makes one, and one made
// by openssl does as well.
//
// Anyone who wants no root key on the replicas gives a leaf that is certified
// elsewhere (given.go); it is read again when its files change. And where a
// registry cannot follow x5c, or should trust one key alone, signing = "kid" or
// "libtrust" lets the configured key itself sign (signer.go, keyid.go). That is
// never guessed.
//
// Any certificate under the root can sign any token for every registry that
// trusts it: the root belongs to shorepass alone. [AuthSettings.Block] prints what a
// registry needs in its own configuration, and says so there.
//
// # Time
//
// Registries allow a token a minute of leeway, or, like zot, none, and a
// certificate never any. So a token begins ten seconds ago, and ends a minute
// later than its client is told; a leaf begins an hour ago; and neither
// outlives the certificates above it.
//
// No goroutine runs here. What has to happen from time to time happens within
// Mint: whoever comes first does it, and the others do not wait.
package registry
