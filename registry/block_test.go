package registry

import (
	"crypto/x509"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

const testRealm = "https://registry-auth.corp.example/jwt/auth"

// settingsOf returns the settings of a registry for a way of signing.
func settingsOf(t *testing.T, signing string) AuthSettings {
	t.Helper()
	cfg := testConfig(newRootFiles(t))
	cfg.Signing = signing
	settings, err := newTestIssuer(t, cfg).AuthSettings("container_registry", testRealm)
	if err != nil {
		t.Fatal(err)
	}
	settings.RootCertificate = "/home/RootCA.crt"
	return settings
}

// TestBlock compares the block for each registry and way of signing with its
// golden file.
func TestBlock(t *testing.T) {
	for _, test := range []struct{ registry, signing string }{
		{Distribution2, "x5c"}, {Distribution2, "libtrust"},
		{Distribution3, "x5c"}, {Distribution3, "kid"},
		{GitLab, "x5c"}, {GitLab, "libtrust"},
		{Zot, "kid"},
	} {
		got, err := settingsOf(t, test.signing).Block(test.registry)
		if err != nil {
			t.Errorf("%s, %s: %v", test.registry, test.signing, err)
			continue
		}
		golden := filepath.Join("testdata", "block", test.registry+"-"+test.signing)
		if *update {
			if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if diff := cmp.Diff(string(want), got); diff != "" || err != nil {
			t.Errorf("%s, %s: %v (-want +got)\n%s", test.registry, test.signing, err, diff)
		}
	}
}

// TestBlockQuotes: names are quoted so that YAML reads them back, whatever
// characters they have.
func TestBlockQuotes(t *testing.T) {
	settings := settingsOf(t, "x5c")
	settings.Issuer, settings.Service = "no", "a: b #c"
	got, err := settings.Block(Distribution3)
	if err != nil || !strings.Contains(got, "\n    service: \"a: b #c\"\n    issuer: \"no\"\n") {
		t.Errorf("Block = %s, %v, want both names in quotes", got, err)
	}
}

// TestBlockRefused: a registry that cannot accept the tokens gets an error that
// says what would be right.
func TestBlockRefused(t *testing.T) {
	edFiles := func(t *testing.T) (string, string) { return writeKeyPair(t, issue(t, ca("root"), newEdKey(t), nil)) }
	ecFiles := func(t *testing.T) (string, string) { return newRootFiles(t) }
	for _, test := range []struct {
		registry, signing string
		files             func(*testing.T) (string, string)
		want              string
	}{
		{"harbor", "x5c", ecFiles, `"harbor" is not one of "distribution2", "distribution3", "gitlab", "zot"`},
		{Distribution2, "kid", ecFiles, `write "x5c" or "libtrust"`},
		{GitLab, "kid", ecFiles, `write "x5c" or "libtrust"`},
		{Distribution3, "libtrust", ecFiles, `write "x5c" or "kid"`},
		{Zot, "x5c", ecFiles, `its own root_certificate and root_key, and signing = "kid"`},
		{Distribution2, "x5c", edFiles, "does not start with an Ed25519 certificate"},
		{Distribution2, "libtrust", edFiles, "does not start with an Ed25519 certificate"},
		{GitLab, "x5c", edFiles, "does not start with an Ed25519 certificate"},
	} {
		cfg := testConfig(test.files(t))
		cfg.Signing = test.signing
		settings, err := newTestIssuer(t, cfg).AuthSettings("container_registry", testRealm)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := settings.Block(test.registry); err == nil || got != "" || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s, %s: Block = %q, %v, want an error with %q", test.registry, test.signing, got, err, test.want)
		}
	}
}

// TestBlockForZotNeedsItsOwnKey: zot verifies only the signature, so a key for
// two services would make it accept the tokens of both.
func TestBlockForZotNeedsItsOwnKey(t *testing.T) {
	cfg := testConfig(newRootFiles(t))
	cfg.Services = []string{"container_registry", "one", "two"}
	shared := Service{Signing: "kid"}
	shared.RootCertificate, shared.RootKey = newRootFiles(t)
	one, two := shared, shared
	one.Name, two.Name = "one", "two"
	i := newTestIssuer(t, cfg, one, two)
	settings, err := i.AuthSettings("one", testRealm)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := settings.Block(Zot); err == nil || !strings.Contains(err.Error(), "would accept the tokens of two too") {
		t.Errorf("Block(zot) with a shared key: %v, want an error that names the other service", err)
	}
	two.RootCertificate, two.RootKey = newRootFiles(t)
	if settings, err = newTestIssuer(t, cfg, one, two).AuthSettings("one", testRealm); err != nil {
		t.Fatal(err)
	}
	if _, err := settings.Block(Zot); err != nil {
		t.Errorf("Block(zot) with a key of its own: %v", err)
	}
}

// TestAuthSettings: the settings are those of the service, and a realm that is
// no URL is refused.
func TestAuthSettings(t *testing.T) {
	certFile, keyFile := newRootFiles(t)
	i := newTestIssuer(t, testConfig(certFile, keyFile))
	settings, err := i.AuthSettings("container_registry", testRealm)
	if err != nil || settings.Signing != "x5c" || settings.RootCertificate != certFile || settings.Issuer != "gitlab-issuer" || settings.KeySet != "" {
		t.Errorf("AuthSettings = %+v, %v", settings, err)
	}
	if _, err := i.AuthSettings("other", testRealm); !errors.Is(err, ErrUnknownService) {
		t.Errorf("AuthSettings of an unknown service: %v, want ErrUnknownService", err)
	}
	for _, realm := range []string{"", "/jwt/auth", "localhost:5001", "ftp://host/", "https://"} {
		if _, err := i.AuthSettings("container_registry", realm); err == nil {
			t.Errorf("AuthSettings with realm %q: no error", realm)
		}
	}
}

// TestAuthSettingsOfReloadingLeaf: without a root certificate the block needs
// one, and an Ed25519 leaf is refused for distribution 2.8 alone.
func TestAuthSettingsOfReloadingLeaf(t *testing.T) {
	a := newAuthority(t)
	a.put(t, a.leaf(t, time.Hour))
	cfg := a.config()
	cfg.RootCertificate = ""
	settings, err := newTestIssuer(t, cfg).AuthSettings("container_registry", testRealm)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := settings.Block(Distribution2); err == nil || !strings.Contains(err.Error(), "say where the registry has the root certificate") {
		t.Errorf("Block without a root certificate: %v, want an error", err)
	}
	settings.RootCertificate = "/home/RootCA.crt"
	if _, err := settings.Block(Distribution2); err != nil {
		t.Errorf("Block: %v", err)
	}

	leaf := issue(t, &x509.Certificate{}, newEdKey(t), &keyPair{certificate: a.middle.certificate, key: a.middle.key})
	a.put(t, leaf)
	settings, err = newTestIssuer(t, a.config()).AuthSettings("container_registry", testRealm)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := settings.Block(Distribution2); err == nil || !strings.Contains(err.Error(), "does not verify Ed25519") {
		t.Errorf("Block for an Ed25519 leaf: %v, want an error", err)
	}
	if _, err := settings.Block(Distribution3); err != nil {
		t.Errorf("Block for an Ed25519 leaf: %v", err)
	}
}
