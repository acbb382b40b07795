package acmecert

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/acme"

	"shorepass/internal/certwatch"
	"shorepass/internal/durable"
	"shorepass/internal/secret"
	"shorepass/internal/tlsconf"
)

func TestValidate(t *testing.T) {
	good := Config{TermsAgreed: new(true)}
	for _, tt := range []struct {
		name   string
		change func(*Config)
		want   string // keys of the faults
	}{
		{"the least", func(*Config) {}, ""},
		{"all", func(c *Config) {
			*c = Config{Directory: "https://acme.corp.example/dir", TermsAgreed: new(true), Email: "a@b.example", ListenHTTP: ":80",
				ExternalAccount: ExternalAccount{"kid", secret.New("zWNDZM6eQGHWpSRT_-A=")}, TLS: tlsconf.Config{CA: "ca.crt"}, Folder: "f"}
		}, ""},
		{"terms not agreed", func(c *Config) { *c = Config{Email: "a@b.example"} }, "terms_agreed"},
		{"a directory by http", func(c *Config) { c.Directory = "http://acme.corp.example" }, "directory"},
		{"a directory without a scheme", func(c *Config) { c.Directory = "acme.corp.example" }, "directory"},
		{"a password in the URL", func(c *Config) { c.Directory = "https://a:b@acme.corp.example" }, "directory"},
		{"no address", func(c *Config) { c.Email = "registry" }, "email"},
		{"an address with a name", func(c *Config) { c.Email = "Registry <a@b.example>" }, "email"},
		{"a URL as the address", func(c *Config) { c.Email = "mailto:a@b.example" }, "email"},
		{"an account without a key", func(c *Config) { c.ExternalAccount.ID = "kid" }, "external_account"},
		{"a key without an account", func(c *Config) { c.ExternalAccount.Key = secret.New("eA") }, "external_account"},
		{"a key that is no base64url", func(c *Config) { c.ExternalAccount = ExternalAccount{"kid", secret.New("canary+/key")} }, "external_account.key"},
		{"a certificate without its key", func(c *Config) { c.TLS.Certificate = "a" }, "tls"},
	} {
		c := good
		tt.change(&c)
		var keys []string
		c.WithDefaults().Validate(func(key, problem string) {
			keys = append(keys, key)
			if strings.Contains(problem, "canary") {
				t.Errorf("%s: the fault quotes the key: %s", tt.name, problem)
			}
		})
		if got := strings.Join(keys, " "); got != tt.want {
			t.Errorf("%s: faults at %q, want %q", tt.name, got, tt.want)
		}
	}
	if none := (Config{}).WithDefaults(); none.Enabled() {
		t.Error("the defaults enable ACME")
	}
}

// TestBackoff: a directory that does not answer is asked again soon, and one that refuses
// after long, since refused orders count there.
func TestBackoff(t *testing.T) {
	down := fmt.Errorf("order: %w", errors.New("connection refused"))
	broken := &acme.Error{StatusCode: http.StatusServiceUnavailable}
	refused := fmt.Errorf("order: %w", &acme.Error{StatusCode: http.StatusForbidden})
	invalid := fmt.Errorf("x: %w", &acme.AuthorizationError{})
	limited := &acme.Error{StatusCode: http.StatusTooManyRequests, ProblemType: "urn:ietf:params:acme:error:rateLimited", Header: http.Header{"Retry-After": {"36000"}}}
	forever := &acme.Error{StatusCode: http.StatusTooManyRequests, ProblemType: limited.ProblemType, Header: http.Header{"Retry-After": {"864000000"}}}
	var b backoff
	var got []string
	for _, err := range []error{down, broken, down, refused, invalid, refusal{down}, down, fmt.Errorf("x: %w", limited), forever} {
		got = append(got, b.after(err).String())
	}
	if want := "5s 10s 20s 15m0s 30m0s 1h0m0s 5s 10h0m0s 24h0m0s"; strings.Join(got, " ") != want {
		t.Errorf("waits %s, want %s", strings.Join(got, " "), want)
	}
	for range 100 {
		if wait := b.after(down); wait > longestRetry {
			t.Fatalf("a wait of %v", wait)
		}
	}
	for range 100 {
		if wait := b.after(refused); wait > longestRetryRefused {
			t.Fatalf("a wait of %v", wait)
		}
	}
}

// issue returns a self-signed chain for names, and its key.
func issue(t *testing.T, begin time.Time, validity time.Duration, names ...string) ([][]byte, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: names, NotBefore: begin, NotAfter: begin.Add(validity)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return [][]byte{der}, key
}

// TestDue: a certificate is ordered if there is none, if the stored one lacks a name or
// cannot be read, and when a third of its validity is left.
func TestDue(t *testing.T) {
	begin := time.Now().Truncate(time.Second).Add(-time.Hour)
	chain, key := issue(t, begin, 90*24*time.Hour, "a.example", "b.example")
	for _, tt := range []struct {
		name   string
		stored bool
		change string // of the stored file
		names  []string
		want   time.Duration // after begin; 0 for now
	}{
		{"none", false, "", []string{"a.example"}, 0},
		{"all names", true, "", []string{"a.example", "b.example"}, 60 * 24 * time.Hour},
		{"fewer names", true, "", []string{"b.example"}, 60 * 24 * time.Hour},
		{"another name", true, "", []string{"a.example", "c.example"}, 0},
		{"half a file", true, "-----BEGIN PRIVATE KEY-----\n", []string{"a.example"}, 0},
	} {
		c := Config{TermsAgreed: new(true), Folder: t.TempDir()}.WithDefaults()
		f := c.files()
		if err := os.MkdirAll(f.folder, 0o700); err != nil {
			t.Fatal(err)
		}
		if tt.stored {
			if _, err := f.writeCertificate(chain, key); err != nil {
				t.Fatal(err)
			}
		}
		if tt.change != "" {
			if err := os.WriteFile(f.certificate, []byte(tt.change), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if plan, err := c.Check(tt.names); err != nil || strings.Contains(plan, "serve orders") != (tt.want == 0) {
			t.Errorf("%s: Check = %q, %v", tt.name, plan, err)
		}
		m, err := Open(c, tt.names, slog.New(slog.DiscardHandler), nil)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		want := time.Time{}
		if tt.want != 0 {
			want = begin.Add(tt.want)
		}
		if got := m.due(); !got.Equal(want) {
			t.Errorf("%s: due at %v, want %v", tt.name, got, want)
		}
		hello := &tls.ClientHelloInfo{ServerName: "stranger.example"}
		if _, err := m.GetCertificate(hello); (err == nil) != (tt.stored && tt.change == "") {
			t.Errorf("%s: GetCertificate = %v", tt.name, err)
		}
		watched := certwatch.Check(m.Certificates(), time.Now())
		if missing := len(watched) == 1 && watched[0].State == certwatch.Missing; missing != (!tt.stored || tt.change != "") {
			t.Errorf("%s: the watch says %+v", tt.name, watched)
		}
	}
}

// TestPrivateFiles: a key that everybody on the machine can read is refused, and so is one
// that is no key; neither is replaced silently.
func TestPrivateFiles(t *testing.T) {
	c := Config{TermsAgreed: new(true), Folder: t.TempDir()}.WithDefaults()
	f := c.files()
	first, err := f.accountKey()
	if err != nil {
		t.Fatal(err)
	}
	if again, err := f.accountKey(); err != nil || !again.Equal(first) {
		t.Errorf("the account has another key: %v", err)
	}
	if info, err := os.Stat(f.account); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the account's key has mode %v, %v", info.Mode(), err)
	}
	if err := os.Chmod(f.account, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := f.accountKey(); !errors.Is(err, durable.ErrWorldReadable) {
		t.Errorf("a world-readable key: %v", err)
	}
	if err := errors.Join(os.Chmod(f.account, 0o600), os.WriteFile(f.account, []byte("x"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Check(nil); err == nil {
		t.Error("Check takes a file that is no key")
	}
	chain, key := issue(t, time.Now(), time.Hour, "a.example")
	if _, err := f.writeCertificate(chain, key); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(f.certificate, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(c, nil, slog.New(slog.DiscardHandler), nil); !errors.Is(err, durable.ErrWorldReadable) {
		t.Errorf("Open of a world-readable certificate: %v", err)
	}
}

// TestFolders: each directory has a folder of its own, below the configured one.
func TestFolders(t *testing.T) {
	for directory, want := range map[string]string{
		acme.LetsEncryptURL:                 "acme-v02.api.letsencrypt.org_directory",
		"https://ca.corp.example:9000/a/b/": "ca.corp.example_9000_a_b",
		"https://ca.corp.example/../../x?y": "ca.corp.example_.._.._x",
	} {
		if got := (Config{Directory: directory, Folder: "f"}).files().folder; got != filepath.Join("f", want) {
			t.Errorf("the folder of %s is %s, want %s", directory, got, want)
		}
	}
}

// TestChoose: the listener decides which challenge is answered, and no other is tried.
func TestChoose(t *testing.T) {
	all := []*acme.Challenge{{Type: "dns-01"}, {Type: http01}, {Type: tlsALPN01}}
	for _, tt := range []struct {
		listen  string
		offered []*acme.Challenge
		want    string
	}{
		{"", all, tlsALPN01},
		{":80", all, http01},
		{"", all[:2], "not offer the challenge tls-alpn-01 but dns-01, http-01; set server.acme.listen_http"},
		{":80", all[:1], "not offer the challenge http-01 but dns-01; leave out server.acme.listen_http"},
	} {
		m := &Manager{cfg: Config{ListenHTTP: tt.listen}}
		switch c, err := m.choose(tt.offered); {
		case err != nil && (!strings.Contains(err.Error(), tt.want) || !isRefused(err)):
			t.Errorf("listen_http %q: %v, want %q", tt.listen, err, tt.want)
		case err == nil && c.Type != tt.want:
			t.Errorf("listen_http %q: %s, want %q", tt.listen, c.Type, tt.want)
		}
	}
}

// TestChallengeHandshake: a validation for a name without an order in progress fails, and
// an ordinary client that also speaks acme-tls/1 is no validation.
func TestChallengeHandshake(t *testing.T) {
	m := &Manager{proofs: map[string]*tls.Certificate{"a.example": {}}}
	for name, known := range map[string]bool{"a.example": true, "b.example": false, "": false} {
		if _, err := m.Challenge().GetCertificate(&tls.ClientHelloInfo{ServerName: name}); (err == nil) != known {
			t.Errorf("a validation of %q: %v", name, err)
		}
	}
	for _, tt := range []struct {
		protocols []string
		want      bool
	}{{[]string{"acme-tls/1"}, true}, {[]string{"h2", "acme-tls/1"}, false}, {[]string{"http/1.1"}, false}, {nil, false}} {
		if got := IsChallenge(&tls.ClientHelloInfo{SupportedProtos: tt.protocols}); got != tt.want {
			t.Errorf("IsChallenge(%q) = %v", tt.protocols, got)
		}
	}
}

// TestAskDirectoryFaults: an answer that is no directory, and one that leads away from
// https, are told from a directory that is down.
func TestAskDirectoryFaults(t *testing.T) {
	for name, tt := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"a page":       {func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>") }, "not the directory of an ACME server"},
		"another type": {func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `[]`) }, "not the directory of an ACME server"},
		"too long": {func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, `{"newNonce":"`+strings.Repeat("a", 2<<20)+`"}`)
		}, "not the directory of an ACME server"},
		"nothing": {func(http.ResponseWriter, *http.Request) {}, "not the directory of an ACME server"},
		"plain http": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusFound)
		}, "this is not https"},
		"a loop":       {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, http.StatusFound) }, "more than three times"},
		"out of order": {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "down", http.StatusBadGateway) }, "the directory cannot be read: 502"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewTLSServer(tt.answer)
			defer server.Close()
			ca := filepath.Join(t.TempDir(), "ca.pem")
			if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
				t.Fatal(err)
			}
			c := Config{Directory: server.URL + "/dir", TLS: tlsconf.Config{CA: ca}}
			if _, err := c.AskDirectory(t.Context()); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("AskDirectory: %v, want %q", err, tt.want)
			}
		})
	}
}
