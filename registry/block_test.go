package registry

import (
	"crypto/x509"
	"encoding/json"
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

// zotDocumented is zot's documented configuration (examples/README.md and
// pkg/api/config of project-zot/zot 2.1), as far as the block uses it. zot itself
// refuses a key that it does not know.
type zotDocumented struct {
	HTTP struct {
		Compat []string // "docker2s2" is the only value
		Auth   struct {
			Bearer struct{ Realm, Service, Cert string }
		}
	}
}

// TestBlockForZot: the block is complete by zot's documentation: with the
// compatibility that docker and crane need, one certificate, and warnings about
// the lifetime and about blobs (E1, E3, E4).
func TestBlockForZot(t *testing.T) {
	settings := settingsOf(t, "kid")
	text, err := settings.Block(Zot)
	if err != nil {
		t.Fatal(err)
	}
	comments, block, _ := strings.Cut(text, "{")
	decoder := json.NewDecoder(strings.NewReader("{" + block))
	decoder.DisallowUnknownFields()
	var got, want zotDocumented
	if err := decoder.Decode(&got); err != nil {
		t.Fatal(err)
	}
	want.HTTP.Compat = []string{"docker2s2"}
	want.HTTP.Auth.Bearer.Realm, want.HTTP.Auth.Bearer.Service, want.HTTP.Auth.Bearer.Cert = testRealm, "container_registry", "/home/RootCA.crt"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("block (-want +got)\n%s", diff)
	}
	for _, note := range []string{"can read the blob through it", `A token for this service lives 5m`, `lifetime = "1h"`} {
		if !strings.Contains(comments, note) {
			t.Errorf("the comments do not have %q:\n%s", note, comments)
		}
	}

	settings.lifetime = time.Hour
	if text, err := settings.Block(Zot); err != nil || settings.Warning(Zot) != "" || strings.Contains(text, "lifetime") {
		t.Errorf("Block with an hour's lifetime = %s, %v, want no warning", text, err)
	}
	settings.lifetime = time.Minute
	if settings.Warning(Distribution3) != "" {
		t.Error("distribution needs no long lifetime")
	}
}

// TestBlockForZotOfBundle: zot would take the first certificate of a bundle,
// whichever it is, and refuse every token of another (E4).
func TestBlockForZotOfBundle(t *testing.T) {
	certFile, keyFile := newRootFiles(t)
	otherFile, _ := newRootFiles(t)
	own, err := os.ReadFile(certFile)
	if err != nil {
		t.Fatal(err)
	}
	other, err := os.ReadFile(otherFile)
	if err != nil {
		t.Fatal(err)
	}
	cfg := testConfig(writeFile(t, filepath.Join(t.TempDir(), "bundle.crt"), append(other, own...)), keyFile)
	cfg.Signing = "kid"
	settings, err := newTestIssuer(t, cfg).AuthSettings("container_registry", testRealm)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := settings.Block(Zot); err == nil || !strings.Contains(err.Error(), "bundle.crt has several; write the one of root_key alone into a file") {
		t.Errorf("Block of a bundle: %v, want an error", err)
	}
	settings.RootCertificate = certFile
	if _, err := settings.Block(Zot); err != nil {
		t.Errorf("Block of one certificate: %v", err)
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
