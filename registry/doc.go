// Package registry speaks the registry's protocol: the grammar of scopes, the
// access entries, and the JSON Web Token that a registry verifies offline,
// with the keys that sign it.
//
// It knows nothing of people: what is granted, and to whom, is decided
// elsewhere and handed to [Issuer.Mint].
package registry
