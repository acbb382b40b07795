package registry

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestKeys: services that share a key are one entry, each way of signing names
// what signs, and the fingerprint is the one that openssl prints.
func TestKeys(t *testing.T) {
	certFile, keyFile := newRootFiles(t)
	cfg := testConfig(certFile, keyFile)
	cfg.Services = []string{"container_registry", "own", "plain", "old"}
	own, old := Service{Name: "own", Signing: "kid"}, Service{Name: "old", Signing: "libtrust"}
	own.RootCertificate, own.RootKey = newRootFiles(t)
	keys, err := newTestIssuer(t, cfg, own, old).Keys()
	if err != nil || len(keys) != 3 {
		t.Fatalf("Keys = %+v, %v, want three", keys, err)
	}
	for n, want := range []struct{ services, signing, signs, file string }{
		{"container_registry plain", "x5c", "a leaf under this root", certFile},
		{"own", "kid", "the key of this certificate", own.RootCertificate},
		{"old", "libtrust", "the key of this certificate", certFile},
	} {
		k := keys[n]
		if strings.Join(k.Services, " ") != want.services || k.Signing != want.signing || !strings.HasPrefix(k.Signs, want.signs) || k.Certificate != want.file {
			t.Errorf("Keys[%d] = %+v, want %+v", n, k, want)
		}
	}
	if keys[0].KeyID == keys[2].KeyID || !strings.Contains(keys[2].KeyID, ":") {
		t.Errorf("key ids = %q and %q, want the second by libtrust", keys[0].KeyID, keys[2].KeyID)
	}
	out, err := exec.Command(program(t, "openssl", "apt-get install openssl"), "x509", "-noout", "-fingerprint", "-sha256", "-in", certFile).Output()
	if err != nil || !strings.Contains(string(out), "="+keys[0].Fingerprint+"\n") {
		t.Errorf("openssl says %s, %v; the fingerprint is %s", out, err, keys[0].Fingerprint)
	}
}

// TestKeysOfReloadingLeaf: a configured leaf is shown itself.
func TestKeysOfReloadingLeaf(t *testing.T) {
	a := newAuthority(t)
	leaf := a.leaf(t, time.Hour)
	a.put(t, leaf)
	keys, err := newTestIssuer(t, a.config()).Keys()
	if err != nil || len(keys) != 1 || keys[0].Fingerprint != fingerprint(leaf.certificate) || filepath.Base(keys[0].Certificate) != filepath.Base(a.config().SigningCertificate) {
		t.Errorf("Keys = %+v, %v, want the leaf", keys, err)
	}
	if !slices.Equal(keys[0].Services, []string{"container_registry"}) {
		t.Errorf("services = %q", keys[0].Services)
	}
}
