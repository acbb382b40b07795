package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestRefreshTokenInEveryClient copies the config that docker login wrote to
// every other client: each redeems the same refresh token.
func TestRefreshTokenInEveryClient(t *testing.T) {
	t.Parallel()
	for _, d := range distributions {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, options{})
			r := s.registry(t, d)
			i := dockerImage(t)
			r.seed(t, i, "team-alpha/it:1")
			for _, docker := range dockers() {
				alice, h := testUsers()["alice"], newHome(t)
				if s := docker.login(t, h, r.host, "alice", alice.password); !s.ok {
					t.Fatalf("%s login: %v", docker.name, s)
				}
				if h.stored(t, r.host).IdentityToken == "" {
					t.Fatalf("%s login stored no identity token", docker.name)
				}
				config, err := os.ReadFile(h.config())
				must(t, err)
				for _, c := range clients() {
					t.Run(docker.name+" to "+c.name, func(t *testing.T) {
						t.Parallel()
						h := newHome(t)
						must(t, os.WriteFile(h.config(), config, 0o600))
						if s := c.pull(t, h, r.host+"/team-alpha/it:1"); !s.ok || !s.hasDigest(i.layer.digest()) {
							t.Errorf("pull with docker's token: %v", s)
						}
						if s := c.copy(t, h, r.host+"/team-alpha/it:1", r.host+"/team-alpha/"+strings.ReplaceAll(strings.ToLower(docker.name+"-to-"+c.name), " ", "-")+":2"); !s.ok {
							t.Errorf("push with docker's token: %v", s)
						}
						if s := c.pull(t, h, r.host+"/team-beta/it:1"); s.ok {
							t.Errorf("pull from a folder of another team: %v\nwant a failure", s)
						}
					})
				}
			}
		})
	}
}

// TestRefreshToken redeems one refresh token in each way that a client can, and
// checks what it does not open.
func TestRefreshToken(t *testing.T) {
	t.Parallel()
	const other = "other_registry"
	s := newServer(t, options{token: `services = ["` + service + `", "` + other + `"]` + "\n"})
	alice := testUsers()["alice"]
	token := s.login(t, "alice", alice.password)
	const scope = "repository:team-alpha/x:pull,push"
	asPassword := func(user, password, more string) answer {
		return s.get(t, "service="+service+"&scope="+scope+more, basic(user, password))
	}

	t.Run("by POST", func(t *testing.T) {
		a := s.redeem(t, token, scope)
		if a.Status != http.StatusOK || a.granted(t) != scope || a.Scope != scope {
			t.Fatalf("answer = %v, want %s", a, scope)
		}
		checkToken(t, a)
		if a.RefreshToken != token {
			t.Error("a redemption answers with another refresh token, or with none")
		}
		if c := a.claims(t); c.Subject != "alice" {
			t.Errorf("sub = %q, want alice", c.Subject)
		}
	})
	t.Run("by Basic with any user name", func(t *testing.T) {
		for _, name := range []string{"alice", "", "<token>", "whoever"} {
			a := asPassword(name, token, "")
			if a.Status != http.StatusOK || a.granted(t) != scope || a.claims(t).Subject != "alice" {
				t.Errorf("Basic %s:TOKEN = %v, want %s as alice", name, a, scope)
			}
		}
	})
	t.Run("it yields no other refresh token", func(t *testing.T) {
		if a := asPassword("alice", token, "&offline_token=true"); a.Status != http.StatusOK || (a.RefreshToken != "" && a.RefreshToken != token) {
			t.Errorf("a login with the token as the password = %v, want no new refresh token", a)
		}
	})
	t.Run("the account parameter is ignored", func(t *testing.T) {
		if a := asPassword("alice", token, "&account=root"); a.Status != http.StatusOK || a.claims(t).Subject != "alice" {
			t.Errorf("account=root with the token = %v, want it ignored", a)
		}
	})
	t.Run("a password yields one by POST", func(t *testing.T) {
		form := url.Values{"grant_type": {"password"}, "service": {service}, "username": {"alice"}, "password": {alice.password}, "access_type": {"offline"}}
		a := s.post(t, form)
		if a.Status != http.StatusOK || a.RefreshToken == "" || a.RefreshToken == token {
			t.Errorf("POST with access_type=offline = %v, want another token", a)
		}
	})
	for _, tc := range []struct {
		name string
		ask  func() answer
	}{
		{"another service by POST", func() answer {
			return s.post(t, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}, "service": {other}, "scope": {scope}})
		}},
		{"another service by Basic", func() answer { return s.get(t, "service="+other+"&scope="+scope, basic("alice", token)) }},
		{"a token with one letter changed", func() answer { return s.redeem(t, changed(token), scope) }},
		{"a token with one letter less", func() answer { return s.redeem(t, token[:len(token)-1], scope) }},
		{"a token of another kind", func() answer { return s.redeem(t, "sp_p_"+token[len("sp_r_"):], scope) }},
		{"an access token", func() answer { return s.redeem(t, s.redeem(t, token, scope).AccessToken, scope) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := tc.ask()
			if a.Status != http.StatusUnauthorized || a.AccessToken != "" {
				t.Fatalf("answer = %v, want 401", a)
			}
			checkError(t, a)
		})
	}
	t.Run("a registry refuses it as a bearer token", func(t *testing.T) {
		r := s.registry(t, distributions[1])
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+r.host+"/v2/", nil)
		must(t, err)
		req.Header.Set("Authorization", "Bearer "+token)
		if a := do(t, req); a.Status != http.StatusUnauthorized {
			t.Errorf("a registry answers a refresh token with %v, want 401", a)
		}
	})
	t.Run("fifty concurrent redemptions", func(t *testing.T) {
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if a := s.redeem(t, token, scope); a.Status != http.StatusOK || a.RefreshToken != token {
					t.Errorf("answer = %v, want 200 with the same token", a)
				}
			})
		}
		wg.Wait()
	})
	s.stop(t)
	s.start(t)
	t.Run("after a restart", func(t *testing.T) {
		if a := s.redeem(t, token, scope); a.Status != http.StatusOK {
			t.Errorf("answer after a restart = %v, want 200", a)
		}
	})
	t.Run("revoked", func(t *testing.T) { revoke(t, s, token, scope) })
}

// TestExpiredRefreshToken: an expired refresh token gets the answer of an
// unknown one, by POST and by Basic, and a new login works.
func TestExpiredRefreshToken(t *testing.T) {
	t.Parallel()
	alice := testUsers()["alice"]
	const life = 3 * time.Second
	for _, tc := range []struct {
		key      string
		redeemed bool // once, before it expires
		reason   string
	}{
		{"lifetime", true, "expired"},
		{"lifetime", false, "expired"},
		{"unused", false, "never used"},
	} {
		t.Run(fmt.Sprintf("%s, redeemed %v", tc.key, tc.redeemed), func(t *testing.T) {
			t.Parallel()
			s := newServer(t, options{session: fmt.Sprintf("%s = %q\n", tc.key, life)})
			token := s.login(t, "alice", alice.password)
			expired := time.Now().Add(life) // not before it expires for the server
			if tc.redeemed {
				if a := s.redeem(t, token, ""); a.Status != http.StatusOK {
					t.Fatalf("redeem before it expires = %v, want 200", a)
				}
			}
			time.Sleep(time.Until(expired))
			byPost, byBasic := s.redeem(t, token, ""), s.get(t, "service="+service, basic("alice", token))
			for way, got := range map[string][2]answer{
				"POST":  {byPost, s.redeem(t, changed(token), "")},
				"Basic": {byBasic, s.get(t, "service="+service, basic("alice", changed(token)))},
			} {
				if a, unknown := got[0], got[1]; a.Status != http.StatusUnauthorized || a.Raw != unknown.Raw {
					t.Errorf("by %s after it expired = %v, want the answer to an unknown token: %v", way, a, unknown)
				} else {
					checkError(t, a)
				}
			}
			if len(s.logLines(`"reason":`, tc.reason)) == 0 {
				t.Errorf("no audit line gives %q for a reason", tc.reason)
			}
			s.login(t, "alice", alice.password)
		})
	}
}

// revoke ends alice's sessions by the command line while the server runs.
func revoke(t *testing.T, s *server, token, scope string) {
	other := s.login(t, "bob", testUsers()["bob"].password)
	list := s.cli(t, "", "sessions", "list", "--json")
	var sessions []struct{ ID, User string }
	if err := json.Unmarshal([]byte(list.text), &sessions); err != nil || !list.ok {
		t.Fatalf("shorepass sessions list --json: %v, %v", list, err)
	}
	ended := 0
	for _, session := range sessions {
		if session.User != "alice" {
			continue
		}
		if got := s.cli(t, "", "sessions", "revoke", session.ID); !got.ok {
			t.Fatalf("shorepass sessions revoke %s: %v", session.ID, got)
		}
		ended++
	}
	if ended < 2 {
		t.Errorf("sessions list has %d of alice, want at least 2:\n%s", ended, list.text)
	}
	a := s.redeem(t, token, scope)
	if a.Status != http.StatusUnauthorized {
		t.Fatalf("a revoked token = %v, want 401", a)
	}
	checkError(t, a)
	if a := s.get(t, "service="+service, basic("alice", token)); a.Status != http.StatusUnauthorized {
		t.Errorf("a revoked token as the password = %v, want 401", a)
	}
	if a := s.redeem(t, other, scope); a.Status != http.StatusOK {
		t.Errorf("bob's token = %v, want 200", a)
	}
}

// changed returns the token with a letter in its middle changed.
func changed(token string) string {
	text := []byte(token)
	at := len(text) / 2
	if text[at]++; text[at] == 'z'+1 || text[at] == 'Z'+1 || text[at] == '9'+1 {
		text[at] -= 2
	}
	return string(text)
}
