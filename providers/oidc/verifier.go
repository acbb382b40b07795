package oidc

import (
	"context"
	"fmt"

	goidc "github.com/coreos/go-oidc/v3/oidc"
	jose "github.com/go-jose/go-jose/v4"

	"shorepass/providers"
)

// verifier verifies the ID tokens of one issuer. It is safe for concurrent use.
type verifier struct {
	issuer     string
	algorithms []jose.SignatureAlgorithm
	options    *goidc.Config
	keys       *keyCache
}

// newVerifier returns a verifier for the tokens of cfg.Issuer. checkClaims checks
// issuer, audience and times, since go-oidc accepts two spellings of Google's
// issuer, compares one audience only, ignores azp, and allows another clock skew.
func newVerifier(cfg Config, keys *keyCache) *verifier {
	v := &verifier{
		issuer:  cfg.Issuer,
		options: &goidc.Config{SupportedSigningAlgs: cfg.Algorithms, SkipClientIDCheck: true, SkipExpiryCheck: true, SkipIssuerCheck: true},
		keys:    keys,
	}
	for _, algorithm := range cfg.Algorithms {
		v.algorithms = append(v.algorithms, jose.SignatureAlgorithm(algorithm))
	}
	return v
}

// verify validates an ID token (OpenID Connect Core 1.0, section 3.1.3.7) and
// returns its claims. The error wraps errInvalidToken if the token is invalid;
// any other means unavailable.
func (v *verifier) verify(ctx context.Context, raw string, want requirements) (claimSet, error) {
	var types []string
	if want.asPassword {
		types = idTokenTypes
	}
	if err := checkHeader(raw, types); err != nil {
		return nil, fmt.Errorf("%w: %w", errInvalidToken, err)
	}
	payload, err := v.verifySigned(ctx, raw, want.asPassword)
	if err != nil {
		return nil, err
	}
	claims, err := decodeClaims(payload)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errInvalidToken, err)
	}
	if err := v.checkClaims(claims, want); err != nil {
		return nil, fmt.Errorf("%w: %w", errInvalidToken, err)
	}
	return claims, nil
}

// verifySigned verifies algorithm and signature with go-oidc, and returns the
// payload. The error wraps errInvalidToken, or says why there are no keys. Unlike
// the libraries' errors it quotes nothing of the token.
func (v *verifier) verifySigned(ctx context.Context, raw string, fromClient bool) ([]byte, error) {
	jws, err := jose.ParseSignedCompact(raw, v.algorithms)
	if err != nil {
		return nil, fmt.Errorf("%w: it is malformed, or not signed by one of %s", errInvalidToken, providers.Quoted(v.options.SupportedSigningAlgs))
	}
	var payload []byte
	err = v.keys.verifyWith(ctx, fromClient, func(by *keySnapshot) error {
		set := &tokenKeySet{keys: by, jws: jws}
		_, err := goidc.NewVerifier(v.issuer, set, v.options).Verify(ctx, raw)
		switch {
		case err == nil:
			payload = set.payload
			return nil
		case !set.verified: // go-oidc has no error value for it
			return fmt.Errorf("%w: %w", errInvalidToken, errNoMatchingKey)
		}
		return fmt.Errorf("%w: its claims are not a JSON object", errInvalidToken)
	})
	return payload, err
}

// tokenKeySet is the [goidc.KeySet] for one token and one snapshot of the keys.
type tokenKeySet struct {
	keys *keySnapshot
	jws  *jose.JSONWebSignature // the parsed token

	verified bool
	payload  []byte // as it was signed, once verified
}

// idTokenMembers are the claims that go-oidc gets. It decodes claims without case,
// so that "Nonce": 7 would make a token malformed.
var idTokenMembers = schema{"iss": asText, "sub": asText}

// VerifySignature implements [goidc.KeySet]. It returns the payload normalized.
func (s *tokenKeySet) VerifySignature(context.Context, string) ([]byte, error) {
	if s.payload, s.verified = s.keys.verify(s.jws); !s.verified {
		return nil, errNoMatchingKey
	}
	return normalize(s.payload, idTokenMembers)
}
