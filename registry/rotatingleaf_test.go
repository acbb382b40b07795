package registry

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// issue makes a certificate for key from a template, signed by parent, or by
// itself if that is nil.
func issue(t testing.TB, template *x509.Certificate, key crypto.Signer, parent *keyPair) *keyPair {
	t.Helper()
	if template.NotBefore.IsZero() {
		template.NotBefore = time.Now().Add(-time.Minute)
	}
	if template.NotAfter.IsZero() {
		template.NotAfter = time.Now().Add(90 * 24 * time.Hour)
	}
	issuer, issuerKey := template, key
	if parent != nil {
		issuer, issuerKey = parent.certificate, parent.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, key.Public(), issuerKey)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &keyPair{certificate: c, key: key}
}

// ca is the template of a CA.
func ca(name string) *x509.Certificate {
	return &x509.Certificate{Subject: pkix.Name{CommonName: name}, BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageCertSign}
}

func newECKey(t testing.TB, curve elliptic.Curve) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newRSAKey(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newEdKey(t testing.TB) crypto.Signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// writeCerts writes certificates into one PEM file.
func writeCerts(t testing.TB, name string, certificates ...*x509.Certificate) string {
	t.Helper()
	var text []byte
	for _, c := range certificates {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return writeFile(t, name, text)
}

func writeKey(t testing.TB, name string, key crypto.Signer) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return writeFile(t, name, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// writeFile replaces a file atomically, as a program that renews certificates
// should.
func writeFile(t testing.TB, name string, data []byte) string {
	t.Helper()
	if err := os.WriteFile(name+".new", data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(name+".new", name); err != nil {
		t.Fatal(err)
	}
	return name
}

// writeKeyPair writes a key pair into two files of a temporary folder.
func writeKeyPair(t testing.TB, p *keyPair) (certFile, keyFile string) {
	t.Helper()
	dir := t.TempDir()
	return writeCerts(t, filepath.Join(dir, "c.crt"), p.certificate), writeKey(t, filepath.Join(dir, "c.key"), p.key)
}

// leafOf returns the first certificate in the x5c of a token.
func leafOf(t testing.TB, token Token) *x509.Certificate {
	t.Helper()
	header, _ := decode(t, token)
	der, err := base64.StdEncoding.DecodeString(header["x5c"].([]any)[0].(string))
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestRootOfEachKeyType: a root of each key type certifies a leaf, and its
// tokens are ES256.
func TestRootOfEachKeyType(t *testing.T) {
	noUsage := ca("no key usage")
	noUsage.KeyUsage = 0
	for _, test := range []struct {
		name string
		root *keyPair
	}{
		{"RSA", issue(t, ca("root"), newRSAKey(t), nil)},
		{"P-256", issue(t, ca("root"), newECKey(t, elliptic.P256()), nil)},
		{"P-384", issue(t, ca("root"), newECKey(t, elliptic.P384()), nil)},
		{"P-521", issue(t, ca("root"), newECKey(t, elliptic.P521()), nil)},
		{"Ed25519", issue(t, ca("root"), newEdKey(t), nil)},
		{"without key usage", issue(t, noUsage, newECKey(t, elliptic.P256()), nil)},
		{"with an odd name", issue(t, ca("Größe, Inc. O=\"x\""), newECKey(t, elliptic.P256()), nil)},
	} {
		certFile, keyFile := writeKeyPair(t, test.root)
		token := mint(t, newTestIssuer(t, testConfig(certFile, keyFile)), "container_registry", "alice")
		if _, err := registryVerifies(token, certFile); err != nil {
			t.Errorf("%s: a registry refuses the token: %v", test.name, err)
		}
		other, _ := newRootFiles(t)
		if _, err := registryVerifies(token, other); err == nil {
			t.Errorf("%s: a registry with another root accepts the token", test.name)
		}
	}
}

// TestUnusableRootIsRefused: a root that cannot certify or is not valid now is
// a fault at load, but not with signing = "kid".
func TestUnusableRootIsRefused(t *testing.T) {
	now := time.Now()
	early, late, signOnly := ca("ended"), ca("to come"), ca("not for certificates")
	early.NotBefore, early.NotAfter = now.Add(-2*time.Hour), now.Add(-time.Hour)
	late.NotBefore = now.Add(time.Hour)
	signOnly.KeyUsage = x509.KeyUsageDigitalSignature
	for _, test := range []struct {
		name     string
		template *x509.Certificate
		want     string
	}{
		{"a certificate that is no CA", &x509.Certificate{Subject: pkix.Name{CommonName: "x"}}, `is not a CA and can certify no other key; write signing = "kid"`},
		{"a CA that may not certify", signOnly, "is not a CA"},
		{"an expired root", early, "the root certificate ended at " + early.NotAfter.UTC().Format(time.RFC3339)},
		{"a root that is not valid yet", late, "the root certificate is valid only from " + late.NotBefore.UTC().Format(time.RFC3339)},
	} {
		certFile, keyFile := writeKeyPair(t, issue(t, test.template, newECKey(t, elliptic.P256()), nil))
		for _, signing := range []string{"", "x5c"} {
			cfg := testConfig(certFile, keyFile)
			cfg.Signing = signing
			if _, err := NewIssuer(cfg, nil, nil); err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), certFile) {
				t.Errorf("%s, signing %q: NewIssuer: %v, want an error with %q and the file", test.name, signing, err, test.want)
			}
		}
		cfg := testConfig(certFile, keyFile)
		cfg.Signing = "kid"
		newTestIssuer(t, cfg) // no registry checks the certificate
	}
}

// TestRootInBundle: while a root is replaced, a registry has the old and the
// new one in its bundle; the key selects the one that certifies here.
func TestRootInBundle(t *testing.T) {
	older := issue(t, ca("shorepass token root"), newECKey(t, elliptic.P256()), nil)
	newer := issue(t, ca("shorepass token root"), newECKey(t, elliptic.P256()), nil)
	renewed := ca("shorepass token root")
	renewed.NotAfter = time.Now().Add(365 * 24 * time.Hour)
	again := issue(t, renewed, older.key, nil)
	dir := t.TempDir()
	bundle := writeCerts(t, filepath.Join(dir, "bundle.crt"), older.certificate, newer.certificate, again.certificate)
	for name, p := range map[string]*keyPair{"older": older, "newer": newer} {
		i := newTestIssuer(t, testConfig(bundle, writeKey(t, filepath.Join(dir, name), p.key)))
		if _, err := registryVerifies(mint(t, i, "container_registry", "alice"), bundle); err != nil {
			t.Errorf("%s: a registry refuses the token: %v", name, err)
		}
		if days := timeLeft(i).Hours() / 24; name == "older" && days < 364 {
			t.Errorf("%s: time left is %.0f days, want those of the renewed certificate", name, days)
		}
	}
}

// TestLeafIsRotatedDaily: a leaf signs for a day, and its last token is valid
// until its end.
func TestLeafIsRotatedDaily(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		certFile, keyFile := newRootFiles(t)
		i := newTestIssuer(t, testConfig(certFile, keyFile))
		first := mint(t, i, "container_registry", "alice")
		leaf := leafOf(t, first)
		if back := time.Since(leaf.NotBefore); back < time.Hour || back > time.Hour+time.Second {
			t.Errorf("a leaf is backdated by %v, want an hour", back)
		}
		time.Sleep(24*time.Hour - time.Second)
		last := mint(t, i, "container_registry", "alice")
		if !leafOf(t, last).Equal(leaf) {
			t.Error("the leaf was rotated within a day")
		}
		time.Sleep(time.Second)
		if leafOf(t, mint(t, i, "container_registry", "alice")).Equal(leaf) {
			t.Error("the leaf was not rotated after a day")
		}
		time.Sleep(last.ExpiresIn - time.Second)
		if _, err := registryVerifies(last, certFile); err != nil {
			t.Errorf("the last token of a leaf is refused before its end: %v", err)
		}
	})
}

// TestLeafAfterClockJump: a valid leaf signs after a laptop slept for days, and
// after a clock was set back by hours.
func TestLeafAfterClockJump(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		certFile, keyFile := newRootFiles(t)
		i := newTestIssuer(t, testConfig(certFile, keyFile))
		time.Sleep(100 * 24 * time.Hour)
		if _, err := registryVerifies(mint(t, i, "container_registry", "alice"), certFile); err != nil {
			t.Errorf("after a long sleep: %v", err)
		}
		keys := i.services["container_registry"].keys
		early := time.Now().Add(-3 * time.Hour)
		s, err := keys.current(early)
		if err != nil || s.checkValidity(early) != nil || s.notBefore.After(early) {
			t.Errorf("with a clock set back: signer from %v, %v, want one from before %v", s.notBefore, err, early)
		}
	})
}

// TestLeafRotationDoesNotBlock: while one caller issues the next leaf, the
// others sign with the last one.
func TestLeafRotationDoesNotBlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newTestIssuer(t, testConfig(newRootFiles(t)))
		l := i.services["container_registry"].keys.(*rotatingLeaf)
		before := leafOf(t, mint(t, i, "container_registry", "alice"))
		time.Sleep(24 * time.Hour)
		l.mu.Lock() // as another caller does while it issues a leaf
		if !leafOf(t, mint(t, i, "container_registry", "alice")).Equal(before) {
			t.Error("Mint issued a second leaf at the same time")
		}
		l.mu.Unlock()
		if leafOf(t, mint(t, i, "container_registry", "alice")).Equal(before) {
			t.Error("the leaf was not rotated")
		}
	})
}

// TestConcurrentMints: concurrent callers on the day of a rotation all get
// valid tokens.
func TestConcurrentMints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		certFile, keyFile := newRootFiles(t)
		i := newTestIssuer(t, testConfig(certFile, keyFile))
		time.Sleep(25 * time.Hour)
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				token, err := i.Mint("container_registry", "alice", nil, At(time.Now()))
				if err != nil {
					t.Error(err)
				} else if _, err := registryVerifies(token, certFile); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	})
}

// TestRootNearExpiry: leaf and token never outlive the root, and when it has
// expired Mint says so.
func TestRootNearExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		template := ca("root")
		template.NotBefore = time.Now().Add(-10 * time.Minute)
		template.NotAfter = time.Now().Add(30 * time.Hour)
		certFile, keyFile := writeKeyPair(t, issue(t, template, newECKey(t, elliptic.P256()), nil))
		i := newTestIssuer(t, testConfig(certFile, keyFile))
		leaf := leafOf(t, mint(t, i, "container_registry", "alice"))
		if !leaf.NotBefore.Equal(template.NotBefore) || !leaf.NotAfter.Equal(template.NotAfter) {
			t.Errorf("the leaf lasts from %v to %v, want those of the root, %v to %v", leaf.NotBefore, leaf.NotAfter, template.NotBefore, template.NotAfter)
		}
		for _, test := range []struct {
			left, announced, lasts time.Duration
		}{
			{10 * time.Minute, 5 * time.Minute, 6 * time.Minute},
			{6 * time.Minute, 5 * time.Minute, 6 * time.Minute},
			{4 * time.Minute, 3 * time.Minute, 4 * time.Minute},
			{90 * time.Second, time.Minute, 90 * time.Second},
			{2 * time.Second, time.Minute, 2 * time.Second},
		} {
			time.Sleep(time.Until(template.NotAfter) - test.left)
			token := mint(t, i, "container_registry", "alice")
			_, claims := decode(t, token)
			if lasts := time.Until(time.Unix(claims.Expiration, 0)); token.ExpiresIn != test.announced || lasts != test.lasts {
				t.Errorf("with %v left: announced %v, lasts %v, want %v, %v", test.left, token.ExpiresIn, lasts, test.announced, test.lasts)
			}
			if _, err := registryVerifies(token, certFile); err != nil {
				t.Errorf("with %v left: a registry refuses the token: %v", test.left, err)
			}
			if left := timeLeft(i); left != test.left {
				t.Errorf("time left = %v, want %v", left, test.left)
			}
		}
		time.Sleep(2 * time.Second)
		if _, err := i.Mint("container_registry", "alice", nil, At(time.Now())); !errors.Is(err, ErrNoValidKey) {
			t.Errorf("Mint after the root's end: %v, want ErrNoValidKey", err)
		}
	})
}
