package e2e

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"shorepass/providers/oidc/oidctest"
)

// ssoClient is shorepass's client at the OpenID provider.
var ssoClient = oidctest.Client{ID: "registry", Secret: "sso-client-canary"}

// sso is an OpenID provider and its users.
type sso struct {
	*oidctest.Server
	alice, bob oidctest.User
}

func newSSO(t *testing.T) *sso {
	t.Helper()
	secrets.add("client secret", ssoClient.Secret)
	o := &sso{
		alice: oidctest.User{Name: "alice", Password: secrets.newPassword("alice"), Subject: "a-1", Email: "alice@example.org", Groups: []string{"team-alpha", "anonymous"}},
		bob:   oidctest.User{Name: "bob", Password: secrets.newPassword("bob"), Subject: "b-2", Email: "bob@example.org", Groups: []string{"readers"}},
	}
	o.Server = oidctest.Start(t, oidctest.Options{Clients: []oidctest.Client{ssoClient}, Users: []oidctest.User{o.alice, o.bob}})
	return o
}

func (o *sso) toml() string {
	return fmt.Sprintf(`
[[provider]]
name = "sso"
kind = "oidc"
issuer = %q
client_id = %q
client_secret = %q
grants = ["password", "refresh_token"]
groups = { claim = "groups", rename = { "/*" = "*" } }
`, o.Issuer, ssoClient.ID, ssoClient.Secret)
}

// TestOpenIDClients logs every client in at a registry with a password of an
// OpenID provider.
func TestOpenIDClients(t *testing.T) {
	t.Parallel()
	o := newSSO(t)
	s := newServer(t, options{providers: o.toml()})
	r := s.registry(t, distributions[1])
	i, ref := dockerImage(t), r.host+"/team-alpha/it:1"
	h := newHome(t)
	h.store(t, r.host, "alice", o.alice.Password)
	if err := upload(t, resolver(t, h), i, ref, ""); err != nil {
		t.Fatalf("push: %v", err)
	}
	for _, c := range clients() {
		t.Run(c.name, func(t *testing.T) {
			h := newHome(t)
			if s := c.login(t, h, r.host, "alice", o.alice.Password); !s.ok {
				t.Fatalf("login: %v", s)
			}
			h.stored(t, r.host)
			if s := c.pull(t, h, ref); !s.ok || !s.hasDigest(i.layer.digest()) {
				t.Errorf("pull: %v", s)
			}
			if s := c.copy(t, h, ref, r.host+"/team-beta/it:1"); s.ok {
				t.Errorf("copy to another team: %v\nwant a failure", s)
			}
		})
	}
}

// TestOpenID counts the requests that logins cause at an OpenID provider, and
// checks groups, key rotation and an outage.
func TestOpenID(t *testing.T) {
	t.Parallel()
	o := newSSO(t)
	s := newServer(t, options{providers: o.toml(), rules: testRules + `
[[rule]]
name = "anonymous requests pull the porch"
groups = ["anonymous"]
repositories = ["porch/**"]
actions = ["pull"]

[[rule]]
name = "a condition on the group anonymous"
groups = ["authenticated"]
repositories = ["seen/anonymous"]
actions = ["pull"]
when = '"anonymous" in groups'

[[rule]]
name = "a condition on another group"
groups = ["authenticated"]
repositories = ["seen/team-alpha"]
actions = ["pull"]
when = '"team-alpha" in groups'
`})

	t.Run("a group called anonymous is dropped", func(t *testing.T) {
		const team, porch = "repository:team-alpha/x:pull,push", "repository:porch/x:pull"
		const seen, never = "repository:seen/team-alpha:pull", "repository:seen/anonymous:pull"
		query := "service=" + service + "&scope=" + team + "+" + porch + "+" + seen + "+" + never
		a := s.get(t, query, basic("alice", o.alice.Password))
		if a.Status != http.StatusOK || a.granted(t) != team+" "+seen || a.claims(t).Subject != "alice" {
			t.Errorf("answer = %v, want %s and %s for alice", a, team, seen)
		}
		if a := s.get(t, query, ""); a.Status != http.StatusOK || a.granted(t) != porch {
			t.Errorf("answer without credentials = %v, want %s", a, porch)
		}
	})
	t.Run("a group called as Keycloak does owns its folder (D10)", func(t *testing.T) {
		carol := oidctest.User{Name: "carol", Password: secrets.newPassword("carol"), Subject: "c-3", Groups: []string{"/team-blue"}}
		o.SetUser(carol)
		const own, other = "repository:team-blue/x:pull,push", "repository:team-alpha/x:pull"
		a := s.get(t, "service="+service+"&scope="+own+"+"+other, basic("carol", carol.Password))
		if a.Status != http.StatusOK || a.granted(t) != own {
			t.Errorf("answer = %v, want %s", a, own)
		}
	})
	t.Run("one wrong password is one request", func(t *testing.T) {
		wrong := secrets.add("wrong password", "bob-was-never-this")
		o.Reset()
		post := s.post(t, url.Values{"grant_type": {"password"}, "service": {service}, "username": {"bob"}, "password": {wrong}})
		get := s.get(t, "service="+service, basic("bob", wrong))
		if post.Status != http.StatusUnauthorized || get.Status != http.StatusUnauthorized {
			t.Errorf("a wrong password by POST, then by GET: %v, %v, want 401 twice", post, get)
		}
		if n := o.Requests("token"); n != 1 {
			t.Errorf("%d requests to the provider, want one", n)
		}
	})
	t.Run("a cached password sends no request, an offline login does", func(t *testing.T) {
		query := "service=" + service
		s.get(t, query, basic("bob", o.bob.Password))
		o.Reset()
		for range 5 {
			if a := s.get(t, query, basic("bob", o.bob.Password)); a.Status != http.StatusOK {
				t.Fatalf("answer = %v, want 200", a)
			}
		}
		if n := o.Requests("token"); n != 0 {
			t.Errorf("five logins with a cached password sent %d requests, want none", n)
		}
		s.login(t, "bob", o.bob.Password)
		if n := o.Requests("token:password"); n != 1 {
			t.Errorf("an offline login sent %d requests, want one", n)
		}
	})
	t.Run("keys rotate", func(t *testing.T) {
		o.RotateKeys()
		o.WithdrawOldKeys()
		s.login(t, "alice", o.alice.Password)
	})
	t.Run("unavailable", func(t *testing.T) {
		o.Down()
		defer o.Up()
		a := s.get(t, "service="+service+"&offline_token=true", basic("alice", o.alice.Password))
		if a.Status != http.StatusServiceUnavailable {
			t.Fatalf("answer = %v, want 503", a)
		}
		checkError(t, a)
	})
}

// TestOpenIDRefreshToken logs in with the provider's refresh token as the
// password, several times, though the provider rotates it and ends the grant at
// reuse.
func TestOpenIDRefreshToken(t *testing.T) {
	t.Parallel()
	o := newSSO(t)
	s := newServer(t, options{providers: o.toml()})
	const scope = "repository:team-alpha/x:pull,push"
	refreshToken := secrets.add("provider's refresh token", o.Tokens(ssoClient, "alice", o.alice.Password).Refresh)
	o.Reset()

	for n, name := range []string{"$refresh", "$refresh:sso", "$refresh", "$refresh:sso"} {
		a := s.get(t, "service="+service+"&scope="+scope, basic(name, refreshToken))
		if a.Status != http.StatusOK || a.granted(t) != scope || a.claims(t).Subject != "alice" {
			t.Fatalf("login %d with the provider's refresh token = %v, want %s as alice", n+1, a, scope)
		}
	}
	if n := o.Requests("token:refresh_token"); n != 1 {
		t.Errorf("the provider got the refresh token %d times, want once", n)
	}

	r := s.registry(t, distributions[1])
	for _, docker := range dockers() {
		h := newHome(t)
		if s := docker.login(t, h, r.host, "$refresh:sso", refreshToken); !s.ok {
			t.Fatalf("%s login with the provider's refresh token: %v", docker.name, s)
		}
		h.stored(t, r.host)
		if err := upload(t, resolver(t, h), dockerImage(t), r.host+"/team-alpha/it:1", ""); err != nil {
			t.Errorf("push after that: %v", err)
		}
	}
	// With a misspelt name the token is not sent, and the answer shows the
	// right form.
	if a := s.get(t, "service="+service, basic("$refresh:other", refreshToken)); a.Status != http.StatusUnauthorized || !strings.Contains(a.ErrorDescription, "$refresh:PROVIDER") {
		t.Errorf("login as $refresh:other = %v, want 401 and a sentence with $refresh:PROVIDER", a)
	}
	for _, name := range []string{"$refresh:other", "alice"} {
		if a := s.get(t, "service="+service, basic(name, refreshToken)); a.Status != http.StatusUnauthorized {
			t.Errorf("login as %q with the provider's refresh token = %v, want 401", name, a)
		}
	}
	if a := s.get(t, "service="+service, basic("$refresh", secrets.add("unknown token", "an-unknown-refresh-token"))); a.Status != http.StatusUnauthorized {
		t.Errorf("login with an unknown refresh token = %v, want 401", a)
	}
}

// TestOpenIDLeaver removes a group and disables an account at the provider:
// sessions follow within revalidate.
func TestOpenIDLeaver(t *testing.T) {
	t.Parallel()
	o := newSSO(t)
	s := newServer(t, options{providers: o.toml(), session: `revalidate = "1s"`})
	const scope = "repository:team-alpha/x:pull,push"
	alice, bob := s.login(t, "alice", o.alice.Password), s.login(t, "bob", o.bob.Password)
	for range 3 { // the provider rotates its refresh token each time
		time.Sleep(1100 * time.Millisecond)
		if a := s.redeem(t, alice, scope); a.Status != http.StatusOK || a.granted(t) != scope {
			t.Fatalf("redeem alice's token = %v, want %s", a, scope)
		}
	}

	o.SetGroups("alice", "readers")
	time.Sleep(1100 * time.Millisecond)
	if a := s.redeem(t, alice, scope); a.Status != http.StatusOK || a.granted(t) != "repository:team-alpha/x:pull" {
		t.Errorf("redeem after alice has left the team = %v, want pull only", a)
	}

	o.Down()
	time.Sleep(1100 * time.Millisecond)
	if a := s.redeem(t, bob, scope); a.Status != http.StatusOK {
		t.Errorf("redeem while the provider is down = %v, want 200 within its grace", a)
	}
	o.Up()

	o.Disable("alice")
	time.Sleep(1100 * time.Millisecond)
	if a := s.redeem(t, alice, scope); a.Status != http.StatusUnauthorized {
		t.Errorf("redeem after alice was disabled = %v, want 401", a)
	}
	if a := s.redeem(t, bob, scope); a.Status != http.StatusOK {
		t.Errorf("redeem bob's token = %v, want 200", a)
	}
}

// TestIDToken logs a CI job in with its ID token, and refuses invalid ones.
func TestIDToken(t *testing.T) {
	t.Parallel()
	forge := oidctest.NewIssuer(t)
	s := newServer(t, options{
		providers: fmt.Sprintf(`
[[provider]]
name = "ci"
kind = "oidc"
issuer = %q
grants = ["id_token"]
audience = ["registry"]
users = { claim = "sub" }
claims = ["repository", "repository_owner", "ref", "event_name", "clearance"]
`, forge.URL),
		rules: `
[[rule]]
name = "the branch main publishes"
users = ["repo:team-alpha/app:**"]
repositories = ["team-alpha/app"]
actions = ["pull", "push"]
when = 'claims.ref == "refs/heads/main" && claims.event_name == "push"'

[[rule]]
name = "an owner's folder"
users = ["**"]
repositories = ["{claims.repository_owner}/**"]
actions = ["pull"]

[[rule]]
name = "a claim that is missing"
effect = "deny"
repositories = ["team-alpha/secret"]
actions = ["pull"]
when = 'claims.clearance == "low"'

[[rule]]
name = "nothing for a claim that is a path"
users = ["**"]
repositories = ["cache/{claims.repository}/layers", "builds/of-{claims.repository}"]
actions = ["pull"]
`})
	const scope = "repository:team-alpha/app:pull,push,delete+repository:team-alpha/secret:pull" +
		"+repository:cache/team-alpha/app/layers:pull+repository:builds/of-team-alpha/app:pull" + // with the slash
		"+repository:cache/app/layers:pull+repository:builds/of-app:pull"
	login := func(token string) answer {
		return s.get(t, "service="+service+"&scope="+scope, basic("ci", token))
	}
	job := func(changes map[string]any) map[string]any {
		claims := oidctest.GitHubJob("team-alpha/app", "main")
		maps.Copy(claims, changes)
		return claims
	}
	for _, tc := range []struct {
		name    string
		claims  map[string]any
		granted string
	}{
		{"main", oidctest.GitHubJob("team-alpha/app", "main"), "repository:team-alpha/app:pull,push"},
		{"another branch", oidctest.GitHubJob("team-alpha/app", "try"), "repository:team-alpha/app:pull"},
		{"another owner", oidctest.GitHubJob("mallory/app", "main"), ""},
		{"a repository without its owner", job(map[string]any{"repository": "app"}),
			"repository:team-alpha/app:pull,push repository:cache/app/layers:pull repository:builds/of-app:pull"},
	} {
		if a := login(forge.IDToken(tc.claims)); !a.accepted() || a.granted(t) != tc.granted {
			t.Errorf("%s: %v, want %q", tc.name, a, tc.granted)
		}
	}

	other := oidctest.NewIssuer(t)
	for name, token := range map[string]string{
		"another audience":   forge.IDToken(job(map[string]any{"aud": "another-service"})),
		"another issuer":     forge.IDToken(job(map[string]any{"iss": forge.URL + "/"})),
		"expired":            forge.IDToken(job(map[string]any{"exp": time.Now().Add(-time.Hour).Unix()})),
		"no expiry":          forge.IDToken(job(map[string]any{"exp": nil})),
		"no subject":         forge.IDToken(job(map[string]any{"sub": nil})),
		"another key":        other.IDToken(map[string]any{"iss": forge.URL, "aud": "registry"}),
		"no signature":       oidctest.SignWith(t, `{"alg":"none"}`, `{"iss":"`+forge.URL+`","aud":"registry","sub":"x","exp":9999999999}`, nil),
		"HS256 with its key": oidctest.SignWith(t, `{"alg":"HS256"}`, `{"iss":"`+forge.URL+`","aud":"registry","sub":"x","exp":9999999999}`, forge.HMACKey()),
	} {
		a := login(token)
		if a.Status != http.StatusUnauthorized {
			t.Errorf("an ID token with %s = %v, want 401", name, a)
			continue
		}
		checkError(t, a)
	}
}
