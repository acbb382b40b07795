package oidc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"shorepass/internal/secret"
	"shorepass/providers"
)

const (
	// logoutEvent is the member of events that makes a JWT a logout token.
	logoutEvent = "http://schemas.openid.net/event/backchannel-logout"

	// offlineEvent is Keycloak's member of events that says that offline tokens end too.
	offlineEvent = "revoke_offline_access"

	// maxLogoutAge is how long a logout token is valid after its iat, whatever its exp
	// says: a provider sends it at the logout.
	maxLogoutAge = 5 * time.Minute
)

// VerifyLogoutToken implements [providers.BrowserSignIn]. A replay within maxLogoutAge
// is accepted, since it ends no session that began after the iat. A token that names a
// person only, by other claims than those of subject, is refused: no session could be
// found by it.
func (p *Provider) VerifyLogoutToken(ctx context.Context, token secret.Text) (*providers.LogoutToken, error) {
	claims, err := p.verifier.verifyLogout(ctx, token.Reveal(), responseRequirements(p.cfg))
	if err != nil {
		return nil, asRejected(err)
	}
	issued, _, err := claims.numericDate("iat")
	if err != nil {
		return nil, err // unreachable: verifyLogout read it
	}
	events, _ := claims["events"].(map[string]any)
	logout := &providers.LogoutToken{SID: claims.sid(), IssuedAt: issued, Offline: events[offlineEvent] == true || p.cfg.BackchannelLogout == logoutAll}
	if subject, err := p.mapper.subject(claimSets{claims}); err == nil {
		logout.Subject = subject
	}
	if logout.Subject == "" && logout.SID == "" {
		return nil, fmt.Errorf("%w: the logout token has no sid, and lacks %s", providers.ErrRejected, providers.Quoted(p.cfg.Subject))
	}
	return logout, nil
}

// verifyLogout validates a logout token and returns its claims (OpenID Connect
// Back-Channel Logout 1.0, section 2.6). A stranger can send one. The error wraps
// errInvalidToken if the token is invalid; any other means unavailable.
func (v *verifier) verifyLogout(ctx context.Context, raw string, want requirements) (claimSet, error) {
	if err := checkHeader(raw, logoutTypes); err != nil {
		return nil, fmt.Errorf("%w: %w", errInvalidToken, err)
	}
	payload, err := v.verifySigned(ctx, raw, true)
	if err != nil {
		return nil, err
	}
	claims, err := decodeClaims(payload)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errInvalidToken, err)
	}
	if err := v.checkLogoutClaims(claims, want, time.Now()); err != nil {
		return nil, fmt.Errorf("%w: %w", errInvalidToken, err)
	}
	return claims, nil
}

// checkLogoutClaims refuses a token of another issuer, for another client, outside of its
// time, or of another kind. Of an ID token and an access token events tells it apart, and
// nonce. exp is optional, as in earlier drafts; iat is not, and bounds the time.
func (v *verifier) checkLogoutClaims(claims claimSet, want requirements, now time.Time) error {
	if iss, _ := claims["iss"].(string); iss != v.issuer {
		return fmt.Errorf("its iss is not %q byte for byte", v.issuer)
	}
	if err := claims.checkAudience(want); err != nil {
		return err
	}
	if err := claims.checkLookalikes(); err != nil {
		return err
	}
	issued, ok, err := claims.numericDate("iat")
	switch {
	case err != nil:
		return err
	case !ok:
		return errors.New("it has no iat")
	case issued.After(now.Add(clockSkew)):
		return errors.New("its iat is in the future: do the clocks differ?")
	case now.After(issued.Add(maxLogoutAge + clockSkew)):
		return fmt.Errorf("it was issued more than %s ago", maxLogoutAge)
	}
	if expires, ok, err := claims.numericDate("exp"); err != nil || ok && !now.Before(expires.Add(clockSkew)) {
		return errors.New("it has expired")
	}
	return claims.checkIsLogoutToken()
}

// checkIsLogoutToken refuses a token of another kind, and a malformed one.
func (c claimSet) checkIsLogoutToken() error {
	events, _ := c["events"].(map[string]any)
	if _, ok := events[logoutEvent].(map[string]any); !ok {
		return errors.New("its events lack the back-channel logout, so it is not a logout token")
	}
	if _, ok := c["nonce"]; ok {
		return errors.New("it has a nonce, so it is an ID token")
	}
	if jti, _ := c["jti"].(string); jti == "" {
		return errors.New("it has no jti")
	}
	_, hasSub := c["sub"]
	if _, err := c.subject(); hasSub && err != nil {
		return err
	}
	_, hasSID := c["sid"]
	if hasSID && c.sid() == "" {
		return errors.New("its sid is too long or not a text")
	}
	if !hasSub && !hasSID {
		return errors.New("it has neither sub nor sid")
	}
	return nil
}

// logoutTypes are the types of a logout token: its own, and that of JWTs in general, which
// providers of before the final specification send.
var logoutTypes = []string{"logout+jwt", "application/logout+jwt", "JWT"}

// isType reports whether a typ header is one of types, which have no case (RFC 7515,
// section 4.1.9).
func isType(typ any, types []string) bool {
	name, _ := typ.(string)
	return slices.ContainsFunc(types, func(known string) bool { return strings.EqualFold(name, known) })
}
