// Package session keeps shorepass's own tokens: offline refresh tokens
// (sp_r_), personal access tokens (sp_p_) and robots' tokens (sp_b_).
//
// A token is opaque, 256 random bits and a checksum; the store keeps only its
// SHA-256. It stays the same for its life, since docker writes a refresh token
// once and never writes a rotated one back; what changes is behind it. At each
// redemption the session is read from the store, so that a revocation holds at
// once on every replica, and after Config.Revalidate the provider is asked
// again, once however many clients come at once.
package session

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"shorepass/providers"
)

// Config is the [session] table.
type Config struct {
	// Store is where sessions are kept: "sqlite:FILE", default
	// "sqlite:shorepass.db", or "postgres://…".
	Store providers.Secret `toml:"store" path:"write,sqlite:"`

	// SealKey seals the providers' refresh tokens: base64 of 32 bytes. Left
	// out, it is made at first start beside a SQLite store.
	SealKey providers.Secret `toml:"seal_key"`

	Revalidate        time.Duration `toml:"revalidate"`         // after this the provider is asked again. Default "5m".
	Grace             time.Duration `toml:"grace"`              // how long a provider that is down is forgiven. Default "1h".
	Idle              time.Duration `toml:"idle"`               // ends what was not redeemed for so long. Default "90d".
	Lifetime          time.Duration `toml:"lifetime"`           // ends every session. Default "365d".
	Unused            time.Duration `toml:"unused"`             // ends what was never redeemed. Default "7d".
	UncheckedLifetime time.Duration `toml:"unchecked_lifetime"` // where the provider cannot be asked again. Default "12h".
	CILifetime        time.Duration `toml:"ci_lifetime"`        // for who logged in with an ID token. Default "1h".
	PerPerson         int           `toml:"per_person"`         // sessions a person has at most. Default 1000.
}

var (
	// ErrRefused says that a token is mangled, unknown, revoked, expired, of
	// another kind, or made for another service. The client gets 401, and one
	// answer for all of these; which it was stands in the wrapping error.
	ErrRefused = errors.New("token refused")

	// ErrUnavailable says that the store or the session's provider cannot
	// answer. The client gets 503.
	ErrUnavailable = errors.New("sessions are unavailable")
)

// Client is what a request says of its sender, kept as information only.
type Client struct {
	Address   netip.Addr
	ID        string // client_id
	UserAgent string
}

// Session is one login that lives on behind a token.
type Session struct {
	ID       string              // public: what list prints and revoke takes
	Kind     Kind                // what the token may do
	Service  string              // the one registry it is good for
	Identity *providers.Identity // the person as last read from the provider; Renewal is left out
	Created  time.Time
	Expires  time.Time
	LastUsed time.Time // the zero Time when never redeemed
	Checked  time.Time // when the provider last vouched for the person
	Client   Client    // who logged in
}

// Providers is what sessions ask of the chain of providers.
type Providers interface {
	// Revalidate asks the provider that id.Provider names about id again, and
	// applies to its answer what the chain applies to a login. The errors are
	// those of [providers.Revalidator]; providers.ErrCannotRevalidate says that
	// this provider is never able to.
	Revalidate(ctx context.Context, id *providers.Identity) (*providers.Identity, error)

	// Fingerprint returns the fingerprint of the provider of that name, or ""
	// when there is none.
	Fingerprint(provider string) string

	// PerSession reports whether each session of that provider is
	// revalidated on its own, rather than once a person.
	PerSession(provider string) bool

	// RevokeRenewal tells the provider that a renewal will not be used again.
	RevokeRenewal(ctx context.Context, provider string, renewal providers.Secret) error
}
