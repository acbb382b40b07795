// Package registry speaks the registry's protocol: the grammar of scopes, the
// access entries, and the JSON Web Token that a registry verifies offline,
// with the keys that sign it.
//
// It knows nothing of people: what is granted, and to whom, is decided
// elsewhere and handed to [Issuer.Mint].
package registry

import "time"

// Config is the [token] table: what every service gets unless its own
// [[service]] table says otherwise.
type Config struct {
	// Issuer is the iss claim, equal to the registry's auth.token.issuer.
	Issuer string `toml:"issuer"`

	// Services are the registries served; a request for another is refused.
	Services []string `toml:"services"`

	// Lifetime is what clients are told (expires_in). At least "1m".
	// Default "5m".
	Lifetime time.Duration `toml:"lifetime"`

	// RootCertificate is what the registry has as rootcertbundle, a PEM file.
	RootCertificate string `toml:"root_certificate" path:"read"`

	// RootKey is the private key of RootCertificate, a PEM file.
	RootKey string `toml:"root_key" path:"read"`

	// SigningCertificate is a leaf under the root with its chain, a PEM file,
	// for who wants no root key here. Reread when it changes. Optional.
	SigningCertificate string `toml:"signing_certificate" path:"read"`

	// SigningKey is the private key of SigningCertificate, a PEM file.
	SigningKey string `toml:"signing_key" path:"read"`

	// Signing says how a registry finds the key: "x5c" (a leaf under the
	// root; default where the root is a CA), "kid" (the key itself, with its
	// RFC 7638 thumbprint) or "libtrust" (the same for distribution 2.8).
	Signing string `toml:"signing"`
}

// Service is a [[service]] table: what differs from [token] for one registry.
type Service struct {
	// Name of the service, one of token.services.
	Name string `toml:"name"`

	// Disabled refuses every request for this service.
	Disabled bool `toml:"disabled"`

	Issuer          string        `toml:"issuer"`                       // as in [token]
	Lifetime        time.Duration `toml:"lifetime"`                     // as in [token]
	RootCertificate string        `toml:"root_certificate" path:"read"` // as in [token]
	RootKey         string        `toml:"root_key" path:"read"`         // as in [token]
	Signing         string        `toml:"signing"`                      // as in [token]
}
