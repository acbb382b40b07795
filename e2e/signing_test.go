package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestSigning: real registries verify the tokens of each way of signing that
// they support, and refuse the others.
func TestSigning(t *testing.T) {
	t.Parallel()
	old, current := distributions[0], distributions[1]
	leaf := t.TempDir()
	makeLeaf(t, leaf)
	for _, tc := range []struct {
		name    string
		options options
		trusted []distribution
		refused []distribution
	}{
		{"x5c", options{more: signedBy("x5c")}, []distribution{old, current}, nil},
		{"kid", options{more: signedBy("kid")}, []distribution{current}, []distribution{old}},
		{"libtrust", options{more: signedBy("libtrust")}, []distribution{old}, []distribution{current}},
		{"a configured leaf", options{ownRoot: true, root: rootCA, token: fmt.Sprintf("signing_certificate = %q\nsigning_key = %q\n",
			filepath.Join(leaf, "leaf.crt"), filepath.Join(leaf, "leaf.key"))}, []distribution{old, current}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, tc.options)
			root, h := testUsers()["root"], newHome(t)
			push := func(d distribution) error {
				r := s.registry(t, d)
				h.store(t, r.host, root.name, root.password)
				return upload(t, resolver(t, h), ociImage(t), r.host+"/some/thing:1", "")
			}
			for _, d := range tc.trusted {
				if err := push(d); err != nil {
					t.Errorf("push to %s: %v", d.name, err)
				}
			}
			for _, d := range tc.refused {
				if err := push(d); err == nil {
					t.Errorf("push to %s: succeeded, want it refused", d.name)
				}
			}
		})
	}
}

// TestRegistryConfig: a registry works with the configuration that shorepass
// registry-config prints for it.
func TestRegistryConfig(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, signing string
		distribution  distribution
		args          []string
	}{
		{"distribution 2.8", "x5c", distributions[0], []string{"--registry", "distribution2"}},
		{"distribution 3", "x5c", distributions[1], []string{"--registry", "distribution3"}},
		// The GitLab registry is a fork of distribution before 3.
		{"the GitLab registry, as 2.8", "x5c", distributions[0], []string{"--registry", "gitlab"}},
		{"the GitLab registry, as 2.8, with libtrust", "libtrust", distributions[0], []string{"--registry", "gitlab"}},
		{"the GitLab registry, as 3", "x5c", distributions[1], []string{"--registry", "gitlab"}},
		{"distribution 2.8 with libtrust", "libtrust", distributions[0], []string{"--registry", "distribution2"}},
		{"distribution 3 with a key set", "kid", distributions[1], []string{"--registry", "distribution3"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, options{more: signedBy(tc.signing)})
			if tc.signing == "kid" {
				keys := s.cli(t, "", "registry-config", "--key-set")
				file := filepath.Join(s.dir, "jwks.json")
				must(t, os.WriteFile(file, []byte(keys.text), 0o644))
				tc.args = append(tc.args, "--key-set-file", file)
			}
			block := s.cli(t, "", append([]string{"registry-config"}, tc.args...)...)
			if !block.ok {
				t.Fatalf("shorepass registry-config: %v", block)
			}
			r := s.registryWith(t, tc.distribution, block.text)
			r.seed(t, ociImage(t), "some/thing:1")
		})
	}
}

// signedBy returns a [[service]] table with that signing.
func signedBy(how string) string {
	return fmt.Sprintf("[[service]]\nname = %q\nsigning = %q\n", service, how)
}

// makeLeaf certifies a key under the run's root, as an operator who keeps the
// root elsewhere does.
func makeLeaf(t *testing.T, dir string) {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(filepath.Join(rootCA, "RootCA.crt"), filepath.Join(rootCA, "RootCA.key"))
	must(t, err)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "shorepass"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, pair.Leaf, key.Public(), pair.PrivateKey)
	must(t, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "leaf.crt"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "leaf.key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600))
}
