package oidc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"shorepass/providers"
)

// googleIssuer is the issuer of Google, which gives a refresh token for
// access_type=offline and has no scope for it.
const googleIssuer = "https://accounts.google.com"

// SignsIn implements [providers.BrowserSignIn]: grants name browser.
func (p *Provider) SignsIn() bool { return p.cfg.grants(grantBrowser) }

// Label implements [providers.BrowserSignIn].
func (p *Provider) Label() string { return p.cfg.Label }

// AuthorizationURL implements [providers.BrowserSignIn]. Parameters that the
// authorization_endpoint has in its query are kept (RFC 6749, section 3.1), except for
// those of the request. The endpoint must be on a host that the configuration names, as
// those to which we send secrets: who can change the discovery document must not send
// people to a page that asks for their passwords.
func (p *Provider) AuthorizationURL(ctx context.Context, request providers.AuthorizationRequest) (string, error) {
	m, err := p.discovery.get(ctx)
	if err != nil {
		return "", err
	}
	address, err := m.authorization.get()
	if err != nil {
		return "", err
	}
	params := p.authorizationParams(m, request)
	if m.requiresPush {
		reference, err := p.client.pushAuthorization(ctx, m, params)
		if err != nil {
			return "", err
		}
		params = url.Values{"client_id": {p.cfg.ClientID}, "request_uri": {reference}}
	}
	return withQuery(address, params)
}

// authorizationParams returns the parameters of an authorization request (RFC 6749,
// section 4.1.1; RFC 7636, section 4.3; OpenID Connect Core 1.0, section 3.1.2.1). Consent
// is asked for only where a refresh token is wanted, which is what it is for.
func (p *Provider) authorizationParams(m *metadata, request providers.AuthorizationRequest) url.Values {
	wantsRefreshToken := p.cfg.grants(grantRefresh)
	params := url.Values{
		"response_type":         {"code"},
		"client_id":             {p.cfg.ClientID},
		"redirect_uri":          {request.RedirectURI},
		"scope":                 {strings.Join(m.scopesOf(p.cfg, wantsRefreshToken), " ")},
		"state":                 {request.State},
		"nonce":                 {request.Nonce},
		"code_challenge":        {oauth2.S256ChallengeFromVerifier(request.Verifier.Reveal())},
		"code_challenge_method": {"S256"},
	}
	prompt := slices.Clone(p.cfg.Prompt)
	if request.Consent && wantsRefreshToken && !slices.Contains(prompt, promptConsent) {
		prompt = append(prompt, promptConsent)
	}
	if maxAge := p.maxAge(request); maxAge > 0 {
		params.Set("max_age", strconv.FormatInt(int64(maxAge/time.Second), 10))
	}
	for name, value := range map[string]string{
		"prompt":     strings.Join(prompt, " "),
		"acr_values": strings.Join(p.cfg.ACRValues, " "),
		"login_hint": request.LoginHint,
	} {
		if value != "" {
			params.Set(name, value)
		}
	}
	if wantsRefreshToken && p.cfg.Issuer == googleIssuer {
		params.Set("access_type", "offline")
	}
	return params
}

// maxAge returns the time since the person authenticated that a request allows, 0 for any:
// the shorter one of the request's own and the configured one.
func (p *Provider) maxAge(request providers.AuthorizationRequest) time.Duration {
	if request.MaxAge > 0 && (p.cfg.MaxAge == 0 || request.MaxAge < p.cfg.MaxAge) {
		return request.MaxAge
	}
	return p.cfg.MaxAge
}

// withQuery sets parameters in the query of a URL.
func withQuery(address string, params url.Values) (string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", err
	}
	query := u.Query()
	for name, values := range params {
		query[name] = values
	}
	u.RawQuery = query.Encode()
	return u.String(), nil
}

// LogoutURL implements [providers.BrowserSignIn] (OpenID Connect RP-Initiated Logout 1.0,
// section 2). It has no id_token_hint, so a provider may ask the person first.
func (p *Provider) LogoutURL(ctx context.Context, returnTo string) (string, error) {
	m, err := p.discovery.get(ctx)
	if err != nil {
		return "", err
	}
	address, err := m.endSession.get()
	if errors.Is(err, errNoEndpoint) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return withQuery(address, url.Values{"client_id": {p.cfg.ClientID}, "post_logout_redirect_uri": {returnTo}})
}

// maxRequestURI bounds a request_uri, in bytes: it goes into a URL.
const maxRequestURI = 2 << 10

// pushAuthorization sends the parameters of an authorization request to the provider, and
// returns the request_uri that stands for them (RFC 9126). No error quotes the answer.
func (c *client) pushAuthorization(ctx context.Context, m *metadata, params url.Values) (string, error) {
	address, err := m.pushed.get()
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	var trace requestTrace
	req, err := c.formRequest(trace.attach(ctx, requestPush), m, address, params)
	if err != nil {
		return "", err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return "", fmt.Errorf("push an authorization request to %s: %w", c.cfg.Issuer, trace.sanitize(err))
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", fmt.Errorf("push an authorization request to %s: %w", c.cfg.Issuer, trace.sanitize(err))
	}
	answer, err := decodeMembers(body)
	reference := answer.text("request_uri")
	switch {
	case resp.StatusCode != http.StatusCreated && resp.StatusCode != http.StatusOK:
		return "", fmt.Errorf("push an authorization request to %s: %w", c.cfg.Issuer, pushError(c.cfg, resp, answer))
	case err != nil || reference == "" || len(reference) > maxRequestURI:
		return "", fmt.Errorf("push an authorization request to %s: the answer has no request_uri", c.cfg.Issuer)
	}
	return reference, nil
}

// pushError returns the error of a pushed authorization request that the provider refused,
// with the key to change if it blames the configuration.
func pushError(cfg Config, resp *http.Response, answer members) error {
	refused := errorResponse{endpoint: "the endpoint for pushed authorization requests", status: resp.StatusCode, code: answer.text("error")}
	switch key := refused.key(cfg); {
	case key != "":
		return providers.WithKey(key, refused)
	case refused.code == "invalid_request" || refused.code == "invalid_redirect_uri":
		return fmt.Errorf("%w: is the redirect URI registered for the client there?", refused)
	}
	return refused
}
