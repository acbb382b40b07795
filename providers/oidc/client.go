package oidc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"

	goidc "github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"shorepass/internal/latency"
	"shorepass/internal/secret"
)

// client is our client at the provider (RFC 6749, section 2). It is safe for
// concurrent use.
type client struct {
	cfg      Config
	key      *clientKey // nil without client_key
	http     *http.Client
	requests *latency.Recorder // those to Microsoft Graph included
}

// revoke revokes a refresh token (RFC 7009) if the provider has an endpoint for
// it. It does not end with the client's connection to us (see detachedContext).
func (c *client) revoke(ctx context.Context, m *metadata, refreshToken secret.Text) error {
	address, err := m.revocation.get()
	if errors.Is(err, errNoEndpoint) {
		return nil
	}
	if err != nil {
		return err
	}
	ctx, cancel := detachedContext(ctx, c.cfg.Timeout)
	defer cancel()
	form := url.Values{"token": {refreshToken.Reveal()}, "token_type_hint": {"refresh_token"}}
	var trace requestTrace
	req, err := c.formRequest(trace.attach(ctx, requestRevocation), m, address, form)
	if err != nil {
		return err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("revoke a refresh token at %s: %w", c.cfg.Issuer, trace.sanitize(err))
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("revoke a refresh token at %s: %w", c.cfg.Issuer, statusError(resp.StatusCode))
	}
	return nil
}

// formRequest returns a request that x/oauth2 has not, with the client authenticated as
// at the token endpoint (RFC 7009, section 2.1; RFC 9126, section 2).
func (c *client) formRequest(ctx context.Context, m *metadata, address string, form url.Values) (*http.Request, error) {
	config, err := c.oauth2Config(m, address)
	if err != nil {
		return nil, err
	}
	inHeader := config.Endpoint.AuthStyle == oauth2.AuthStyleInHeader
	if !inHeader {
		form.Set("client_id", config.ClientID)
	}
	if !inHeader && config.ClientSecret != "" {
		form.Set("client_secret", config.ClientSecret)
	}
	assertion, err := c.assertion(m)
	if err != nil {
		return nil, err
	}
	maps.Copy(form, assertion)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if inHeader {
		req.SetBasicAuth(url.QueryEscape(config.ClientID), url.QueryEscape(config.ClientSecret))
	}
	return req, nil
}

// assertion returns the parameters with a client assertion, none if the client does not
// authenticate by one.
func (c *client) assertion(m *metadata) (url.Values, error) {
	if c.key == nil {
		return nil, nil
	}
	return c.key.assertion(c.cfg, m)
}

// discoveryMembers are the needed members of a discovery document (OpenID Connect
// Discovery 1.0, section 3; RFC 8414, section 2; RFC 8705, section 5; RFC 9126, section 5;
// RFC 9207, section 3; OpenID Connect RP-Initiated Logout 1.0, section 2.1, and
// Back-Channel Logout 1.0, section 2.1).
var discoveryMembers = schema{
	"issuer": asText, "token_endpoint": asText, "userinfo_endpoint": asText, "revocation_endpoint": asText,
	"jwks_uri": asText, "mtls_endpoint_aliases": asSent,
	"authorization_endpoint": asText, "pushed_authorization_request_endpoint": asText, "end_session_endpoint": asText,
	"require_pushed_authorization_requests": asSent, "authorization_response_iss_parameter_supported": asSent,
	"backchannel_logout_supported":     asSent,
	"code_challenge_methods_supported": asTexts, "response_types_supported": asTexts,
	"token_endpoint_auth_signing_alg_values_supported": asTexts,
	"token_endpoint_auth_methods_supported":            asTexts, "grant_types_supported": asTexts,
	"scopes_supported": asTexts, "id_token_signing_alg_values_supported": asTexts,
}

var errNotADocument = errors.New("the answer is not a discovery document")

// discover requests the discovery document below address, and returns its needed
// members and how far the provider's clock is ahead of ours. The caller compares
// the issuer, which go-oidc expects to be the address. No error quotes the answer.
func (c *client) discover(ctx context.Context, address string) (members, time.Duration, error) {
	var trace requestTrace
	httpClient, transport := c.normalizing(discoveryMembers)
	ctx = goidc.ClientContext(trace.attach(ctx, requestDiscovery), httpClient)
	found, err := goidc.NewProvider(goidc.InsecureIssuerURLContext(ctx, c.cfg.Issuer), address)
	switch answer := transport.answer; {
	case errors.Is(err, errNotAnObject):
		return nil, 0, errNotADocument
	case answer != nil && answer.StatusCode != http.StatusOK:
		return nil, 0, statusError(answer.StatusCode)
	case err != nil:
		return nil, 0, trace.sanitize(err)
	}
	var doc members
	if found.Claims(&doc) != nil {
		return nil, 0, errNotADocument
	}
	return doc, clockOffset(transport.answer.Header), nil
}

// clockOffset returns how far a Date header is ahead of our clock, 0 without one.
func clockOffset(header http.Header) time.Duration {
	date, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		return 0
	}
	return time.Until(date)
}

// response is a response of the provider with status 200.
type response struct {
	body        []byte
	contentType string
}

// get requests a URL of the provider; operation is the name of the request, and bearer is an access token to send, or "".
// Any status but 200 is an error. No error quotes the response.
func (c *client) get(ctx context.Context, operation, address, bearer string) (*response, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	var trace requestTrace
	req, err := http.NewRequestWithContext(trace.attach(ctx, operation), http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
		req.Header.Set("Accept", "application/json, application/jwt")
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
	return &response{body: body, contentType: resp.Header.Get("Content-Type")}, nil
}
