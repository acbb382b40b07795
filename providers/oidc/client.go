package oidc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	goidc "github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"shorepass/internal/secret"
	"shorepass/providers"
)

// client is our client at the provider (RFC 6749, section 2). It is safe for
// concurrent use.
type client struct {
	cfg  Config
	http *http.Client
}

// requestToken sends a token request of a grant, by calling send once. It never
// retries: the request may have arrived, and then a password would be a second
// failed login, and a refresh token a theft to the provider. Errors are those of
// tokenError.
func (c *client) requestToken(ctx context.Context, m *metadata, grant string, scopes []string, send func(context.Context, *oauth2.Config) (*oauth2.Token, error)) (*oauth2.Token, error) {
	address, err := m.token.get()
	if err != nil {
		return nil, providers.NotCounted(err)
	}
	style, err := m.authStyle(c.cfg)
	if err != nil {
		return nil, providers.NotCounted(err)
	}
	if err := ctx.Err(); err != nil {
		return nil, providers.NotCounted(err)
	}
	ctx, cancel := detachedContext(ctx, c.cfg.Timeout)
	defer cancel()
	var trace requestTrace
	token, err := send(trace.attach(goidc.ClientContext(ctx, c.http)), &oauth2.Config{
		ClientID:     c.cfg.ClientID,
		ClientSecret: c.cfg.ClientSecret.Reveal(),
		Endpoint:     oauth2.Endpoint{TokenURL: address, AuthStyle: style},
		Scopes:       scopes,
	})
	if err != nil {
		return nil, tokenError(grant, err, &trace)
	}
	return token, nil
}

// refresh redeems a refresh token, for the scopes that it was issued with.
func (c *client) refresh(ctx context.Context, m *metadata, refreshToken secret.Text) (*oauth2.Token, error) {
	token, err := c.requestToken(ctx, m, grantRefresh, nil, func(ctx context.Context, config *oauth2.Config) (*oauth2.Token, error) {
		return config.TokenSource(ctx, &oauth2.Token{RefreshToken: refreshToken.Reveal()}).Token()
	})
	if err != nil {
		return nil, fmt.Errorf("refresh grant at %s: %w", c.cfg.Issuer, err)
	}
	return token, nil
}

// revoke revokes a refresh token (RFC 7009) if the provider has an endpoint for
// it.
func (c *client) revoke(ctx context.Context, m *metadata, refreshToken secret.Text) error {
	address, err := m.revocation.get()
	if errors.Is(err, errNoEndpoint) {
		return nil
	}
	if err != nil {
		return err
	}
	req, err := c.revocationRequest(m, address, refreshToken)
	if err != nil {
		return err
	}
	ctx, cancel := detachedContext(ctx, c.cfg.Timeout)
	defer cancel()
	var trace requestTrace
	resp, err := c.http.Do(req.WithContext(trace.attach(ctx)))
	if err != nil {
		return fmt.Errorf("revoke a refresh token at %s: %w", c.cfg.Issuer, trace.sanitize(err))
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("revoke a refresh token at %s: %w", c.cfg.Issuer, statusError(resp.StatusCode))
	}
	return nil
}

// revocationRequest returns the revocation request, with the client authenticated
// as at the token endpoint (RFC 7009, section 2.1; RFC 6749, section 2.3.1).
func (c *client) revocationRequest(m *metadata, address string, refreshToken secret.Text) (*http.Request, error) {
	style, err := m.authStyle(c.cfg)
	if err != nil {
		return nil, err
	}
	form := url.Values{"token": {refreshToken.Reveal()}, "token_type_hint": {"refresh_token"}}
	if style == oauth2.AuthStyleInParams {
		form.Set("client_id", c.cfg.ClientID)
		if !c.cfg.ClientSecret.IsZero() {
			form.Set("client_secret", c.cfg.ClientSecret.Reveal())
		}
	}
	req, err := http.NewRequest(http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if style == oauth2.AuthStyleInHeader {
		req.SetBasicAuth(url.QueryEscape(c.cfg.ClientID), url.QueryEscape(c.cfg.ClientSecret.Reveal()))
	}
	return req, nil
}

// userinfo requests the claims for an access token (OpenID Connect Core 1.0,
// section 5.3). The request is idempotent, so it is retried once unless the
// provider answered with a status below 500: the refresh token that led here may
// be used up already.
func (c *client) userinfo(ctx context.Context, m *metadata, access string) (claimSet, error) {
	address, err := m.userinfo.get()
	if err != nil {
		return nil, err
	}
	resp, err := c.get(ctx, address, access)
	if status, answered := errors.AsType[statusError](err); err != nil && ctx.Err() == nil && (!answered || status >= 500) {
		resp, err = c.get(ctx, address, access)
	}
	if err != nil {
		return nil, err
	}
	claims, err := decodeClaims(resp.body)
	if err != nil {
		return nil, err
	}
	if _, err := claims.subject(); err != nil {
		return nil, err
	}
	return claims, nil
}

// response is a response of the provider with status 200.
type response struct {
	body        []byte
	contentType string
	clockOffset time.Duration // of its Date header to our clock; 0 without one
}

// get requests a URL of the provider; bearer is an access token to send, or "".
// Any status but 200 is an error. No error quotes the response.
func (c *client) get(ctx context.Context, address, bearer string) (*response, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	var trace requestTrace
	req, err := http.NewRequestWithContext(trace.attach(ctx), http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, trace.sanitize(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, trace.sanitize(err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, statusError(resp.StatusCode)
	}
	got := &response{body: body, contentType: resp.Header.Get("Content-Type")}
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		got.clockOffset = time.Until(date)
	}
	return got, nil
}
