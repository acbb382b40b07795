package oidc

import (
	"context"
	"errors"
	"fmt"

	"shorepass/internal/secret"
	"shorepass/providers"
)

// PerSession implements [providers.Revalidator]: each session has a refresh
// token of its own.
func (p *Provider) PerSession() bool { return true }

// OneTokenPerPerson implements [providers.RefreshTokenOptions].
func (p *Provider) OneTokenPerPerson() bool { return p.cfg.SignIns == signInsOne }

// RevokeWhen implements [providers.RefreshTokenOptions].
func (p *Provider) RevokeWhen() providers.RevokeWhen { return providers.RevokeWhen(p.cfg.Revoke) }

// Revalidate implements [providers.Revalidator] by the refresh grant (RFC 6749,
// section 6), with the refresh token in id.RefreshToken. The caller sees to it that
// no two calls have one RefreshToken at a time: a provider that rotates takes the
// second for a theft. When a call fails after the provider rotated the token,
// the error is a [*providers.RotatedError] with the new one.
func (p *Provider) Revalidate(ctx context.Context, id *providers.Identity) (*providers.Identity, error) {
	if id.RefreshToken.IsZero() || !p.cfg.grants(grantRefresh) {
		return nil, fmt.Errorf("%w: there is no refresh token", providers.ErrCannotRevalidate)
	}
	m, err := p.readyMetadata(ctx)
	if err != nil {
		return nil, err
	}
	token, err := p.client.refresh(ctx, m, id.RefreshToken)
	if err != nil {
		return nil, asGone(err)
	}
	ctx, cancel := detachedContext(ctx, maxTimeout) // the old token is used up: see it through
	defer cancel()
	refreshToken := secret.New(token.RefreshToken)
	again, err := p.identify(ctx, m, token)
	if err != nil {
		if err = asGone(err); !refreshToken.Equal(id.RefreshToken) {
			err = &providers.RotatedError{RefreshToken: refreshToken, Err: err}
		}
		return nil, err
	}
	again.RefreshToken = refreshToken
	return again, nil
}

// gone turns a refusal into ErrGone: to a session, invalid_grant and a missing
// claim are not a flag on the account, but something that may be put right.
func asGone(err error) error {
	if errors.Is(err, providers.ErrRejected) {
		return fmt.Errorf("%w: %v", providers.ErrGone, err)
	}
	return err
}

// ready returns the metadata once everything that an answer is verified with is
// at hand, so that no refresh token is used up while the keys cannot be read. Its
// errors are marked with [providers.NotSent].
func (p *Provider) readyMetadata(ctx context.Context) (*metadata, error) {
	m, err := p.discovery.get(ctx)
	if err != nil {
		return nil, providers.NotSent(err)
	}
	if _, err := p.keys.get(ctx); err != nil {
		return nil, providers.NotSent(err)
	}
	return m, nil
}

// Revoke implements [providers.Revoker] (RFC 7009). A provider without an
// endpoint for it is not an error: there is nothing to be done.
func (p *Provider) Revoke(ctx context.Context, refreshToken secret.Text) error {
	if refreshToken.IsZero() {
		return nil
	}
	m, err := p.discovery.get(ctx)
	if err != nil {
		return err
	}
	return p.client.revoke(ctx, m, refreshToken)
}
