package oidc

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

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
	got, err := c.requestTokens(ctx, m, url.Values{
		"grant_type": {grantPassword}, "username": {login}, "password": {password}, "scope": {strings.Join(scopes, " ")},
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
	got, err := c.requestTokens(ctx, m, url.Values{"grant_type": {grantRefresh}, "refresh_token": {refreshToken.Reveal()}})
	if err != nil {
		return tokens{}, fmt.Errorf("refresh grant at %s: %w", c.cfg.Issuer, err)
	}
	if got.refresh == "" {
		got.refresh = refreshToken.Reveal()
	}
	return got, nil
}

// requestTokens sends a token request, once: it may have arrived, and then a
// second one would be another failed login of a password, and a theft of a
// refresh token to the provider. Errors are those of tokenError.
//
// We will not use x/oauth2 for it: it decodes the response without case and with
// the types of members that are not needed, so that "expires_in": "" loses a
// rotated refresh token.
func (c *client) requestTokens(ctx context.Context, m *metadata, form url.Values) (tokens, error) {
	address, err := m.token.get()
	if err != nil {
		return tokens{}, providers.NotCounted(err)
	}
	if err := ctx.Err(); err != nil {
		return tokens{}, providers.NotCounted(err)
	}
	grant := form.Get("grant_type")
	answer, err := c.post(ctx, m, address, form)
	if err != nil {
		return tokens{}, err
	}
	body, decodeErr := decodeMembers(answer.body)
	switch {
	case !answer.succeeded() || body.text("error") != "": // some providers answer an error with 200
		return tokens{}, tokenError(c.cfg, grant, answer)
	case decodeErr != nil:
		return tokens{}, requestError{text: "malformed answer"}
	}
	got := tokens{body.text("access_token"), body.text("refresh_token"), body.text("id_token"), body.seconds("expires_in")}
	if got.access == "" {
		return tokens{}, requestError{text: "the answer has no access token"}
	}
	return got, nil
}

// answer is a response to a form, of any status.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a *answer) succeeded() bool { return a.status >= 200 && a.status < 300 }

// post sends a form to an endpoint at which the client authenticates. It does not
// end with the client's connection to us (see detachedContext). The error quotes
// no answer; it is marked with [providers.NotCounted] if the form was not sent.
func (c *client) post(ctx context.Context, m *metadata, address string, form url.Values) (*answer, error) {
	ctx, cancel := detachedContext(ctx, c.cfg.Timeout)
	defer cancel()
	var trace requestTrace
	req, err := c.formRequest(trace.attach(ctx), m, address, form)
	if err != nil {
		return nil, providers.NotCounted(err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		err = trace.sanitize(err)
		if !trace.connected.Load() {
			err = providers.NotCounted(err)
		}
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, trace.sanitize(err)
	}
	return &answer{resp.StatusCode, resp.Header, body}, nil
}

// formRequest returns a POST request of a form, with the client authenticated
// (RFC 6749, section 2.3.1). form is not changed.
func (c *client) formRequest(ctx context.Context, m *metadata, address string, form url.Values) (*http.Request, error) {
	style, err := m.authStyle(c.cfg)
	if err != nil {
		return nil, err
	}
	fields := url.Values{}
	for name, values := range form {
		fields[name] = slices.Clone(values)
	}
	if style != authBasic {
		fields.Set("client_id", c.cfg.ClientID)
	}
	if style == authPost {
		fields.Set("client_secret", c.cfg.ClientSecret.Reveal())
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(fields.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if style == authBasic {
		req.SetBasicAuth(url.QueryEscape(c.cfg.ClientID), url.QueryEscape(c.cfg.ClientSecret.Reveal()))
	}
	return req, nil
}
