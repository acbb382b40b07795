// Package session keeps shorepass's own tokens: offline refresh tokens
// (sp_r_), personal access tokens (sp_p_) and robots' tokens (sp_b_).
//
// A token is opaque, 256 random bits and a checksum; the store keeps only its
// SHA-256. It stays the same for its life, since docker writes a refresh token
// once and never writes a rotated one back; what changes is behind it. At each
// redemption the session is read from the store, so that a revocation holds at
// once on every replica, and after Config.Revalidate the provider is asked
// again, once however many clients come at once.
//
//	sessions, err := session.New(ctx, cfg, store, chain, log)
//	token, made, err := sessions.Issue(ctx, identity, "container_registry", client)
//	found, err := sessions.Redeem(ctx, token, "container_registry", client, session.KindRefresh)
//
// It refuses to guess: a provider that cannot tell ends nothing, and a token
// that is not exactly one of ours reaches neither the store nor a provider.
package session

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"shorepass/internal/secret"
	"shorepass/providers"
)

// ErrRefused says that a token is mangled, unknown, revoked, expired, of
// another kind, or made for another service. The client gets 401, and one
// answer for all of these; which it was stands in the wrapping error.
var ErrRefused = errors.New("token refused")

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
	Identity *providers.Identity // the person as last read from the provider; Renewal is left out. Never to be changed
	Created  time.Time
	Expires  time.Time // when it ends however much it is used
	LastUsed time.Time // the zero Time when never redeemed
	Checked  time.Time // when the provider last vouched for the person

	// Token is the session's own, where it was just made; otherwise it is
	// zero, since the store does not know it.
	Token secret.Text

	// What only List, Inspect and RevokeToken fill in.
	Client Client    // who logged in
	Last   Client    // who redeemed it last
	Ended  time.Time // the zero Time while it lives
	Why    Reason    // why it ended
	By     string    // who ended it, where it was revoked
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

	// RevokeRenewal has the provider revoke a renewal (RFC 7009), where it can.
	RevokeRenewal(ctx context.Context, provider string, renewal secret.Text) error

	// Forget drops what this process remembers of the passwords of those whom
	// match picks, for when they may not come in any more. It asks nobody.
	Forget(match func(*providers.Identity) bool)
}
