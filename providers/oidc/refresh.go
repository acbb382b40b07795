package oidc

import (
	"context"
	"errors"
	"fmt"
	"time"

	"shorepass/internal/duration"
	"shorepass/internal/secret"
	"shorepass/providers"
)

// PerSignIn implements [providers.Revalidator]: each sign-in has a refresh token
// of its own.
func (p *Provider) PerSignIn() bool { return true }

// OneTokenPerPerson implements [providers.RefreshTokenOptions].
func (p *Provider) OneTokenPerPerson() bool { return p.cfg.SignIns == signInsOne }

// RevokeWhen implements [providers.RefreshTokenOptions].
func (p *Provider) RevokeWhen() providers.RevokeWhen { return providers.RevokeWhen(p.cfg.Revoke) }

// Reauthenticate implements [providers.RefreshTokenOptions].
func (p *Provider) Reauthenticate() time.Duration { return p.cfg.Reauthenticate }

// checkSignIn rejects a token whose person signed in at the provider longer ago than
// Reauthenticate. Sessions check it by themselves.
func (p *Provider) checkSignIn(id *providers.Identity) error {
	if age := time.Since(id.AuthTime); p.cfg.Reauthenticate > 0 && age >= p.cfg.Reauthenticate {
		return reject("the person signed in at the provider %s ago, longer than reauthenticate (%s)", age.Round(time.Second), duration.Format(p.cfg.Reauthenticate))
	}
	return nil
}

// Revalidate implements [providers.Revalidator] by the refresh grant (RFC 6749,
// section 6) with id.RefreshToken. The caller must prevent concurrent calls with
// one refresh token: a provider that rotates takes the second for a theft. If a
// call fails after the rotation, the error is a [*providers.RotatedError] with
// the new token.
func (p *Provider) Revalidate(ctx context.Context, id *providers.Identity) (*providers.Identity, error) {
	if id.RefreshToken.IsZero() || !p.cfg.grants(grantRefresh) {
		return nil, fmt.Errorf("%w: there is no refresh token", providers.ErrCannotRevalidate)
	}
	m, err := p.readyMetadata(ctx)
	if err != nil {
		return nil, err
	}
	got, err := p.client.refreshGrant(ctx, m, id.RefreshToken)
	if err != nil {
		return nil, asGone(notCountedIfUnread(err))
	}
	ctx, cancel := detachedContext(ctx, maxTimeout) // the old token is used up, so finish
	defer cancel()
	refreshToken := secret.New(got.refresh)
	again, err := p.identify(ctx, m, got)
	if err != nil {
		if err = asGone(err); !refreshToken.Equal(id.RefreshToken) {
			err = &providers.RotatedError{RefreshToken: refreshToken, Err: err}
		}
		return nil, err
	}
	again.RefreshToken = refreshToken
	return again, nil
}

// asGone turns a rejection by the provider into ErrGone: invalid_grant may be temporary,
// so it must not end a session immediately, as a disabled account does at other
// providers. A rejection by the configuration, such as for a missing claim, stays one:
// it ends no session, since the cure is here or with the provider's administrator.
func asGone(err error) error {
	if errors.Is(err, providers.ErrRejected) && providers.ReasonOf(err) != providers.RefusedByConfig {
		return fmt.Errorf("%w: %v", providers.ErrGone, err)
	}
	return err
}

// readyMetadata returns the metadata once the signing keys are cached too, so that no
// refresh token is used up while its response could not be verified. Errors are
// marked with [providers.NotCounted].
func (p *Provider) readyMetadata(ctx context.Context) (*metadata, error) {
	m, err := p.discovery.get(ctx)
	if err != nil {
		return nil, providers.NotCounted(err)
	}
	if _, err := p.keys.get(ctx); err != nil {
		return nil, providers.NotCounted(err)
	}
	return m, nil
}

// Revoke implements [providers.Revoker] (RFC 7009). It does nothing if the
// provider has no revocation endpoint.
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
