package oidc

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	strictjson "github.com/go-jose/go-jose/v4/json" // refuses repeated names, and tells names apart by case

	"shorepass/providers"
)

const (
	maxJWT    = 16 << 10         // bytes of an ID token that came as a password
	clockSkew = 60 * time.Second // tolerance for clock skew
	maxSub    = 255              // OpenID Connect Core 1.0, section 2
)

// errInvalidToken means that a token is invalid. The wrapping error says why.
var errInvalidToken = errors.New("token not accepted")

// errWrongNonce means that a token does not answer the authorization request.
var errWrongNonce = errors.New("its nonce is not that of the request")

// requirements are what a valid ID token must fulfil.
type requirements struct {
	audience          []string      // aud must have one of them
	authorizedParties []string      // allowed in azp
	asPassword        bool          // a client sent it as a password; otherwise it came from the token endpoint
	maxAge            time.Duration // since iat; 0 for any
	nonce             string        // that of the authorization request; "" where there is none
}

// responseRequirements are those of an ID token in a token response.
func responseRequirements(cfg Config) requirements {
	clients := []string{cfg.ClientID}
	return requirements{audience: clients, authorizedParties: append(clients, cfg.AuthorizedParties...)}
}

// passwordRequirements are those of an ID token as a password.
func passwordRequirements(cfg Config) requirements {
	authorizedParties := slices.Concat(cfg.Audience, cfg.AuthorizedParties)
	if cfg.ClientID != "" {
		authorizedParties = append(authorizedParties, cfg.ClientID)
	}
	return requirements{audience: cfg.Audience, authorizedParties: authorizedParties, asPassword: true, maxAge: cfg.MaxTokenAge}
}

// idTokenTypes are the types of an ID token.
var idTokenTypes = []string{"JWT"}

// checkHeader refuses a malformed token, or one of another type, before the
// costly verification (RFC 8725, sections 3.1 and 3.11). types are those of a token
// that a client sent, which is bounded too; nil for one of the provider's answers.
func checkHeader(raw string, types []string) error {
	if types != nil && len(raw) > maxJWT {
		return fmt.Errorf("it has more than %d bytes", maxJWT)
	}
	switch strings.Count(raw, ".") {
	case 2:
	case 4: // RFC 7516, section 3.1
		return errors.New("it is encrypted, and there is no key for it here: have the provider only sign it")
	default:
		return errors.New("it is not a signed JWT in compact form")
	}
	first, _, _ := strings.Cut(raw, ".")
	text, err := base64.RawURLEncoding.Strict().DecodeString(first)
	if err != nil {
		return errors.New("its header is not base64url")
	}
	var header map[string]any
	if err := strictjson.Unmarshal(text, &header); err != nil || header == nil {
		return errors.New("its header is not a JSON object with each name once")
	}
	if _, ok := header["crit"]; ok {
		return errors.New("its header has critical extensions, which are not understood")
	}
	if _, ok := header["b64"]; ok {
		return errors.New("its header has b64")
	}
	if typ, ok := header["typ"]; ok && types != nil && !isType(typ, types) {
		return fmt.Errorf("the typ in its header is not %s, as that of such a token is", types[0])
	}
	return nil
}

// checkClaims refuses a token of another issuer, for another audience, outside of its
// time, or with another nonce. Errors quote no claim: a claim may hold a secret, and
// the token is one.
func (v *verifier) checkClaims(claims claimSet, want requirements) error {
	if iss, _ := claims["iss"].(string); iss != v.issuer {
		return fmt.Errorf("its iss is not %q byte for byte", v.issuer)
	}
	if _, err := claims.subject(); err != nil {
		return err
	}
	if err := claims.checkTimes(time.Now(), want.maxAge); err != nil {
		return err
	}
	if err := claims.checkAudience(want); err != nil {
		return err
	}
	if nonce, _ := claims["nonce"].(string); want.nonce != "" && !equal(nonce, want.nonce) {
		return errWrongNonce
	}
	if !want.asPassword {
		return nil
	}
	if err := claims.checkLookalikes(); err != nil {
		return err
	}
	return claims.checkIsIDToken()
}

// registeredClaims are the claims that decide whether a token is valid.
var registeredClaims = []string{"iss", "sub", "aud", "azp", "exp", "nbf", "iat"}

// checkLookalikes refuses a token that a client sent if a claim differs from a
// registered one only in case ("SUB", or "ſub" with U+017F): no issuer writes
// one, but a forger who hopes for a decoder that folds case does.
func (c claimSet) checkLookalikes() error {
	for name := range c {
		for _, registered := range registeredClaims {
			if name != registered && strings.EqualFold(name, registered) {
				return fmt.Errorf("one of its claims only looks like %q", registered)
			}
		}
	}
	return nil
}

// subject returns the sub claim.
func (c claimSet) subject() (string, error) {
	sub, ok := c["sub"].(string)
	if !ok || sub == "" || len(sub) > maxSub {
		return "", errors.New("its sub is missing, too long or not a text")
	}
	return sub, nil
}

// checkTimes refuses a token that has expired, is not valid yet (exp, nbf,
// iat), or is older than maxAge, unless that is 0. Without iat the age is
// unknown, so exp must be within maxAge from now.
func (c claimSet) checkTimes(now time.Time, maxAge time.Duration) error {
	exp, ok, err := c.numericDate("exp")
	if err != nil {
		return err
	}
	if !ok {
		return errors.New("it has no exp, so it would never expire")
	}
	if !now.Before(exp.Add(clockSkew)) {
		return errors.New("it has expired")
	}
	for _, name := range []string{"nbf", "iat"} {
		from, ok, err := c.numericDate(name)
		if err != nil {
			return err
		}
		if ok && from.After(now.Add(clockSkew)) {
			return fmt.Errorf("its %s is in the future: do the clocks differ?", name)
		}
	}
	if maxAge == 0 {
		return nil
	}
	issued, ok, err := c.numericDate("iat")
	switch {
	case err != nil:
		return err
	case ok && now.After(issued.Add(maxAge+clockSkew)):
		return fmt.Errorf("it was issued more than max_token_age, %s, ago", maxAge)
	case !ok && exp.After(now.Add(maxAge+clockSkew)):
		return fmt.Errorf("it has no iat, and expires later than max_token_age, %s, from now", maxAge)
	}
	return nil
}

// checkAudience checks the audience and the authorized party. If azp is there,
// it must be one of want.authorizedParties. In an ID token as the password it
// may also equal sub, as in the workload tokens of Google, and it is required
// if there are several audiences.
func (c claimSet) checkAudience(want requirements) error {
	var audience []string
	switch aud := c["aud"].(type) {
	case string:
		audience = []string{aud}
	case []any:
		for _, value := range aud {
			text, ok := value.(string)
			if !ok {
				return errors.New("its aud has a value that is not a text")
			}
			audience = append(audience, text)
		}
	}
	if !slices.ContainsFunc(audience, func(a string) bool { return a != "" && slices.Contains(want.audience, a) }) {
		return fmt.Errorf("its aud is not %s", providers.Quoted(want.audience))
	}
	value, ok := c["azp"]
	if !ok && len(audience) > 1 && want.asPassword {
		return errors.New("it has several aud and no azp")
	}
	azp, _ := value.(string)
	if ok && !slices.Contains(want.authorizedParties, azp) && (!want.asPassword || azp == "" || azp != c["sub"]) {
		return fmt.Errorf("its azp is not one of %s", providers.Quoted(want.authorizedParties))
	}
	return nil
}

// checkIsIDToken refuses other tokens of the issuer: access tokens (RFC 9068,
// and those of Keycloak, Entra ID, Okta and Cognito), and Keycloak's refresh
// and logout tokens.
func (c claimSet) checkIsIDToken() error {
	for _, name := range []string{"scope", "scp"} {
		if _, ok := c[name]; ok {
			return fmt.Errorf("it has a %s, so it is an access token", name)
		}
	}
	if typ, ok := c["typ"]; ok && typ != "ID" {
		return errors.New("its typ claim is not ID, as an ID token's is")
	}
	if use, ok := c["token_use"]; ok && use != "id" {
		return errors.New("its token_use claim is not id, as an ID token's is")
	}
	if _, ok := c["events"]; ok {
		return errors.New("it has events, so it is a security event or a logout token")
	}
	return nil
}

// asRejected wraps the error of an invalid token that came as a password in
// ErrRejected.
func asRejected(err error) error {
	if errors.Is(err, errInvalidToken) {
		return fmt.Errorf("%w: %w", providers.ErrRejected, err)
	}
	return err
}
