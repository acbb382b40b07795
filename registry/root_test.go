package registry

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestCreateRoot: the root is an ECDSA P-256 CA for ten years, and only its
// owner can read the key.
func TestCreateRoot(t *testing.T) {
	certFile, keyFile := newRootFiles(t)
	for file, want := range map[string]os.FileMode{certFile: 0o644, keyFile: 0o600} {
		info, err := os.Stat(file)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: mode %v, %v, want %v", file, info.Mode(), err, want)
		}
	}
	p, err := readKeyPair("root", certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	c := p.certificate
	if key, ok := p.key.(*ecdsa.PrivateKey); !ok || key.Curve != elliptic.P256() {
		t.Errorf("the key is %T, want ECDSA P-256", p.key)
	}
	if !c.IsCA || !c.BasicConstraintsValid || c.KeyUsage&x509.KeyUsageCertSign == 0 || c.Subject.CommonName != "shorepass token root" {
		t.Errorf("root: CA %v, key usage %b, name %q", c.IsCA, c.KeyUsage, c.Subject.CommonName)
	}
	if years := time.Until(c.NotAfter).Hours() / 24 / 365; years < 9.9 || years > 10.1 {
		t.Errorf("the root lasts %.1f years, want ten", years)
	}
	if left := countFiles(t, filepath.Dir(certFile)); left != 2 {
		t.Errorf("%d files, want two", left)
	}
}

// countFiles returns the number of files in a folder.
func countFiles(t *testing.T, name string) int {
	t.Helper()
	entries, err := os.ReadDir(name)
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// TestCreateRootCertificate: after a start that was killed between the two
// files, a registry that has the lost certificate accepts tokens under the new
// one.
func TestCreateRootCertificate(t *testing.T) {
	certFile, keyFile := newRootFiles(t)
	lost := filepath.Join(t.TempDir(), "lost.crt")
	if err := os.Link(certFile, lost); err != nil {
		t.Fatal(err)
	}
	if err := CreateRootCertificate(certFile, keyFile); !errors.Is(err, fs.ErrExist) {
		t.Errorf("CreateRootCertificate with an existing certificate: %v, want fs.ErrExist", err)
	}
	if err := os.Remove(certFile); err != nil {
		t.Fatal(err)
	}
	if err := CreateRootCertificate(certFile, keyFile); err != nil {
		t.Fatal(err)
	}
	token := mint(t, newTestIssuer(t, testConfig(certFile, keyFile)), "container_registry", "alice")
	for _, at := range []string{lost, certFile} {
		if _, err := registryVerifies(token, at); err != nil {
			t.Errorf("a registry with %s refuses the token: %v", at, err)
		}
	}
	if err := os.Remove(keyFile); err != nil {
		t.Fatal(err)
	}
	if err := CreateRootCertificate(certFile, keyFile); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("CreateRootCertificate without a key: %v, want fs.ErrNotExist", err)
	}
}

// TestCreateRootOverwritesNothing: an existing file stays unchanged, and a
// dangling link counts as one.
func TestCreateRootOverwritesNothing(t *testing.T) {
	for _, existing := range []string{"RootCA.crt", "RootCA.key"} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, existing), []byte("precious"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := CreateRoot(filepath.Join(dir, "RootCA.crt"), filepath.Join(dir, "RootCA.key")); !errors.Is(err, fs.ErrExist) {
			t.Errorf("with an existing %s: CreateRoot: %v, want fs.ErrExist", existing, err)
		}
		if text, err := os.ReadFile(filepath.Join(dir, existing)); string(text) != "precious" || countFiles(t, dir) != 1 {
			t.Errorf("with an existing %s: it holds %q (%v), %d files", existing, text, err, countFiles(t, dir))
		}
	}
	dir := t.TempDir()
	if err := os.Symlink("elsewhere", filepath.Join(dir, "RootCA.key")); err != nil {
		t.Fatal(err)
	}
	if err := CreateRoot(filepath.Join(dir, "RootCA.crt"), filepath.Join(dir, "RootCA.key")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("with a dangling link: CreateRoot: %v, want fs.ErrExist", err)
	}
}

// TestConcurrentCreateRoot: of several processes that start at the same time
// one makes the root.
func TestConcurrentCreateRoot(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "RootCA.crt"), filepath.Join(dir, "RootCA.key")
	var all sync.WaitGroup
	made := make(chan error, 8)
	for range cap(made) {
		all.Go(func() { made <- CreateRoot(certFile, keyFile) })
	}
	all.Wait()
	close(made)
	succeeded := 0
	for err := range made {
		if err == nil {
			succeeded++
		} else if !errors.Is(err, fs.ErrExist) {
			t.Errorf("CreateRoot: %v, want fs.ErrExist", err)
		}
	}
	if _, err := readKeyPair("root", certFile, keyFile); succeeded != 1 || err != nil || countFiles(t, dir) != 2 {
		t.Errorf("%d calls made a root, %d files, %v, want one call and a pair", succeeded, countFiles(t, dir), err)
	}
}

// TestFailedCreateRootLeavesNoFile: a root that cannot be written leaves no
// file.
func TestFailedCreateRootLeavesNoFile(t *testing.T) {
	dir := t.TempDir()
	if err := CreateRoot(filepath.Join(dir, "none", "RootCA.crt"), filepath.Join(dir, "RootCA.key")); !errors.Is(err, fs.ErrNotExist) || countFiles(t, dir) != 0 {
		t.Errorf("CreateRoot in a missing folder: %v, %d files, want fs.ErrNotExist and none", err, countFiles(t, dir))
	}
}

// TestCreateRootAvoidsLeadingZeros: a key with a zero byte in front is
// generated again, because distribution 3 computes another thumbprint for it.
func TestCreateRootAvoidsLeadingZeros(t *testing.T) {
	generated := []*ecdsa.PrivateKey{smallKey(t, elliptic.P256()), nil}
	var err error
	for generated[1] == nil || startsWithZero(t, generated[1]) {
		if generated[1], err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	calls := 0
	key, err := generateRootKey(func() (*ecdsa.PrivateKey, error) { calls++; return generated[calls-1], nil })
	if err != nil || calls != 2 || !key.Equal(generated[1]) {
		t.Errorf("generateRootKey generated %d keys, %v, want the second key", calls, err)
	}
	for range 500 {
		key, err := generateRootKey(func() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) })
		if err != nil || startsWithZero(t, key) {
			t.Fatalf("generateRootKey = a key with a zero byte in front, %v", err)
		}
	}
}

// startsWithZero reports it by the numbers in the JWK, where generateRootKey
// goes by the bytes.
func startsWithZero(t *testing.T, key *ecdsa.PrivateKey) bool {
	t.Helper()
	j, err := newJWK(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return unbase64(t, j.X)[0] == 0 || unbase64(t, j.Y)[0] == 0
}

// TestCheckWithoutRoot: before the root of [token] is made, the key files of
// services are checked, and the key of the root if it exists.
func TestCheckWithoutRoot(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "RootCA.crt"), filepath.Join(dir, "RootCA.key")
	ownCert, ownKey := newRootFiles(t)
	_, anotherKey := newRootFiles(t)
	for _, tt := range []struct {
		name    string
		service Service
		want    string // empty for no error
	}{
		{"inherits", Service{Name: "b"}, ""},
		{"inherits the key itself", Service{Name: "b", Signing: SigningKID}, ""},
		{"names the same files", Service{Name: "b", RootCertificate: certFile, RootKey: keyFile}, ""},
		{"has its own", Service{Name: "b", RootCertificate: ownCert, RootKey: ownKey}, ""},
		{"has a key of another root", Service{Name: "b", RootCertificate: ownCert, RootKey: anotherKey}, "is not the one of the certificate"},
		{"names a file that is missing", Service{Name: "b", RootCertificate: filepath.Join(dir, "none"), RootKey: ownKey}, "none: no such file"},
		{"is not served", Service{Name: "c"}, `"c" is not in token.services`},
	} {
		cfg := Config{Issuer: "i", Services: []string{"a", "b"}, RootCertificate: certFile, RootKey: keyFile}.WithDefaults()
		err := CheckWithoutRoot(cfg, []Service{tt.service})
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("CheckWithoutRoot where the service %s = %v, want %q", tt.name, err, tt.want)
		}
	}
	if left := countFiles(t, dir); left != 0 {
		t.Errorf("CheckWithoutRoot made %d files, want none", left)
	}
}
