package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"shorepass/registry"
)

// fakeZot answers as zot 2.1 does, which cannot be had for tests: its challenge has an empty
// scope, it verifies with one key, it looks at neither issuer nor service, and it answers a
// token that it refuses without a challenge.
func fakeZot(t *testing.T, realm, service, certFile string) string {
	t.Helper()
	text, err := os.ReadFile(certFile)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok {
			w.Header().Set("Www-Authenticate", fmt.Sprintf(`Bearer realm="%s",service="%s",scope=""`, realm, service))
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		switch {
		case !verifiesES256(certificate.PublicKey.(*ecdsa.PublicKey), token):
			w.WriteHeader(http.StatusUnauthorized)
		case r.URL.Path != "/v2/":
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// verifiesES256 verifies the signature of a token (RFC 7518, section 3.4).
func verifiesES256(key *ecdsa.PublicKey, token string) bool {
	at := strings.LastIndexByte(token, '.')
	signature, err := base64.RawURLEncoding.DecodeString(token[at+1:])
	if err != nil || len(signature) != 64 {
		return false
	}
	hash := sha256.Sum256([]byte(token[:at]))
	return ecdsa.Verify(key, hash[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:]))
}

// TestCheckZot: check --registry at a zot names the keys of zot, the way of signing that zot
// needs, and the lifetime (F9, E1).
func TestCheckZot(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"root", "zot", "long", "other"} {
		if err := registry.CreateRoot(file(name+".crt"), file(name+".key")); err != nil {
			t.Fatal(err)
		}
	}
	const realm = "http://localhost:1/jwt/auth" // where nothing listens, which is a finding of its own
	text := fmt.Sprintf(`
[server]
listen      = "127.0.0.1:1"
public_urls = ["http://localhost:1"]
[token]
issuer   = "i"
services = ["plain", "zot", "long", "sharing", "off"]
root_certificate = %[1]q
root_key         = %[2]q
[[service]]
name             = "zot"
root_certificate = %[3]q
root_key         = %[4]q
signing          = "kid"
[[service]]
name             = "long"
root_certificate = %[5]q
root_key         = %[6]q
signing          = "kid"
lifetime         = "1h"
hosts            = ["zot.corp.example", "zot:5000"]
[[service]]
name             = "sharing"
root_certificate = %[3]q
root_key         = %[4]q
signing          = "kid"
[[service]]
name     = "off"
disabled = true
`, file("root.crt"), file("root.key"), file("zot.crt"), file("zot.key"), file("long.crt"), file("long.key"))
	cfg, issuer := loadText(t, file("shorepass.toml"), text)
	for _, tt := range []struct{ name, service, cert, want string }{
		{"right", "long", "long.crt", "it trusts the root and the issuer of the service \"long\""},
		{"another host", "long", "long.crt", `warning (service[1].hosts): people who sign in with a browser are told to log in at zot.corp.example or zot:5000, and this registry is 127.0.0.1:`},
		{"a short lifetime", "zot", "zot.crt", `warning (service[0].lifetime): A token for this service lives 5m, and a push that takes longer fails`},
		{"a key of two services", "zot", "zot.crt", `warning (service[0].root_certificate): service "zot": zot checks neither issuer nor service, so that it would accept the tokens of sharing too`},
		{"another certificate", "long", "other.crt", `fault (http.auth.bearer.cert): it does not trust the root of the service "long"; give it DIR/long.crt`},
		{"the certificate of another service", "long", "root.crt", `fault (http.auth.bearer.cert): it has the root of the service "plain"; give it the one of "long": DIR/long.crt`},
		{"tokens by x5c", "plain", "root.crt", `fault (token.signing): it finds the key of a token by signing = "kid", and the tokens for "plain" are signed by "x5c"; write token.signing = "kid" here`},
		{"tokens by x5c, another certificate", "plain", "other.crt", `it cannot take tokens as they are signed here: service "plain": zot verifies with one key and ignores x5c; give the service its own root_certificate and root_key`},
		{"a disabled service", "off", "root.crt", `fault (service[3].disabled): the service "off" is disabled here; take that out of its [[service]] table`},
		{"another service", "nobody's", "root.crt", `fault (http.auth.bearer.service): the service "nobody's" is not in token.services`},
	} {
		part, err := checkRegistry(context.Background(), cfg, issuer, fakeZot(t, realm, tt.service, file(tt.cert)))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.ReplaceAll(part.Findings.String(), dir, "DIR"); part.Kind != registry.Zot || !strings.Contains(got, tt.want) {
			t.Errorf("%s: a %s with findings\n%s\nwant %s", tt.name, part.Kind, got, tt.want)
		}
	}
}

// TestCheckHostileRegistry: what calls itself a registry chooses its realm and its clock.
// No probe goes to a realm that is not the server's own, though it answers as shorepass
// does, and none lives longer than a day.
func TestCheckHostileRegistry(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	if err := registry.CreateRoot(file("root.crt"), file("root.key")); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf(`
[server]
listen      = "127.0.0.1:1"
public_urls = ["http://localhost:1"]
[token]
issuer           = "i"
services         = ["x5c", "kid"]
root_certificate = %q
root_key         = %q
[[service]]
name    = "kid"
signing = "kid"
`, file("root.crt"), file("root.key"))
	cfg, issuer := loadText(t, file("shorepass.toml"), text)
	realm := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Errorf("a probe was sent to %s at the realm", r.URL)
		}
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprint(w, `{"errors":[{"code":"UNAUTHORIZED"}],"error":"invalid_grant"}`)
	}))
	defer realm.Close()
	const day = 24 * time.Hour
	for _, service := range []string{"x5c", "kid"} {
		for _, ahead := range []time.Duration{200 * 365 * day, 40 * day, day / 2, -day / 2, -50 * 365 * day} {
			for _, status := range []int{http.StatusOK, http.StatusUnauthorized} {
				probes := 0
				hostile := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Date", time.Now().Add(ahead).UTC().Format(http.TimeFormat))
					token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
					if !ok {
						w.Header().Set("Www-Authenticate", fmt.Sprintf(`Bearer realm="%s/jwt/auth",service="%s"`, realm.URL, service))
						w.WriteHeader(http.StatusUnauthorized)
						return
					}
					probes++
					if end := expiryOf(t, token); time.Until(end) > day+time.Hour {
						t.Errorf("%s, %v ahead: a probe ends at %v", service, ahead, end)
					}
					w.WriteHeader(status)
				}))
				part, err := checkRegistry(context.Background(), cfg, issuer, hostile.URL)
				hostile.Close()
				if err != nil || probes == 0 || !strings.Contains(part.Findings.String(), "set both by NTP") {
					t.Errorf("%s, %v ahead: %d probes, %v, findings\n%s", service, ahead, probes, err, part.Findings)
				}
			}
		}
	}

	// One that breaks off at the first token: the error names it, and the findings before
	// are kept.
	rude := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Www-Authenticate", fmt.Sprintf(`Bearer realm="%s/jwt/auth",service="kid"`, realm.URL))
		w.WriteHeader(http.StatusUnauthorized)
	}))
	defer rude.Close()
	result := &checkResult{}
	err := result.askRegistry(context.Background(), cfg, rude.URL)
	if err == nil || !strings.Contains(err.Error(), "registry "+rude.URL+": cannot be reached: ") || result.Registry == nil || len(result.Registry.Findings) == 0 {
		t.Errorf("%v, registry %+v, want an error that names it and the findings before", err, result.Registry)
	}
}

// expiryOf returns the end of a token.
func expiryOf(t *testing.T, token string) time.Time {
	t.Helper()
	parts := strings.Split(token, ".")
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims struct{ Exp int64 }
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	return time.Unix(claims.Exp, 0)
}

// TestSameURL: a realm is compared as clients and the server take it.
func TestSameURL(t *testing.T) {
	const ours = "https://auth.example/jwt/auth"
	for other, want := range map[string]bool{
		ours:                                 true,
		"https://AUTH.example/jwt/auth":      true,
		"https://auth.example:443/jwt/auth":  true,
		"https://auth.example//jwt/auth/":    true,
		"https://auth.example:8443/jwt/auth": false,
		"http://auth.example/jwt/auth":       false,
		"https://auth.example/jwt/Auth":      false,
		"https://auth.example/":              false,
		"https://auth.example.org/jwt/auth":  false,
		"::":                                 false,
	} {
		if got := sameURL(ours, other); got != want {
			t.Errorf("sameURL(%q, %q) = %v, want %v", ours, other, got, want)
		}
	}
}

// loadText writes a configuration to a file and loads it, with its keys.
func loadText(t *testing.T, path, text string) (*resolvedConfig, *registry.Issuer) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := (&options{config: path}).loadAll()
	if err != nil {
		t.Fatal(err)
	}
	issuer, err := loadIssuer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return cfg, issuer
}
