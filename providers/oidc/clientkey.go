package oidc

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	jose "github.com/go-jose/go-jose/v4"

	"shorepass/internal/certwatch"
	"shorepass/internal/durable"
	"shorepass/internal/tlsconf"
)

const (
	// maxKeyFile bounds the file of client_key, in bytes.
	maxKeyFile = 1 << 20

	// assertionLifetime is the time between the iat and the exp of a client assertion.
	assertionLifetime = time.Minute

	// assertionType is that of a JWT (RFC 7523, section 2.2).
	assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
)

// clientKey is the private key with which our client authenticates: it signs a client
// assertion for each request (private_key_jwt; RFC 7523, section 2.2; OpenID Connect Core
// 1.0, section 9). It is safe for concurrent use.
type clientKey struct {
	private     crypto.Signer
	certificate *x509.Certificate // nil if the file has none
	id          string            // the RFC 7638 thumbprint of the public key
}

// readClientKey reads the file of client_key: the first private key in it, and the
// certificate of that key if it has one.
func readClientKey(name string) (*clientKey, error) {
	text, _, err := durable.ReadSecret(name, maxKeyFile)
	if err != nil {
		return nil, err
	}
	blocks, err := tlsconf.DecodePEM(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	k := new(clientKey)
	var certificates []*x509.Certificate
	for _, block := range blocks {
		switch {
		case block.Type == "CERTIFICATE":
			certificate, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return nil, fmt.Errorf("%s: a certificate cannot be read", name)
			}
			certificates = append(certificates, certificate)
		case strings.HasSuffix(block.Type, "PRIVATE KEY") && k.private == nil:
			if k.private, err = tlsconf.ParseKey(block); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	if k.private == nil {
		return nil, fmt.Errorf("%s holds no PEM private key", name)
	}
	if len(k.algorithms()) == 0 {
		return nil, fmt.Errorf("%s: the key signs no client assertions: make an RSA key of 2048 bits or more, an EC key on P-256, P-384 or P-521, or an Ed25519 key", name)
	}
	public := k.jwk()
	thumbprint, err := public.Thumbprint(crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	k.id = base64.RawURLEncoding.EncodeToString(thumbprint)
	return k, k.setCertificate(name, certificates)
}

// CertificateFiles returns the certificate in the file of client_key, if it has one, to
// watch for its end: the provider refuses the client after that. key is that of the table.
func (c Config) CertificateFiles(key string) ([]certwatch.File, error) {
	if c.ClientKey == "" {
		return nil, nil
	}
	k, err := readClientKey(c.ClientKey)
	if err != nil {
		return nil, fmt.Errorf("%s.client_key: %w", key, err)
	}
	if k.certificate == nil {
		return nil, nil
	}
	return []certwatch.File{{Key: key + ".client_key", Name: c.ClientKey, Use: certwatch.Chain, Certificates: []*x509.Certificate{k.certificate}}}, nil
}

// setCertificate takes the certificate of the key. A chain may stand beside it.
func (k *clientKey) setCertificate(name string, certificates []*x509.Certificate) error {
	public, ok := k.private.Public().(interface{ Equal(crypto.PublicKey) bool })
	for _, certificate := range certificates {
		if ok && public.Equal(certificate.PublicKey) {
			k.certificate = certificate
			return nil
		}
	}
	if len(certificates) > 0 {
		return fmt.Errorf("%s: no certificate in it is that of its key", name)
	}
	return nil
}

// algorithms returns the signature algorithms of the key, the usual one first, and none
// for a key that is too short or of an unknown curve (RFC 7518, sections 3.3 and 3.4).
func (k *clientKey) algorithms() []string {
	switch key := k.private.Public().(type) {
	case *rsa.PublicKey:
		if key.N.BitLen() >= minRSABits {
			return []string{"RS256", "PS256"}
		}
	case *ecdsa.PublicKey:
		return map[string][]string{"P-256": {"ES256"}, "P-384": {"ES384"}, "P-521": {"ES512"}}[key.Curve.Params().Name]
	default: // crypto.Signer of tlsconf.ParseKey is one of three
		return []string{"EdDSA"}
	}
	return nil
}

// algorithm returns the signature algorithm to use at a provider with these
// token_endpoint_auth_signing_alg_values_supported. Entra ID, which lists none, documents
// PS256 for assertions that name a certificate.
func (k *clientKey) algorithm(cfg Config, supported []string) string {
	all := k.algorithms()
	if cfg.isEntra() && slices.Contains(all, "PS256") {
		return "PS256"
	}
	for _, algorithm := range all {
		if supports(supported, algorithm) {
			return algorithm
		}
	}
	return all[0]
}

// jwk returns the public key as the provider registers it.
func (k *clientKey) jwk() jose.JSONWebKey {
	return jose.JSONWebKey{Key: k.private.Public(), KeyID: k.id, Use: "sig"}
}

// String describes the public key for the person who registers it.
func (k *clientKey) String() string {
	if k.certificate != nil {
		sum := sha256.Sum256(k.certificate.Raw)
		return fmt.Sprintf("of the certificate with the SHA-256 fingerprint %X", sum)
	}
	text, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{k.jwk()}})
	if err != nil {
		return err.Error() // unreachable: the thumbprint was made of the same members
	}
	return string(text)
}

// assertion returns the parameters of a request that authenticate our client. The only
// audience is the issuer, as a text: drafts of OpenID Connect Core 1.0, errata set 3, and of
// RFC 7523bis demand that since 2025, so that no provider can use an assertion at another
// one. Entra ID documents its token endpoint instead.
func (k *clientKey) assertion(cfg Config, m *metadata) (url.Values, error) {
	audience := cfg.Issuer
	if cfg.isEntra() {
		audience = m.token.url
	}
	now := time.Now()
	claims, err := json.Marshal(map[string]any{
		"iss": cfg.ClientID, "sub": cfg.ClientID, "aud": audience, "jti": rand.Text(),
		"iat": now.Unix(), "nbf": now.Add(-clockSkew).Unix(), "exp": now.Add(assertionLifetime).Unix(),
	})
	if err != nil {
		return nil, err
	}
	options := (&jose.SignerOptions{}).WithType("JWT")
	if k.certificate != nil {
		sum := sha256.Sum256(k.certificate.Raw)
		options.WithHeader("x5t#S256", base64.RawURLEncoding.EncodeToString(sum[:]))
	} else {
		options.WithHeader("kid", k.id)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(k.algorithm(cfg, m.assertionAlgorithms)), Key: k.private}, options)
	if err != nil {
		return nil, fmt.Errorf("sign a client assertion: %w", err)
	}
	signed, err := signer.Sign(claims)
	if err != nil {
		return nil, fmt.Errorf("sign a client assertion: %w", err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		return nil, fmt.Errorf("sign a client assertion: %w", err)
	}
	return url.Values{"client_assertion_type": {assertionType}, "client_assertion": {text}}, nil
}

// asserting is the transport of one token request of x/oauth2, which has no client
// assertions for most grants: it adds the parameters of one to the form.
type asserting struct {
	next   http.RoundTripper
	params url.Values
}

// RoundTrip implements [http.RoundTripper].
func (a asserting) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil {
		return nil, errors.New("a token request without a form") // unreachable
	}
	form, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	form = append(append(form, '&'), a.params.Encode()...)
	r = r.Clone(r.Context())
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(form)), nil }
	r.Body, _ = r.GetBody()
	r.ContentLength = int64(len(form))
	return a.next.RoundTrip(r)
}
