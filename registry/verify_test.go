package registry

import (
	"crypto/elliptic"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// TestVerify: the tokens of each way of signing are valid here and at a replica
// of the same configuration, and nowhere else.
func TestVerify(t *testing.T) {
	certFile, keyFile := newRootFiles(t)
	a := newAuthority(t)
	a.put(t, a.leaf(t, time.Hour))
	rootless := a.config()
	rootless.RootCertificate = ""
	rsaCert, rsaKey := writeKeyPair(t, issue(t, ca("root"), newRSAKey(t), nil))
	ended := &x509.Certificate{NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour)}
	endedCert, endedKey := writeKeyPair(t, issue(t, ended, newEdKey(t), nil))
	signing := func(certFile, keyFile, how string) Config {
		cfg := testConfig(certFile, keyFile)
		cfg.Signing = how
		return cfg
	}
	stranger := newTestIssuer(t, testConfig(newRootFiles(t)))
	for name, cfg := range map[string]Config{
		"x5c":                    testConfig(certFile, keyFile),
		"x5c, RSA root":          testConfig(rsaCert, rsaKey),
		"given leaf":             a.config(),
		"given leaf, no root":    rootless,
		"kid":                    signing(certFile, keyFile, SigningKID),
		"kid, RSA":               signing(rsaCert, rsaKey, SigningKID),
		"libtrust":               signing(certFile, keyFile, SigningLibtrust),
		"libtrust, RSA":          signing(rsaCert, rsaKey, SigningLibtrust),
		"kid, certificate ended": signing(endedCert, endedKey, SigningKID),
	} {
		i, replica := newTestIssuer(t, cfg), newTestIssuer(t, cfg)
		for _, subject := range []string{"josé", ""} {
			token := mint(t, i, "container_registry", subject, Access{Type: "repository", Name: "a", Actions: []string{"pull"}})
			for who, i := range map[string]*Issuer{"itself": i, "a replica": replica} {
				claims, err := i.Verify(token.Reveal(), time.Now())
				want := Claims{Service: "container_registry", Issuer: "gitlab-issuer", Subject: subject, ID: token.ID}
				if lives := claims.Expires.Sub(claims.IssuedAt); lives != backdate+token.ExpiresIn+expiryMargin {
					t.Errorf("%s, %s: the token lives for %v by its claims", name, who, lives)
				}
				claims.IssuedAt, claims.Expires = time.Time{}, time.Time{}
				if claims != want || err != nil {
					t.Errorf("%s, %s: Verify = %+v, %v, want %+v", name, who, claims, err, want)
				}
			}
			if claims, err := stranger.Verify(token.Reveal(), time.Now()); claims != (Claims{}) || !errors.Is(err, ErrNotOurToken) {
				t.Errorf("%s, another root: Verify = %+v, %v, want ErrNotOurToken", name, claims, err)
			}
		}
	}
}

// TestVerifyServices: each service's tokens are verified in its own way of
// signing, and those of a disabled service are refused.
func TestVerifyServices(t *testing.T) {
	certFile, keyFile := newRootFiles(t)
	otherCert, otherKey := newRootFiles(t)
	cfg := testConfig(certFile, keyFile)
	cfg.Services = []string{"off", "x5c", "kid", "libtrust", "other"}
	services := []Service{
		{Name: "kid", Signing: SigningKID},
		{Name: "libtrust", Signing: SigningLibtrust, Issuer: "another-issuer"},
		{Name: "other", RootCertificate: otherCert, RootKey: otherKey},
	}
	before := newTestIssuer(t, cfg, services...)
	i := newTestIssuer(t, cfg, append(services, Service{Name: "off", Disabled: true})...)
	for _, name := range cfg.Services {
		claims, err := i.Verify(mint(t, before, name, "alice").Reveal(), time.Now())
		if name == "off" {
			if !errors.Is(err, ErrNotOurToken) {
				t.Errorf("Verify of a token for a disabled service: %v, want ErrNotOurToken", err)
			}
		} else if claims.Service != name || err != nil {
			t.Errorf("Verify of a token for %s = %+v, %v", name, claims, err)
		}
	}
	if before.FirstService() != "off" || i.FirstService() != "x5c" {
		t.Errorf("FirstService = %q, and %q after off was disabled; want off and x5c", before.FirstService(), i.FirstService())
	}
}

// TestVerifyIgnoresSentIntermediates: the intermediates between a leaf and its
// root are those known here. A registry takes them from x5c; but a stranger
// could send an RSA key so long that one verification takes seconds (1.2 s with
// 100,000 bits).
func TestVerifyIgnoresSentIntermediates(t *testing.T) {
	a := newAuthority(t)
	a.put(t, a.leaf(t, time.Hour))
	i := newTestIssuer(t, a.config())
	other := *a
	other.middle = issue(t, ca("other"), newECKey(t, elliptic.P256()), a.root)
	for name, test := range map[string]struct {
		by   *testAuthority
		good bool
	}{"known": {a, true}, "sent in x5c": {&other, false}} {
		leaf := test.by.leaf(t, time.Hour)
		token := forgedToken{jwt.SigningMethodES256, leaf.key, x5c(leaf.certificate, test.by.middle.certificate), goodClaims(nil)}.sign(t)
		if _, err := i.Verify(token, time.Now()); (err == nil) != test.good {
			t.Errorf("%s: Verify: %v, want an error: %v", name, err, !test.good)
		}
	}
}

// TestVerifyReloadingLeaf: tokens of a replaced leaf are valid if the root is
// configured, and until the leaf expires.
func TestVerifyReloadingLeaf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority(t)
		first, second := a.leaf(t, time.Hour), a.leaf(t, 2*time.Hour)
		a.put(t, first)
		rootless := a.config()
		rootless.RootCertificate = ""
		i, alone := newTestIssuer(t, a.config()), newTestIssuer(t, rootless)
		token := mint(t, i, "container_registry", "alice")
		a.put(t, second)
		time.Sleep(pollInterval)
		if _, err := i.Verify(token.Reveal(), time.Now()); err != nil {
			t.Errorf("a replaced leaf, its root configured: Verify: %v", err)
		}
		if _, err := alone.Verify(token.Reveal(), time.Now()); !errors.Is(err, ErrNotOurToken) {
			t.Errorf("a replaced leaf, no root configured: Verify: %v, want ErrNotOurToken", err)
		}
		if _, err := alone.Verify(mint(t, i, "container_registry", "alice").Reveal(), time.Now()); err != nil {
			t.Errorf("the current leaf, no root configured: Verify: %v", err)
		}
		time.Sleep(2 * time.Hour)
		late := forgedToken{jwt.SigningMethodES256, second.key, x5c(second.certificate), goodClaims(nil)}.sign(t)
		for name, i := range map[string]*Issuer{"root configured": i, "no root configured": alone} {
			if _, err := i.Verify(late, time.Now()); !errors.Is(err, ErrNotOurToken) {
				t.Errorf("an expired leaf, %s: Verify: %v, want ErrNotOurToken", name, err)
			}
		}
	})
}

// TestVerifyUntilExpiry: a token is valid until it expires, with the leeway of
// distribution, and across the rotation of leaves.
func TestVerifyUntilExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newTestIssuer(t, testConfig(newRootFiles(t)))
		time.Sleep(leafRotation - time.Minute)
		token := mint(t, i, "container_registry", "alice")
		time.Sleep(2 * time.Minute)
		mint(t, i, "container_registry", "alice") // by the next leaf
		if _, err := i.Verify(token.Reveal(), time.Now()); err != nil {
			t.Errorf("after the rotation: Verify: %v", err)
		}
		time.Sleep(token.ExpiresIn + expiryMargin + leeway - 2*time.Minute - time.Second)
		if _, err := i.Verify(token.Reveal(), time.Now()); err != nil {
			t.Errorf("a second before expiry: Verify: %v", err)
		}
		time.Sleep(2 * time.Second)
		if _, err := i.Verify(token.Reveal(), time.Now()); !errors.Is(err, ErrNotOurToken) {
			t.Errorf("after expiry: Verify: %v, want ErrNotOurToken", err)
		}
	})
}

// FuzzVerify: a token that we did not sign is refused.
func FuzzVerify(f *testing.F) {
	cfg := testConfig(newRootFiles(f))
	cfg.Services = append(cfg.Services, "zot")
	i := newTestIssuer(f, cfg, Service{Name: "zot", Signing: SigningKID})
	f.Add(`{"alg":"none"}`, `{"iss":"gitlab-issuer","aud":"zot","exp":9999999999,"nbf":1}`, "")
	f.Add(`{"alg":"ES256","x5c":["MII="]}`, `{"iss":"gitlab-issuer","aud":["container_registry"],"exp":9e9,"nbf":0}`, "x")
	f.Fuzz(func(t *testing.T, header, claims, signature string) {
		encode := base64.RawURLEncoding.EncodeToString
		token := encode([]byte(header)) + "." + encode([]byte(claims)) + "." + encode([]byte(signature))
		if claims, err := i.Verify(token, time.Now()); claims != (Claims{}) || !errors.Is(err, ErrNotOurToken) {
			t.Errorf("Verify(%q) = %+v, %v, want ErrNotOurToken", token, claims, err)
		}
	})
}
