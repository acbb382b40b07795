package oidc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	goidc "github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"shorepass/providers"
)

// refusals are the errors of a token endpoint that are about the person or the
// grant (RFC 6749, section 5.2; OpenID Connect Core 1.0, section 3.1.2.6;
// mfa_required is Auth0's). All others, such as invalid_client and
// invalid_scope, are about shorepass or about the provider, and say nothing of
// whether a password is right.
var refusals = []string{
	"invalid_grant", "access_denied", "mfa_required",
	"interaction_required", "login_required", "consent_required", "account_selection_required",
}

// ask sends one request to the token endpoint, by way of send. It is sent once:
// whether it arrived cannot be known, and a password that arrives twice is two
// failures, a refresh token that arrives twice is a theft to the provider. The
// error wraps ErrRejected when the provider refused the person or the grant.
func (p *Provider) ask(ctx context.Context, m *metadata, scopes []string, send func(context.Context, *oauth2.Config) (*oauth2.Token, error)) (*oauth2.Token, error) {
	address, err := m.token.use()
	if err != nil {
		return nil, err
	}
	style, err := m.authStyle(p.cfg)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err // nothing is spent yet
	}
	ctx, cancel := detached(ctx, p.cfg.Timeout)
	defer cancel()
	token, err := send(goidc.ClientContext(ctx, p.client), &oauth2.Config{
		ClientID:     p.cfg.ClientID,
		ClientSecret: p.cfg.ClientSecret.Reveal(),
		Endpoint:     oauth2.Endpoint{TokenURL: address, AuthStyle: style},
		Scopes:       scopes,
	})
	if err != nil {
		return nil, tokenError(err)
	}
	return token, nil
}

// tokenError sorts a failure of the token endpoint. The body is left out of the
// text: only its error code and a bounded description are fit for a log.
func tokenError(err error) error {
	answer, ok := errors.AsType[*oauth2.RetrieveError](err)
	if !ok {
		return brief(err)
	}
	status := 0
	if answer.Response != nil {
		status = answer.Response.StatusCode
	}
	said := fmt.Errorf("the token endpoint answered %d %q %q", status, answer.ErrorCode, cut(answer.ErrorDescription))
	// 200 with an error in it is an old habit of some. A 5xx or a 429 is not
	// about the person, whatever it says.
	definite := status == http.StatusOK || status >= 400 && status < 500 && status != http.StatusTooManyRequests && status != http.StatusRequestTimeout
	if definite && slices.Contains(refusals, answer.ErrorCode) {
		return fmt.Errorf("%w: %w", providers.ErrRejected, said)
	}
	return said
}

// userinfo asks for the claims that go with an access token (OpenID Connect
// Core 1.0, section 5.3). Reading twice does no harm, so a fault is met with
// one more try: the refresh token that got us here may be used up already.
func (p *Provider) userinfo(ctx context.Context, m *metadata, access string) (document, error) {
	address, err := m.userinfo.use()
	if err != nil {
		return nil, err
	}
	body, err := p.get(ctx, address, access)
	if status, answered := errors.AsType[statusError](err); err != nil && ctx.Err() == nil && (!answered || status >= 500) {
		body, err = p.get(ctx, address, access)
	}
	if err != nil {
		return nil, err
	}
	claims, err := decodeClaims(body, p.watched)
	if err != nil {
		return nil, err
	}
	if _, err := claims.subject(); err != nil {
		return nil, err
	}
	return claims, nil
}
