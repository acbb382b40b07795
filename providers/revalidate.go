package providers

import (
	"context"
	"fmt"
	"slices"
	"time"

	"shorepass/internal/secret"
)

// member returns the provider of that name, or nil.
func (c *Chain) member(name string) *member {
	i := slices.IndexFunc(c.members, func(m *member) bool { return m.config.Name == name })
	if i < 0 {
		return nil
	}
	return c.members[i]
}

// Revalidate asks the provider that id.Provider names about id again, and applies to its
// answer the checks of a login. Method and AuthTime stay those of id, since no credential
// is proved anew. The errors are those of [Revalidator] and ErrUnavailable;
// ErrCannotRevalidate where the provider never can; and ErrRejected without ErrEnded where
// it is no longer configured. An error after the RefreshToken rotated wraps a
// [*RotatedError] with the new one.
func (c *Chain) Revalidate(ctx context.Context, id *Identity) (_ *Identity, err error) {
	defer classify(&err)
	m := c.member(id.Provider)
	if m == nil {
		return nil, fmt.Errorf("no provider is called %q: %w", id.Provider, ErrRejected)
	}
	ctx, cancel := context.WithTimeout(ctx, chainLimit)
	defer cancel()
	found, err := m.revalidate(ctx, id)
	if err != nil {
		return nil, err
	}
	again, err := m.adoptRevalidated(found, id)
	if err != nil && found != nil && !found.RefreshToken.Equal(id.RefreshToken) {
		err = &RotatedError{RefreshToken: found.RefreshToken, Err: err}
	}
	return again, err
}

// Fingerprint returns the fingerprint of the provider of that name, or "".
func (c *Chain) Fingerprint(provider string) string {
	if m := c.member(provider); m != nil {
		return m.provider.Fingerprint()
	}
	return ""
}

// PerSignIn reports whether each login at that provider has a sign-in of its own, and a
// refresh token to revalidate it with, rather than all logins of a person sharing one.
func (c *Chain) PerSignIn(provider string) bool {
	m := c.member(provider)
	return m != nil && m.revalidator != nil && m.revalidator.PerSignIn() && (m.refreshOptions == nil || !m.refreshOptions.OneTokenPerPerson())
}

// RevokeWhen returns when that provider is to revoke a refresh token.
func (c *Chain) RevokeWhen(provider string) RevokeWhen {
	if m := c.member(provider); m != nil && m.refreshOptions != nil {
		return m.refreshOptions.RevokeWhen()
	}
	return RevokeSignIn
}

// Reauthenticate returns how long after a person signed in at that provider their
// sessions end, 0 for no limit.
func (c *Chain) Reauthenticate(provider string) time.Duration {
	if m := c.member(provider); m != nil && m.refreshOptions != nil {
		return m.refreshOptions.Reauthenticate()
	}
	return 0
}

// RevokeRefreshToken has the provider revoke a refresh token that will not be used again.
// Without such a provider, or without revocation there, it does nothing.
func (c *Chain) RevokeRefreshToken(ctx context.Context, provider string, refreshToken secret.Text) error {
	m := c.member(provider)
	if m == nil {
		return nil
	}
	return m.revoke(ctx, refreshToken)
}

func (m *member) revoke(ctx context.Context, refreshToken secret.Text) error {
	if m.revoker == nil || refreshToken.IsZero() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, chainLimit)
	defer cancel()
	began := time.Now()
	err := m.revoker.Revoke(ctx, refreshToken)
	m.calls.record(callRevoke, began, err)
	if err != nil {
		return fmt.Errorf("provider %s: %w", m.config.Name, err)
	}
	return nil
}
