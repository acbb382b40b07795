package registry

import (
	"crypto/elliptic"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// testAuthority is a root with an intermediate CA under it, and the files of a
// leaf under that.
type testAuthority struct {
	root, middle *keyPair
	bundle       string // the file of the root, as registries have it
	certFile     string
	keyFile      string
}

// newAuthority makes a root and an intermediate CA, and no leaf yet.
func newAuthority(t *testing.T) *testAuthority {
	t.Helper()
	a := &testAuthority{root: issue(t, ca("root"), newECKey(t, elliptic.P256()), nil)}
	a.middle = issue(t, ca("middle"), newECKey(t, elliptic.P256()), a.root)
	dir := t.TempDir()
	a.bundle = writeCerts(t, filepath.Join(dir, "root.crt"), a.root.certificate)
	a.certFile, a.keyFile = filepath.Join(dir, "leaf.crt"), filepath.Join(dir, "leaf.key")
	return a
}

// leaf issues a leaf that lasts for d.
func (a *testAuthority) leaf(t *testing.T, d time.Duration) *keyPair {
	t.Helper()
	template := &x509.Certificate{Subject: pkix.Name{CommonName: "leaf"}, NotAfter: time.Now().Add(d)}
	return issue(t, template, newECKey(t, elliptic.P256()), a.middle)
}

// put writes a leaf with its chain, root included, into the configured files.
func (a *testAuthority) put(t *testing.T, leaf *keyPair) {
	t.Helper()
	writeCerts(t, a.certFile, leaf.certificate, a.middle.certificate, a.root.certificate)
	writeKey(t, a.keyFile, leaf.key)
}

// config returns a configuration with the files of the leaf.
func (a *testAuthority) config() Config {
	cfg := testConfig(a.bundle, "")
	cfg.SigningCertificate, cfg.SigningKey = a.certFile, a.keyFile
	return cfg
}

// TestReloadingLeaf: a registry with the root accepts tokens of a configured
// leaf, whether the root is configured here or not.
func TestReloadingLeaf(t *testing.T) {
	a := newAuthority(t)
	leaf := a.leaf(t, 24*time.Hour)
	a.put(t, leaf)
	for _, root := range []string{a.bundle, ""} {
		cfg := a.config()
		cfg.RootCertificate = root
		i := newTestIssuer(t, cfg)
		token := mint(t, i, "container_registry", "alice")
		if _, err := registryVerifies(token, a.bundle); err != nil {
			t.Errorf("root %q: a registry refuses the token: %v", root, err)
		}
		header, _ := decode(t, token)
		if sent := header["x5c"].([]any); len(sent) != 2 || !leafOf(t, token).Equal(leaf.certificate) {
			t.Errorf("root %q: x5c has %d certificates, want the leaf and the intermediate", root, len(sent))
		}
		if left := timeLeft(i); left > 24*time.Hour || left < 23*time.Hour {
			t.Errorf("root %q: time left = %v, want the leaf's 24h", root, left)
		}
	}
}

// TestReloadingLeafOfEachKeyType: a leaf of each key type signs, and the order
// of the certificates in the file does not matter.
func TestReloadingLeafOfEachKeyType(t *testing.T) {
	a := newAuthority(t)
	for _, test := range []struct {
		alg  string
		leaf *keyPair
	}{
		{"RS256", issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: "leaf"}}, newRSAKey(t), a.middle)},
		{"ES256", issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: "leaf"}}, newECKey(t, elliptic.P256()), a.middle)},
		{"ES384", issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: "leaf"}}, newECKey(t, elliptic.P384()), a.middle)},
		{"ES512", issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: "leaf"}}, newECKey(t, elliptic.P521()), a.middle)},
		{"EdDSA", issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: "leaf"}}, newEdKey(t), a.middle)},
	} {
		writeCerts(t, a.certFile, a.middle.certificate, test.leaf.certificate)
		writeKey(t, a.keyFile, test.leaf.key)
		parsed, err := registryVerifies(mint(t, newTestIssuer(t, a.config()), "container_registry", "alice"), a.bundle)
		if err != nil || parsed.Header["alg"] != test.alg {
			t.Errorf("%s: a registry says %v", test.alg, err)
		}
	}
}

// TestUnusableLeafIsRefused: a leaf that registries would refuse is a fault at
// load.
func TestUnusableLeafIsRefused(t *testing.T) {
	a, stranger := newAuthority(t), newAuthority(t)
	good := a.leaf(t, time.Hour)
	for _, test := range []struct {
		name string
		put  func()
		want string
	}{
		{"no files", func() {}, "no such file"},
		{"an expired leaf", func() { a.put(t, a.leaf(t, -time.Second)) }, "the certificate ended at"},
		{"a leaf of another root", func() { a.put(t, stranger.leaf(t, time.Hour)) }, "does not lead to root_certificate"},
		{"a leaf without its intermediate", func() { writeCerts(t, a.certFile, good.certificate); writeKey(t, a.keyFile, good.key) }, "does not lead to root_certificate"},
		{"a leaf with another key", func() { a.put(t, good); writeKey(t, a.keyFile, stranger.root.key) }, "is not the one of the certificate"},
		{"a root", func() { writeCerts(t, a.certFile, a.root.certificate); writeKey(t, a.keyFile, a.root.key) }, "is signed by itself; give it as root_certificate"},
		{"no PEM", func() { writeFile(t, a.certFile, []byte("x")) }, "holds no PEM certificate"},
		{"a damaged certificate", func() {
			writeFile(t, a.certFile, []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"))
		}, "read certificate: " + a.certFile},
	} {
		test.put()
		if _, err := NewIssuer(a.config(), nil, nil); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: NewIssuer: %v, want an error with %q", test.name, err, test.want)
		}
	}
}

// TestReloadingLeafTakesNewFiles: new files are loaded within seconds; bad ones
// are reported once, and the old leaf signs on.
func TestReloadingLeafTakesNewFiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority(t)
		first, second, third := a.leaf(t, time.Hour), a.leaf(t, 2*time.Hour), a.leaf(t, 3*time.Hour)
		a.put(t, first)
		var reports []string
		i, err := NewIssuer(a.config(), nil, func(err error) { reports = append(reports, err.Error()) })
		if err != nil {
			t.Fatal(err)
		}
		check := func(when string, want *keyPair, reported int) {
			t.Helper()
			token := mint(t, i, "container_registry", "alice")
			if !leafOf(t, token).Equal(want.certificate) {
				t.Errorf("%s: another leaf signs", when)
			}
			if _, err := registryVerifies(token, a.bundle); err != nil {
				t.Errorf("%s: a registry refuses the token: %v", when, err)
			}
			if len(reports) != reported {
				t.Errorf("%s: reported %q, want %d", when, reports, reported)
			}
		}
		check("before the change", first, 0)
		a.put(t, second)
		check("before the next poll", first, 0)
		time.Sleep(pollInterval)
		check("after the next poll", second, 0)

		writeFile(t, a.certFile, []byte("half a certif"))
		time.Sleep(pollInterval)
		check("with a bad file", second, 1)
		time.Sleep(pollInterval)
		check("with the same bad file", second, 1)
		if !strings.Contains(reports[0], "the old one signs until "+second.certificate.NotAfter.Format(time.RFC3339)) || !strings.Contains(reports[0], a.certFile) {
			t.Errorf("reported %q, want the file and until when the old one signs", reports[0])
		}

		writeCerts(t, a.certFile, third.certificate, a.middle.certificate)
		time.Sleep(pollInterval)
		check("with the new certificate and the old key", second, 2)
		writeKey(t, a.keyFile, third.key)
		time.Sleep(pollInterval)
		check("with the new certificate and key", third, 2)

		if err := os.Remove(a.keyFile); err != nil {
			t.Fatal(err)
		}
		time.Sleep(pollInterval)
		check("without a key file", third, 3)
		time.Sleep(3 * time.Hour)
		if _, err := i.Mint("container_registry", "alice", nil, At(time.Now())); !errors.Is(err, ErrNoValidKey) {
			t.Errorf("Mint after the leaf's end: %v, want ErrNoValidKey", err)
		}
	})
}

// TestReloadingLeafSeesRenamedFile: a rename that leaves size and time the same
// is a change.
func TestReloadingLeafSeesRenamedFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority(t)
		a.put(t, a.leaf(t, time.Hour))
		was := time.Now().Add(-time.Hour)
		a.pad(t, was)
		i := newTestIssuer(t, a.config())

		certFile, keyFile := a.certFile, a.keyFile
		a.certFile, a.keyFile = certFile+".new", keyFile+".new"
		second := a.leaf(t, time.Hour)
		a.put(t, second)
		a.pad(t, was)
		if err := errors.Join(os.Rename(a.certFile, certFile), os.Rename(a.keyFile, keyFile)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(pollInterval)
		if !leafOf(t, mint(t, i, "container_registry", "alice")).Equal(second.certificate) {
			t.Error("the old leaf signs")
		}
	})
}

// pad gives both files the same size and time, whatever leaf they have.
func (a *testAuthority) pad(t *testing.T, was time.Time) {
	t.Helper()
	for _, name := range []string{a.certFile, a.keyFile} {
		f, err := os.OpenFile(name, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(f.Truncate(4096), f.Close(), os.Chtimes(name, was, was)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestReloadingLeafDoesNotBlock: a check of the files that hangs, on a network
// file system, blocks no other request.
func TestReloadingLeafDoesNotBlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority(t)
		first := a.leaf(t, time.Hour)
		a.put(t, first)
		i := newTestIssuer(t, a.config())
		a.put(t, a.leaf(t, 2*time.Hour))
		time.Sleep(pollInterval)
		l := i.services["container_registry"].keys.(*reloadingLeaf)
		l.mu.Lock() // as another request does while it checks the files
		defer l.mu.Unlock()
		if !leafOf(t, mint(t, i, "container_registry", "alice")).Equal(first.certificate) {
			t.Error("Mint loaded the new files during another check")
		}
	})
}

// TestReloadingLeafUnderExpiringCA: a token ends with the first certificate of
// the chain that expires.
func TestReloadingLeafUnderExpiringCA(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority(t)
		template := ca("middle")
		template.NotAfter = time.Now().Add(3 * time.Minute)
		a.middle = issue(t, template, newECKey(t, elliptic.P256()), a.root)
		a.put(t, a.leaf(t, 24*time.Hour))
		i := newTestIssuer(t, a.config())
		token := mint(t, i, "container_registry", "alice")
		_, claims := decode(t, token)
		if token.ExpiresIn != 2*time.Minute || claims.Expiration != template.NotAfter.Unix() || timeLeft(i) != 3*time.Minute {
			t.Errorf("announced %v, time left %v, want 2m and 3m", token.ExpiresIn, timeLeft(i))
		}
	})
}
