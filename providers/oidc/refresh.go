package oidc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/oauth2"

	"shorepass/internal/secret"
	"shorepass/providers"
)

// PerSession implements [providers.Revalidator]: each session has a refresh
// token of its own.
func (p *Provider) PerSession() bool { return true }

// Revalidate implements [providers.Revalidator] by the refresh grant (RFC 6749,
// section 6), with the refresh token in id.Renewal. The caller sees to it that
// no two calls have one Renewal at a time: a provider that rotates takes the
// second for a theft. When a call fails after the provider rotated the token,
// the error is a [*providers.RotatedError] with the new one.
func (p *Provider) Revalidate(ctx context.Context, id *providers.Identity) (*providers.Identity, error) {
	if id.Renewal.IsZero() || !p.cfg.grants(grantRefresh) {
		return nil, fmt.Errorf("%w: there is no refresh token", providers.ErrCannotRevalidate)
	}
	m, err := p.ready(ctx)
	if err != nil {
		return nil, err
	}
	token, err := p.refresh(ctx, m, id.Renewal)
	if err != nil {
		return nil, gone(err)
	}
	ctx, cancel := detached(ctx, maxTimeout) // the old token is used up: see it through
	defer cancel()
	renewal := secret.New(token.RefreshToken)
	again, err := p.identify(ctx, m, token)
	if err != nil {
		if err = gone(err); !renewal.Equal(id.Renewal) {
			err = &providers.RotatedError{Renewal: renewal, Err: err}
		}
		return nil, err
	}
	again.Renewal = renewal
	return again, nil
}

// gone turns a refusal into ErrGone: to a session, invalid_grant and a missing
// claim are not a flag on the account, but something that may be put right.
func gone(err error) error {
	if errors.Is(err, providers.ErrRejected) {
		return fmt.Errorf("%w: %v", providers.ErrGone, err)
	}
	return err
}

// ready returns the metadata once everything that an answer is verified with is
// at hand, so that no refresh token is used up while the keys cannot be read.
func (p *Provider) ready(ctx context.Context) (*metadata, error) {
	m, err := p.discovery.get(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := p.keys.get(ctx); err != nil {
		return nil, err
	}
	return m, nil
}

// refresh redeems a refresh token, for the scopes that it was made with.
func (p *Provider) refresh(ctx context.Context, m *metadata, renewal secret.Text) (*oauth2.Token, error) {
	token, err := p.ask(ctx, m, nil, func(ctx context.Context, c *oauth2.Config) (*oauth2.Token, error) {
		return c.TokenSource(ctx, &oauth2.Token{RefreshToken: renewal.Reveal()}).Token()
	})
	if err != nil {
		return nil, fmt.Errorf("refresh grant at %s: %w", p.cfg.Issuer, err)
	}
	return token, nil
}

// Revoke implements [providers.Revoker] (RFC 7009). A provider without an
// endpoint for it is not an error: there is nothing to be done.
func (p *Provider) Revoke(ctx context.Context, renewal secret.Text) error {
	if renewal.IsZero() {
		return nil
	}
	m, err := p.discovery.get(ctx)
	if err != nil {
		return err
	}
	address, err := m.revocation.use()
	if errors.Is(err, errNoEndpoint) {
		return nil
	}
	if err != nil {
		return err
	}
	req, err := p.revocation(m, address, renewal)
	if err != nil {
		return err
	}
	ctx, cancel := detached(ctx, p.cfg.Timeout)
	defer cancel()
	resp, err := p.client.Do(req.WithContext(ctx))
	if err != nil {
		return fmt.Errorf("revoke a refresh token at %s: %w", p.cfg.Issuer, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("revoke a refresh token at %s: %w", p.cfg.Issuer, statusError(resp.StatusCode))
	}
	return nil
}

// revocation makes the request, with the client authenticated as at the token
// endpoint (RFC 7009, section 2.1; RFC 6749, section 2.3.1).
func (p *Provider) revocation(m *metadata, address string, renewal secret.Text) (*http.Request, error) {
	style, err := m.authStyle(p.cfg)
	if err != nil {
		return nil, err
	}
	form := url.Values{"token": {renewal.Reveal()}, "token_type_hint": {"refresh_token"}}
	if style == oauth2.AuthStyleInParams {
		form.Set("client_id", p.cfg.ClientID)
		if !p.cfg.ClientSecret.IsZero() {
			form.Set("client_secret", p.cfg.ClientSecret.Reveal())
		}
	}
	req, err := http.NewRequest(http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if style == oauth2.AuthStyleInHeader {
		req.SetBasicAuth(url.QueryEscape(p.cfg.ClientID), url.QueryEscape(p.cfg.ClientSecret.Reveal()))
	}
	return req, nil
}
