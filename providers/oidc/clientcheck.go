package oidc

import (
	"context"
	"errors"
	"net/http"
	"time"

	"shorepass/internal/ctxmutex"
	"shorepass/internal/secret"
	"shorepass/providers"
)

// madeUpToken is a refresh token that no provider issued.
const madeUpToken = "shorepass-check-live-not-a-token"

// clientCheck is a cache of the last finding of checkClient, with the TTL
// pingTTL.
type clientCheck struct {
	mu      ctxmutex.Mutex
	finding providers.Finding // guarded by mu
	at      time.Time         // guarded by mu; zero until the first
}

// checkClient reports whether the provider accepts our client. It redeems a
// made-up refresh token: a provider that accepts the client refuses the token
// (invalid_grant), another one the client (invalid_client). It spends nothing,
// and no account counts it as a failed login.
func (p *Provider) checkClient(ctx context.Context, m *metadata) providers.Finding {
	c := &p.clientCheck
	if err := c.mu.Lock(ctx); err != nil {
		return providers.Warningf("", "client %s: not checked: %v", p.cfg.ClientID, err)
	}
	defer c.mu.Unlock()
	if c.at.IsZero() || time.Since(c.at) >= pingTTL {
		_, err := p.client.refreshGrant(ctx, m, secret.New(madeUpToken))
		c.finding, c.at = clientFinding(p.cfg, err), time.Now()
	}
	return c.finding
}

// clientFinding interprets the error of a refresh grant with a made-up token.
func clientFinding(cfg Config, err error) providers.Finding {
	response, answered := errors.AsType[errorResponse](err)
	switch {
	case err == nil:
		return providers.Warningf("", "client %s: the provider accepted a refresh token that it never issued", cfg.ClientID)
	case errors.Is(err, providers.ErrRejected) && (response.status != http.StatusUnauthorized || response.code == "invalid_grant" || response.code == "invalid_token"):
		return providers.Infof("client %s: accepted (a made-up refresh token was refused: %v)", cfg.ClientID, response)
	case !answered:
		return providers.Faultf(providers.KeyOf(err), "client %s: the token endpoint cannot be reached: %v", cfg.ClientID, err)
	case !cfg.grants(grantRefresh) && response.status == http.StatusBadRequest && (response.code == "unauthorized_client" || response.code == "unsupported_grant_type"):
		return providers.Infof("client %s: not checked, since it may not use the grant refresh_token: %v", cfg.ClientID, response)
	case response.aboutClient():
		return providers.Faultf(response.key(cfg), "client %s: the provider refuses it: %v", cfg.ClientID, response)
	case response.status == http.StatusUnauthorized:
		return providers.Warningf("client_secret", "client %s: the provider seems to refuse it: %v", cfg.ClientID, response)
	}
	return providers.Warningf(response.key(cfg), "client %s: not checked: %v", cfg.ClientID, response)
}
