package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"shorepass/e2e/browser"
	"shorepass/providers/oidc/oidctest"
)

// TestSignInAtProviders signs a person in twice, in two browsers, at the real provider with
// the switches of others, and lets docker log in from each. One docker login is ended on
// the page, and the other goes on, though the provider is asked again about it.
func TestSignInAtProviders(t *testing.T) {
	t.Parallel()
	b := startBrowser(t, browser.Options{})
	key, public := clientKey(t)
	for _, tc := range []struct {
		name     string
		op       func(*oidctest.Options)
		provider string // TOML
		live     int    // refresh tokens at the provider at the end
	}{
		{name: "as it is", live: 1},
		{
			name:     "Keycloak before 26.1: a revocation drops every token of the person",
			op:       func(o *oidctest.Options) { o.TrustClients, o.RevokeAll, o.OmitIss = true, true, true },
			provider: `revoke = "last"`,
			live:     2,
		},
		{
			name:     "Dex: one token per person",
			op:       func(o *oidctest.Options) { o.OneToken = true },
			provider: `sign_ins = "one"`,
			live:     1,
		},
		{
			name: "pushed requests, and a client that signs",
			op: func(o *oidctest.Options) {
				o.RequirePAR = true
				o.Clients[0].Secret, o.Clients[0].Auth, o.Clients[0].Keys = "", "private_key_jwt", []map[string]string{public}
			},
			provider: fmt.Sprintf("client_key = %q", key),
			live:     1,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newSite(t, siteOptions{op: tc.op, provider: tc.provider, session: `revalidate = "1s"`})
			who := w.addPerson(t, "alice", "team-alpha")
			other := b.Open(t)
			var tokens []string
			for _, one := range []*browser.Page{b.Open(t), other} {
				w.signIn(t, one, who)
				_, password := w.oneTimePassword(t, one)
				tokens = append(tokens, w.login(t, who.name, password))
			}
			// The browser of the second login ends too, so that its sign-in has no session.
			other.Visit(w.url + "/me")
			other.ClickFirst(words("me.end") + ": " + words("me.kind.refresh"))
			other.See(words("me.logins", 3))
			other.Click(words("layout.logout"))
			other.Click(words("logout.here"))
			if a := w.redeem(t, tokens[1], teamScope); a.Status != http.StatusUnauthorized {
				t.Errorf("the login that was ended = %v, want 401", a)
			}
			w.op.Reset()
			eventually(t, 20*time.Second, func() error {
				if a := w.redeem(t, tokens[0], teamScope); a.Status != http.StatusOK {
					t.Fatalf("the other login = %v, want 200", a)
				}
				if w.op.Requests("token:refresh_token") < 2 {
					return fmt.Errorf("the provider was not asked again")
				}
				return nil
			})
			if live := w.op.LiveRefreshTokens(who.name); live != tc.live {
				t.Errorf("%d refresh tokens at the provider, want %d", live, tc.live)
			}
		})
	}
}

// clientKey makes the key of a client that signs, and returns its file and the public key as
// a JWK.
func clientKey(t *testing.T) (file string, public map[string]string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	file = filepath.Join(t.TempDir(), "client.key")
	must(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600))
	public = oidctest.JWK(t, key.Public())
	// encode sorts the members, as the thumbprint needs them (RFC 7638, section 3).
	thumbprint := sha256.Sum256(encode(t, public))
	public["kid"] = base64.RawURLEncoding.EncodeToString(thumbprint[:])
	return file, public
}
