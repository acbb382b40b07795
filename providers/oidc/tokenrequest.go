package oidc

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"shorepass/internal/secret"
	"shorepass/providers"
)

// tokens are the tokens of a token response (RFC 6749, section 5.1; OpenID
// Connect Core 1.0, section 3.1.3.3); "" for one that is missing.
type tokens struct {
	access, refresh, id string
	lifetime            time.Duration // of access; 0 if it is not known
}

// passwordGrant exchanges a password for tokens (RFC 6749, section 4.3).
func (c *client) passwordGrant(ctx context.Context, m *metadata, login, password string, scopes []string) (tokens, error) {
	got, err := c.requestTokens(ctx, m, grantPassword, func(ctx context.Context, config *oauth2.Config) (*oauth2.Token, error) {
		config.Scopes = scopes
		return config.PasswordCredentialsToken(ctx, login, password)
	})
	if err != nil {
		return tokens{}, fmt.Errorf("password grant at %s: %w", c.cfg.Issuer, notCountedIfUnread(err))
	}
	return got, nil
}

// refreshGrant exchanges a refresh token for tokens (RFC 6749, section 6), for
// the scopes that it was issued with. The refresh token of the answer is the next
// one, or the same where the provider does not rotate it.
func (c *client) refreshGrant(ctx context.Context, m *metadata, refreshToken secret.Text) (tokens, error) {
	got, err := c.requestTokens(ctx, m, grantRefresh, func(ctx context.Context, config *oauth2.Config) (*oauth2.Token, error) {
		return config.TokenSource(ctx, &oauth2.Token{RefreshToken: refreshToken.Reveal()}).Token()
	})
	if err != nil {
		return tokens{}, fmt.Errorf("refresh grant at %s: %w", c.cfg.Issuer, err)
	}
	return got, nil
}

// codeGrant exchanges an authorization code for tokens (RFC 6749, section 4.1.3; RFC 7636,
// section 4.5).
func (c *client) codeGrant(ctx context.Context, m *metadata, code string, request providers.AuthorizationRequest) (tokens, error) {
	got, err := c.requestTokens(ctx, m, grantCode, func(ctx context.Context, config *oauth2.Config) (*oauth2.Token, error) {
		config.RedirectURL = request.RedirectURI
		return config.Exchange(ctx, code, oauth2.VerifierOption(request.Verifier.Reveal()))
	})
	if err != nil {
		return tokens{}, fmt.Errorf("authorization code grant at %s: %w", c.cfg.Issuer, err)
	}
	return got, nil
}

// grantCode is the grant of a person who signs in with a browser, as the token endpoint
// calls it.
const grantCode = "authorization_code"

// grantClientCredentials is the grant of a client for itself.
const grantClientCredentials = "client_credentials"

// clientCredentialsGrant requests an access token of the client itself (RFC 6749,
// section 4.4). The error is never one of the kinds that reject a person.
func (c *client) clientCredentialsGrant(ctx context.Context, m *metadata, scope string) (tokens, error) {
	got, err := c.requestTokens(ctx, m, grantClientCredentials, func(ctx context.Context, config *oauth2.Config) (*oauth2.Token, error) {
		credentials := clientcredentials.Config{
			ClientID:     config.ClientID,
			ClientSecret: config.ClientSecret,
			TokenURL:     config.Endpoint.TokenURL,
			AuthStyle:    config.Endpoint.AuthStyle,
			Scopes:       []string{scope},
		}
		return credentials.Token(ctx)
	})
	if err != nil {
		return tokens{}, fmt.Errorf("client credentials grant at %s: %v", c.cfg.Issuer, err)
	}
	return got, nil
}

// requestTokens sends the token request of a grant, by calling send once: it may
// have arrived, and then a second one would be another failed login of a password,
// and a theft of a refresh token to the provider. It does not end with the
// client's connection to us (see detachedContext). Errors are those of tokenError,
// or marked with [providers.NotCounted] if the request was not sent.
func (c *client) requestTokens(ctx context.Context, m *metadata, grant string, send func(context.Context, *oauth2.Config) (*oauth2.Token, error)) (tokens, error) {
	address, err := m.token.get()
	if err != nil {
		return tokens{}, providers.NotCounted(err)
	}
	config, err := c.oauth2Config(m, address)
	if err != nil {
		return tokens{}, providers.NotCounted(err)
	}
	if err := ctx.Err(); err != nil {
		return tokens{}, providers.NotCounted(err)
	}
	assertion, err := c.assertion(m)
	if err != nil {
		return tokens{}, providers.NotCounted(err)
	}
	ctx, cancel := detachedContext(ctx, c.cfg.Timeout)
	defer cancel()
	var trace requestTrace
	httpClient, transport := c.normalizing(tokenMembers)
	if assertion != nil {
		transport.next = asserting{transport.next, assertion}
	}
	token, err := send(context.WithValue(trace.attach(ctx, requestToken), oauth2.HTTPClient, httpClient), config)
	if err == nil {
		return tokensOf(token), nil
	}
	failed, ok := errors.AsType[*oauth2.RetrieveError](err)
	switch {
	case ok:
		return tokens{}, tokenError(c.cfg, grant, failed)
	case transport.answer != nil: // a JSON object without an error
		return tokens{}, requestError{text: "the answer has no access token"}
	case trace.connected.Load():
		return tokens{}, trace.sanitize(err)
	}
	return tokens{}, providers.NotCounted(trace.sanitize(err))
}

func tokensOf(token *oauth2.Token) tokens {
	got := tokens{access: token.AccessToken, refresh: token.RefreshToken}
	got.id, _ = token.Extra("id_token").(string)
	if !token.Expiry.IsZero() {
		got.lifetime = time.Until(token.Expiry)
	}
	return got
}

// oauth2Config returns our client, an endpoint, and how the client authenticates
// there (RFC 6749, section 2.3.1). The style is never AuthStyleAutoDetect, with
// which x/oauth2 sends a request that was rejected a second time.
func (c *client) oauth2Config(m *metadata, address string) (*oauth2.Config, error) {
	style, err := m.authStyle(c.cfg)
	if err != nil {
		return nil, err
	}
	config := &oauth2.Config{
		ClientID:     c.cfg.ClientID,
		ClientSecret: c.cfg.ClientSecret.Reveal(),
		Endpoint:     oauth2.Endpoint{TokenURL: address, AuthStyle: oauth2.AuthStyleInParams},
	}
	switch style {
	case authBasic:
		config.Endpoint.AuthStyle = oauth2.AuthStyleInHeader
	case authNone, authKey:
		config.ClientSecret = ""
	}
	return config, nil
}
