package oidc_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"shorepass/providers/oidc"
	"shorepass/providers/oidc/oidctest"
)

// TestOutageIsUnavailable: a provider that is down, hangs or fails means
// unavailable, never rejected, in bounded time.
func TestOutageIsUnavailable(t *testing.T) {
	op := start(t, nil)
	p := newProvider(t, op.Issuer, nil)
	id := login(t, p, offline("alice", "alice's pass"))
	if _, err := p.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	try := func(what string) {
		t.Helper()
		op.Reset()
		begun := time.Now()
		if _, err := authenticate(t.Context(), p, password("alice", "alice's pass")); !isUnavailable(err) {
			t.Errorf("%s: Authenticate = %v, want unavailable", what, err)
		}
		if n := op.Requests("token"); n > 1 {
			t.Errorf("%s: the password was sent %d times", what, n)
		}
		if _, err := p.Revalidate(t.Context(), id); !isUnavailable(err) {
			t.Errorf("%s: Revalidate = %v, want unavailable", what, err)
		}
		if took := time.Since(begun); took > 20*time.Second {
			t.Errorf("%s: took %v, want at most two timeouts of 3s", what, took)
		}
	}
	for _, response := range []struct {
		status int
		body   string
	}{
		{500, `{"error":"server_error"}`},
		{503, `{"error":"invalid_grant"}`}, // as some broken providers answer
		{429, `{"error":"invalid_grant"}`},
		{400, `{"error":"invalid_client"}`},
		{400, `{"error":"unsupported_grant_type"}`},
		{404, ``},
		{401, `{}`},
		{302, ``},
		{200, ``},
		{200, `{"access_token":""}`},
		{200, `{"access_token":"x","token_type":"Bearer","id_token":"not.a.token"}`},
	} {
		op.Fail("token", response.status, response.body, 0)
		try(response.body)
		op.Release()
	}
	op.Hang("token")
	try("hanging")
	op.Release()
	op.Down()
	fresh := newProvider(t, op.Issuer, nil)
	if _, err := authenticate(t.Context(), p, password("alice", "alice's pass")); !isUnavailable(err) {
		t.Errorf("down: Authenticate = %v, want unavailable", err)
	}
	if _, err := authenticate(t.Context(), fresh, password("alice", "alice's pass")); !isUnavailable(err) {
		t.Errorf("down from the start: Authenticate = %v, want unavailable", err)
	}
	if _, err := fresh.Ping(t.Context()); err == nil {
		t.Error("down: Ping = nil, want an error")
	}
	op.Up()
	if _, err := p.Revalidate(t.Context(), id); err != nil {
		t.Errorf("up again: Revalidate = %v, want that failures did not use up the refresh token", err)
	}
	time.Sleep(1100 * time.Millisecond) // more than failureTTL
	login(t, fresh, password("alice", "alice's pass"))
}

// TestHostileResponses: a response that is endless, slow, broken off or deep
// costs bounded memory and time.
func TestHostileResponses(t *testing.T) {
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
				i.Replace(oidctest.TokenPath, serveJSON(map[string]any{"access_token": "x", "token_type": "Bearer", "id_token": i.IDToken(nil)}))
				i.Replace(path, hostile)
				p := newProvider(t, i.URL, func(c *oidc.Config) { c.Timeout, c.Userinfo = 500*time.Millisecond, "always" })
				begun := time.Now()
				if _, err := authenticate(t.Context(), p, password("alice", "pw")); !isUnavailable(err) {
					t.Errorf("Authenticate = %v, want unavailable", err)
				} else if len(err.Error()) > 600 {
					t.Errorf("the error has %d bytes", len(err.Error()))
				}
				if took := time.Since(begun); took > 8*time.Second {
					t.Errorf("took %v", took)
				}
				if n := i.Requests(oidctest.TokenPath); n > 1 {
					t.Errorf("the password was sent %d times", n)
				}
			})
		}
	}
}

// TestRedirectsAreNotFollowed: neither with a password nor without one.
func TestRedirectsAreNotFollowed(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, path := range []string{oidctest.DiscoveryPath, oidctest.TokenPath} {
			i := oidctest.NewIssuer(t)
			i.Replace(path, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, i.URL+"/elsewhere", status) })
			_, err := authenticate(t.Context(), newProvider(t, i.URL, nil), password("alice", "pw"))
			if !isUnavailable(err) {
				t.Errorf("%d at %s: Authenticate = %v, want unavailable", status, path, err)
			}
			if n := i.Requests("/elsewhere"); n != 0 {
				t.Errorf("%d at %s: the redirect was followed", status, path)
			}
		}
	}
}

// TestInvalidTokenResponses: an ID token of the token endpoint is verified too.
// A fault in it is the provider's, so it means unavailable.
func TestInvalidTokenResponses(t *testing.T) {
	i, other := oidctest.NewIssuer(t), oidctest.NewIssuer(t)
	p := newProvider(t, i.URL, func(c *oidc.Config) { c.Users.Claim, c.Groups.Claim = "sub", "" })
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
		{"encrypted", "eyJlbmMiOiJBMTI4R0NNIn0.a.b.c.d", nil},
		{"no ID token, userinfo without sub", nil, map[string]any{"name": "x"}},
		{"no ID token, userinfo with a sub that is a number", nil, map[string]any{"sub": 7}},
		{"no ID token, userinfo is a list", nil, []string{"sub"}},
		{"ID token is a number", 7, map[string]any{}},
	}
	for _, tt := range tests {
		i.Replace(oidctest.TokenPath, serveJSON(map[string]any{"access_token": "x", "token_type": "Bearer", "id_token": tt.idToken}))
		i.Replace(oidctest.UserinfoPath, serveJSON(tt.info))
		if id, err := authenticate(t.Context(), p, password("alice", "pw")); !isUnavailable(err) {
			t.Errorf("%s: Authenticate = %v, %v, want unavailable", tt.name, id, err)
		}
	}
}
