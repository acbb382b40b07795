package oidc

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"strings"
	"time"
)

// userinfo returns the claims of the userinfo endpoint for an access token
// (OpenID Connect Core 1.0, section 5.3). sub is among them.
func (p *Provider) userinfo(ctx context.Context, m *metadata, access string) (claimSet, error) {
	resp, err := p.client.getUserinfo(ctx, m, access)
	if err != nil {
		return nil, err
	}
	var claims claimSet
	if token, ok := resp.jwt(); ok {
		claims, err = p.verifier.verifyUserinfo(ctx, token, responseRequirements(p.cfg))
	} else {
		claims, err = decodeClaims(resp.body)
	}
	if err != nil {
		return nil, err
	}
	if _, err := claims.subject(); err != nil {
		return nil, err
	}
	return claims, nil
}

// getUserinfo requests the userinfo endpoint. The request is idempotent, so it is
// retried once unless the provider answered with a status below 500: the refresh
// token that led here may be used up already.
func (c *client) getUserinfo(ctx context.Context, m *metadata, access string) (*response, error) {
	address, err := m.userinfo.get()
	if err != nil {
		return nil, err
	}
	resp, err := c.get(ctx, requestUserinfo, address, access)
	if status, answered := errors.AsType[statusError](err); err != nil && ctx.Err() == nil && (!answered || status >= 500) {
		resp, err = c.get(ctx, requestUserinfo, address, access)
	}
	return resp, err
}

// jwt returns the body if it is a JWT in compact form, by the Content-Type or by
// its first letters, which encode the beginning of a JSON object.
func (r *response) jwt() (string, bool) {
	text := strings.TrimSpace(string(r.body))
	media, _, _ := mime.ParseMediaType(r.contentType)
	return text, media == "application/jwt" && !strings.HasPrefix(text, "{") || strings.HasPrefix(text, "ey")
}

// verifyUserinfo verifies a userinfo response that is a signed JWT (OpenID
// Connect Core 1.0, sections 5.3.2 and 5.3.4), and returns its claims. iss, aud
// and exp are optional there; one that is present must be right.
func (v *verifier) verifyUserinfo(ctx context.Context, raw string, want requirements) (claimSet, error) {
	if err := checkHeader(raw, nil); err != nil {
		return nil, fmt.Errorf("%w: %w", errInvalidToken, err)
	}
	payload, err := v.verifySigned(ctx, raw, false)
	if err != nil {
		return nil, err
	}
	claims, err := decodeClaims(payload)
	if err != nil {
		return nil, err
	}
	if iss, ok := claims["iss"]; ok && iss != v.issuer {
		return nil, fmt.Errorf("its iss is not %q byte for byte", v.issuer)
	}
	if _, ok := claims["aud"]; ok {
		if err := claims.checkAudience(want); err != nil {
			return nil, err
		}
	}
	if _, ok := claims["exp"]; ok {
		return claims, claims.checkTimes(time.Now(), 0)
	}
	return claims, nil
}
