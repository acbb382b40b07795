package oidc_test

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"shorepass/providers"
	"shorepass/providers/oidc"
	"shorepass/providers/oidc/oidctest"
)

func answer(v any) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(v)
	}
}

// New touches no network, and neither does anything before a credential comes.
func TestNewTouchesNoNetwork(t *testing.T) {
	i := oidctest.NewIssuer(t)
	p := client(t, i.URL, nil)
	p.TrustsIssuer(i.URL)
	p.Fingerprint()
	if _, err := p.Authenticate(t.Context(), password("alice", "")); !errors.Is(err, providers.ErrRejected) {
		t.Errorf("Authenticate with an empty password = %v, want ErrRejected", err)
	}
	denied := errors.New("throttled")
	cred := password("alice", "pw")
	cred.Admit = func(context.Context, string) error { return denied }
	if _, err := p.Authenticate(t.Context(), cred); err != denied {
		t.Errorf("Authenticate of who is not admitted = %v, want the error of Admit as it is", err)
	}
	if n := i.Requests(oidctest.DiscoveryPath) + i.Requests(oidctest.TokenPath); n != 0 {
		t.Errorf("%d requests, want none", n)
	}
}

func TestDiscoveryRefused(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("a request came to the other host: %s", r.URL)
	}))
	defer elsewhere.Close()
	tests := []struct {
		name    string
		changes map[string]any
		want    string // in the error
	}{
		{"issuer with a slash", map[string]any{"issuer": "SLASH"}, "did not match the issuer"},
		{"issuer of another", map[string]any{"issuer": elsewhere.URL}, "did not match the issuer"},
		{"issuer missing", map[string]any{"issuer": nil}, "did not match the issuer"},
		{"token endpoint elsewhere", map[string]any{"token_endpoint": elsewhere.URL + "/token"}, "add it to hosts"},
		{"token endpoint by another scheme", map[string]any{"token_endpoint": "file:///etc/passwd"}, "is no URL"},
		{"token endpoint gopher", map[string]any{"token_endpoint": "gopher://127.0.0.1/x"}, "is not https"},
		{"token endpoint with a user", map[string]any{"token_endpoint": "http://user@127.0.0.1/"}, "is no URL"},
		{"token endpoint missing", map[string]any{"token_endpoint": nil}, "is not in the provider's discovery document"},
		{"token endpoint a number", map[string]any{"token_endpoint": 7}, "discovery"},
		{"only strange client authentication", map[string]any{"token_endpoint_auth_methods_supported": []string{"private_key_jwt"}}, "set auth_style"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			i := oidctest.NewIssuer(t)
			if tt.changes["issuer"] == "SLASH" {
				tt.changes["issuer"] = i.URL + "/"
			}
			i.Replace(oidctest.DiscoveryPath, answer(i.Metadata(tt.changes)))
			_, err := client(t, i.URL, nil).Authenticate(t.Context(), password("alice", "pw"))
			if !cannotTell(err) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Authenticate = %v, want an error that is no verdict and says %q", err, tt.want)
			}
		})
	}
}

// keys are held to the same rule as the endpoint that gets the passwords.
func TestKeysElsewhere(t *testing.T) {
	i, other := oidctest.NewIssuer(t), oidctest.NewIssuer(t)
	i.Replace(oidctest.DiscoveryPath, answer(i.Metadata(map[string]any{"jwks_uri": other.URL + oidctest.KeysPath})))
	token := other.IDToken(map[string]any{"iss": i.URL})
	if _, err := present(ci(t, i.URL, nil), t, token); !cannotTell(err) {
		t.Errorf("Authenticate = %v, want an error that is no verdict", err)
	}
	if n := other.Requests(oidctest.KeysPath); n != 0 {
		t.Errorf("keys were read from another host %d times", n)
	}
	named := ci(t, i.URL, func(c *oidc.Config) { c.Hosts = []string{strings.TrimPrefix(other.URL, "http://")} })
	if _, err := present(named, t, token); err != nil {
		t.Errorf("Authenticate with that host in hosts = %v, want an identity", err)
	}
}

// No redirect is followed, neither with a password nor without one.
func TestRedirectsAreNotFollowed(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, path := range []string{oidctest.DiscoveryPath, oidctest.TokenPath} {
			i := oidctest.NewIssuer(t)
			i.Replace(path, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, i.URL+"/elsewhere", status) })
			_, err := client(t, i.URL, nil).Authenticate(t.Context(), password("alice", "pw"))
			if !cannotTell(err) {
				t.Errorf("%d at %s: Authenticate = %v, want an error that is no verdict", status, path, err)
			}
			if n := i.Requests("/elsewhere"); n != 0 {
				t.Errorf("%d at %s: the redirect was followed", status, path)
			}
		}
	}
}

// What has no end, comes slowly or breaks off costs bounded memory and time.
func TestHostileAnswers(t *testing.T) {
	endless := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		block := []byte(strings.Repeat(" ", 64<<10))
		for {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	}
	slow := func(w http.ResponseWriter, r *http.Request) {
		for range 100 {
			if _, err := w.Write([]byte(" ")); err != nil {
				return
			}
			w.(http.Flusher).Flush()
			select {
			case <-r.Context().Done():
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
	}
	broken := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "1000")
		_, _ = w.Write([]byte(`{"issuer":`))
		panic(http.ErrAbortHandler)
	}
	deep := func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(strings.Repeat(`{"a":`, 100_000)))
	}
	for name, hostile := range map[string]http.HandlerFunc{"endless": endless, "slow": slow, "broken off": broken, "deep": deep} {
		for _, path := range []string{oidctest.DiscoveryPath, oidctest.KeysPath, oidctest.TokenPath, oidctest.UserinfoPath} {
			t.Run(name+path, func(t *testing.T) {
				t.Parallel()
				i := oidctest.NewIssuer(t)
				i.Replace(oidctest.TokenPath, answer(map[string]any{"access_token": "x", "token_type": "Bearer", "id_token": i.IDToken(nil)}))
				i.Replace(path, hostile)
				p := client(t, i.URL, func(c *oidc.Config) { c.Timeout, c.Userinfo = 500*time.Millisecond, "always" })
				begun := time.Now()
				if _, err := p.Authenticate(t.Context(), password("alice", "pw")); !cannotTell(err) {
					t.Errorf("Authenticate = %v, want an error that is no verdict", err)
				} else if len(err.Error()) > 600 {
					t.Errorf("the error has %d bytes", len(err.Error()))
				}
				if took := time.Since(begun); took > 4*time.Second {
					t.Errorf("took %v", took)
				}
				if n := i.Requests(oidctest.TokenPath); n > 1 {
					t.Errorf("the password was sent %d times", n)
				}
			})
		}
	}
}

// While the provider is down, those who come do not each ask it, and when it is
// back nobody has to restart anything.
func TestDiscoveryOncePerSecond(t *testing.T) {
	i := oidctest.NewIssuer(t)
	i.Replace(oidctest.DiscoveryPath, func(w http.ResponseWriter, r *http.Request) { http.Error(w, "down", 500) })
	p := ci(t, i.URL, nil)
	token := i.IDToken(nil)
	begun := time.Now()
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if _, err := present(p, t, token); !cannotTell(err) {
				t.Errorf("Authenticate = %v, want an error that is no verdict", err)
			}
		})
	}
	wg.Wait()
	if n := i.Requests(oidctest.DiscoveryPath); n > 1+int(time.Since(begun)/time.Second) {
		t.Errorf("discovery was tried %d times by 50 at once", n)
	}
	i.Replace(oidctest.DiscoveryPath, nil)
	time.Sleep(1100 * time.Millisecond)
	for range 50 {
		wg.Go(func() {
			if _, err := present(p, t, token); err != nil {
				t.Errorf("Authenticate after the provider came back = %v", err)
			}
		})
	}
	wg.Wait()
	if n := i.Requests(oidctest.KeysPath); n != 1 {
		t.Errorf("keys were read %d times by 50 at once, want once", n)
	}
}

// A client that goes away says nothing of the provider.
func TestCancelledDiscoveryIsNoFailure(t *testing.T) {
	i := oidctest.NewIssuer(t)
	p := ci(t, i.URL, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	cred := providers.Credential{Secret: providers.NewSecret(i.IDToken(nil)), Kind: providers.IDToken}
	if _, err := p.Authenticate(ctx, cred); !cannotTell(err) {
		t.Errorf("Authenticate for a client that is gone = %v, want an error that is no verdict", err)
	}
	if _, err := p.Authenticate(t.Context(), cred); err != nil {
		t.Errorf("Authenticate right after = %v, want an identity", err)
	}
}

func TestTLS(t *testing.T) {
	i := oidctest.NewTLSIssuer(t)
	if _, err := present(ci(t, i.URL, nil), t, i.IDToken(nil)); !cannotTell(err) {
		t.Errorf("unknown authority: Authenticate = %v, want an error that is no verdict", err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.Server.Certificate().Raw})
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := present(ci(t, i.URL, func(c *oidc.Config) { c.TLS.CA = file }), t, i.IDToken(nil)); err != nil {
		t.Errorf("authority in tls.ca: Authenticate = %v, want an identity", err)
	}
	wrongName := ci(t, i.URL, func(c *oidc.Config) { c.TLS.CA, c.TLS.ServerName = file, "sso.corp.test" })
	if _, err := present(wrongName, t, i.IDToken(nil)); !cannotTell(err) {
		t.Errorf("another name: Authenticate = %v, want an error that is no verdict", err)
	}
	// An https issuer never leads to a plain endpoint.
	i.Replace(oidctest.DiscoveryPath, answer(i.Metadata(map[string]any{"jwks_uri": "http" + strings.TrimPrefix(i.URL, "https") + oidctest.KeysPath})))
	if _, err := present(ci(t, i.URL, func(c *oidc.Config) { c.TLS.CA = file }), t, i.IDToken(nil)); !cannotTell(err) || !strings.Contains(err.Error(), "is not https") {
		t.Errorf("plain keys of an https issuer: Authenticate = %v, want an error that says so", err)
	}
	if _, err := oidc.New(oidc.Config{TLS: providers.TLS{CA: file + ".missing"}, Users: oidc.Users{Claim: "sub"}}); err == nil {
		t.Error("New with a missing tls.ca = nil, want an error")
	}
}

// The answer of the token endpoint is looked at as closely as what a stranger
// brings. What is wrong with it is the provider's fault: no verdict.
func TestBadAnswersOfTheTokenEndpoint(t *testing.T) {
	i, other := oidctest.NewIssuer(t), oidctest.NewIssuer(t)
	p := client(t, i.URL, func(c *oidc.Config) { c.Users.Claim, c.Groups.Claim = "sub", "" })
	tests := []struct {
		name    string
		idToken any
		info    any // userinfo, if asked
	}{
		{"wrong key", other.IDToken(map[string]any{"iss": i.URL}), nil},
		{"wrong issuer", i.IDToken(map[string]any{"iss": i.URL + "/"}), nil},
		{"wrong audience", i.IDToken(map[string]any{"aud": "vault"}), nil},
		{"azp of another", i.IDToken(map[string]any{"azp": "vault"}), nil},
		{"expired", i.IDToken(map[string]any{"exp": 1}), nil},
		{"alg none", oidctest.SignWith(t, `{"alg":"none"}`, claimsText(i.URL, ""), nil), nil},
		{"no sub", i.IDToken(map[string]any{"sub": nil}), nil},
		{"no ID token, userinfo without sub", nil, map[string]any{"name": "x"}},
		{"no ID token, userinfo with a sub that is a number", nil, map[string]any{"sub": 7}},
		{"no ID token, userinfo is a list", nil, []string{"sub"}},
		{"ID token is a number", 7, map[string]any{}},
	}
	for _, tt := range tests {
		i.Replace(oidctest.TokenPath, answer(map[string]any{"access_token": "x", "token_type": "Bearer", "id_token": tt.idToken}))
		i.Replace(oidctest.UserinfoPath, answer(tt.info))
		if id, err := p.Authenticate(t.Context(), password("alice", "pw")); !cannotTell(err) {
			t.Errorf("%s: Authenticate = %v, %v, want an error that is no verdict", tt.name, id, err)
		}
	}
}

func TestUserinfoAboutSomebodyElse(t *testing.T) {
	i := oidctest.NewIssuer(t)
	i.Replace(oidctest.TokenPath, answer(map[string]any{"access_token": "x", "token_type": "Bearer", "id_token": i.IDToken(nil)}))
	i.Replace(oidctest.UserinfoPath, answer(map[string]any{"sub": "subject-2", "groups": []string{"admins"}}))
	p := client(t, i.URL, func(c *oidc.Config) { c.Users.Claim = "sub" })
	if id, err := p.Authenticate(t.Context(), password("alice", "pw")); !cannotTell(err) {
		t.Errorf("Authenticate = %v, %v, want an error that is no verdict", id, err)
	}
}

// email_verified in one answer says nothing of the email in another.
func TestEmailVerifiedElsewhere(t *testing.T) {
	i := oidctest.NewIssuer(t)
	i.Replace(oidctest.TokenPath, answer(map[string]any{"access_token": "x", "token_type": "Bearer", "id_token": i.IDToken(map[string]any{"email": "boss@corp.example"})}))
	i.Replace(oidctest.UserinfoPath, answer(map[string]any{"sub": "subject-1", "email": "me@home.example", "email_verified": true}))
	p := client(t, i.URL, func(c *oidc.Config) { c.Users.Claim, c.Groups.Claim, c.Userinfo = "email", "", "always" })
	if id, err := p.Authenticate(t.Context(), password("alice", "pw")); !errors.Is(err, providers.ErrRejected) {
		t.Errorf("Authenticate = %v, %v, want ErrRejected", id, err)
	}
}

// A refresh token whose answer is about another person ends that session.
func TestRevalidateAboutSomebodyElse(t *testing.T) {
	i := oidctest.NewIssuer(t)
	p := client(t, i.URL, func(c *oidc.Config) { c.Users.Claim, c.Groups.Claim = "sub", "" })
	i.Replace(oidctest.TokenPath, answer(map[string]any{"access_token": "x", "refresh_token": "next", "token_type": "Bearer", "id_token": i.IDToken(nil)}))
	id := &providers.Identity{Subject: "subject-2", Renewal: providers.NewSecret("first")}
	if got, err := p.Revalidate(t.Context(), id); !errors.Is(err, providers.ErrGone) {
		t.Errorf("Revalidate = %v, %v, want ErrGone", got, err)
	}
	id.Subject = "subject-1"
	if got, err := p.Revalidate(t.Context(), id); err != nil || got.Renewal.Reveal() != "next" {
		t.Errorf("Revalidate = %v, %v, want an identity with the next token", got, err)
	}
}

// A client that hangs up in the middle of a refresh does not cost the token.
func TestRefreshOutlivesTheClient(t *testing.T) {
	i := oidctest.NewIssuer(t)
	p := client(t, i.URL, func(c *oidc.Config) { c.Users.Claim, c.Groups.Claim = "sub", "" })
	ctx, cancel := context.WithCancel(t.Context())
	i.Replace(oidctest.TokenPath, func(w http.ResponseWriter, r *http.Request) {
		cancel()
		time.Sleep(50 * time.Millisecond)
		answer(map[string]any{"access_token": "x", "refresh_token": "next", "token_type": "Bearer"})(w, r)
	})
	i.Replace(oidctest.UserinfoPath, answer(map[string]any{"sub": "subject-1"}))
	got, err := p.Revalidate(ctx, &providers.Identity{Subject: "subject-1", Renewal: providers.NewSecret("first")})
	if err != nil || got.Renewal.Reveal() != "next" {
		t.Errorf("Revalidate = %v, %v, want an identity with the next token", got, err)
	}
	if _, err := p.Revalidate(ctx, got); !errors.Is(err, context.Canceled) || i.Requests(oidctest.TokenPath) != 1 {
		t.Errorf("Revalidate for a client that is long gone = %v after %d requests, want none", err, i.Requests(oidctest.TokenPath))
	}
}

// No refresh token is spent while its answer could not be verified.
func TestNothingSpentWithoutKeys(t *testing.T) {
	i := oidctest.NewIssuer(t)
	i.Replace(oidctest.KeysPath, func(w http.ResponseWriter, r *http.Request) { http.Error(w, "", http.StatusServiceUnavailable) })
	p := client(t, i.URL, nil)
	if _, err := p.Revalidate(t.Context(), &providers.Identity{Subject: "s", Renewal: providers.NewSecret("r")}); !cannotTell(err) {
		t.Errorf("Revalidate = %v, want an error that is no verdict", err)
	}
	if n := i.Requests(oidctest.TokenPath); n != 0 {
		t.Errorf("the refresh token was sent %d times, want never", n)
	}
}

func TestRevokeRequest(t *testing.T) {
	i := oidctest.NewIssuer(t)
	var got *http.Request
	i.Replace(oidctest.RevocationPath, func(w http.ResponseWriter, r *http.Request) { _ = r.ParseForm(); got = r })
	for style, want := range map[string]string{"client_secret_basic": "", "client_secret_post": registry.Secret} {
		p := client(t, i.URL, func(c *oidc.Config) { c.AuthStyle = style })
		if err := p.Revoke(t.Context(), providers.NewSecret("r&=1")); err != nil {
			t.Fatal(err)
		}
		if got.PostForm.Get("token") != "r&=1" || got.PostForm.Get("token_type_hint") != "refresh_token" || got.PostForm.Get("client_secret") != want {
			t.Errorf("%s: revocation form = %v", style, got.PostForm)
		}
		if _, _, ok := got.BasicAuth(); ok == (want != "") {
			t.Errorf("%s: Authorization present = %v", style, ok)
		}
	}
	i.Replace(oidctest.RevocationPath, func(w http.ResponseWriter, r *http.Request) { http.Error(w, "", http.StatusServiceUnavailable) })
	if err := client(t, i.URL, nil).Revoke(t.Context(), providers.NewSecret("r")); err == nil {
		t.Error("Revoke at a provider that fails = nil, want an error")
	}
	i.Replace(oidctest.DiscoveryPath, answer(i.Metadata(map[string]any{"revocation_endpoint": nil})))
	if err := client(t, i.URL, nil).Revoke(t.Context(), providers.NewSecret("r")); err != nil {
		t.Errorf("Revoke without an endpoint = %v, want nil: there is nothing to be done", err)
	}
}

// No error that leaves the package holds a secret.
func TestErrorsHoldNoSecrets(t *testing.T) {
	i := oidctest.NewIssuer(t)
	const canary = "canary-7f3a"
	for _, h := range []http.HandlerFunc{
		func(w http.ResponseWriter, r *http.Request) {
			_ = r.ParseForm()
			http.Error(w, r.PostForm.Encode(), 500)
		},
		func(w http.ResponseWriter, r *http.Request) {
			_ = r.ParseForm()
			w.WriteHeader(400)
			_, _ = w.Write([]byte(r.PostForm.Encode()))
		},
		func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) },
	} {
		i.Replace(oidctest.TokenPath, h)
		p := client(t, i.URL, func(c *oidc.Config) {
			c.ClientSecret = providers.NewSecret(canary)
			c.AuthStyle = "client_secret_post"
		})
		_, err := p.Authenticate(t.Context(), password("alice", canary))
		_, again := p.Revalidate(t.Context(), &providers.Identity{Subject: "s", Renewal: providers.NewSecret(canary)})
		if text := errors.Join(err, again).Error(); strings.Contains(text, canary) {
			t.Errorf("the error holds a secret: %s", text)
		}
	}
}

func TestPingWarns(t *testing.T) {
	i := oidctest.NewIssuer(t)
	i.Replace(oidctest.DiscoveryPath, answer(i.Metadata(map[string]any{
		"grant_types_supported":                 []string{"authorization_code"},
		"id_token_signing_alg_values_supported": []string{"HS256"},
		"scopes_supported":                      []string{"openid"},
	})))
	found, err := client(t, i.URL, nil).Ping(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(found, "\n")
	for _, want := range []string{
		"warning: grant password is not advertised", "warning: grant refresh_token is not advertised",
		"warning: the provider signs with", "offline_access: not offered",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("Ping says nothing of %q:\n%s", want, text)
		}
	}
}

func TestFingerprint(t *testing.T) {
	a := client(t, "https://sso.corp.example", nil)
	seen := map[string]bool{a.Fingerprint(): true}
	for _, b := range []*oidc.Provider{
		client(t, "https://sso.corp.example/", nil),
		client(t, "https://sso.corp.example", func(c *oidc.Config) { c.ClientID = "other" }),
		client(t, "https://sso.corp.example", func(c *oidc.Config) { c.Subject = []string{"oid"} }),
	} {
		if seen[b.Fingerprint()] {
			t.Errorf("Fingerprint %q twice", b.Fingerprint())
		}
		seen[b.Fingerprint()] = true
	}
	if b := client(t, "https://sso.corp.example", func(c *oidc.Config) { c.Users.Claim = "email" }); b.Fingerprint() != a.Fingerprint() {
		t.Error("another user claim is no other account base")
	}
}
