package server_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"shorepass/internal/secret"
	"shorepass/providers"
	"shorepass/server"
	"shorepass/session"
)

// signInBrowser issues a browser session for a person and returns it with its cookie.
func (h *harness) signInBrowser(t *testing.T, user string) (*session.Session, secret.Text) {
	t.Helper()
	id, err := h.local.Revalidate(t.Context(), &providers.Identity{Subject: user})
	if err != nil {
		t.Fatal(err)
	}
	named := *id
	named.Provider, named.Fingerprint, named.Method = "local", h.local.Fingerprint(), providers.MethodPassword
	made, err := h.sessions.IssueBrowser(t.Context(), &named, "", secret.Text{}, session.Client{LoginName: user})
	if err != nil {
		t.Fatal(err)
	}
	found, err := h.sessions.Redeem(t.Context(), made.Token, "", session.Client{}, session.KindBrowser)
	if err != nil {
		t.Fatal(err)
	}
	return found, made.Token
}

// TestOneTimePassword: the first request for its service that asks for an offline token
// spends a one-time password. Any other request is 401, says why, and leaves it
// unspent.
func TestOneTimePassword(t *testing.T) {
	h := newHarness(t, server.AuditConfig{}).reload(t)
	browser, _ := h.signInBrowser(t, "alice")
	oneTime := func() string {
		token, err := h.sessions.IssueOneTimePassword(t.Context(), browser, "blue")
		if err != nil {
			t.Fatal(err)
		}
		return token.Reveal()
	}
	offline := func(form url.Values) url.Values {
		form.Set("access_type", "offline")
		return form
	}
	for name, login := range map[string]func(token string) answer{
		"GET": func(token string) answer {
			return h.get(t, "service=blue&offline_token=true&client_id=docker&account=alice", "alice", token)
		},
		"POST": func(token string) answer { return h.post(t, offline(passwordForm("alice", token, "blue"))) },
	} {
		token := oneTime()
		for other, a := range map[string]answer{
			"GET without offline_token":   h.get(t, "service=blue", "alice", token),
			"POST without access_type":    h.post(t, passwordForm("alice", token, "blue")),
			"as a refresh token":          h.post(t, refreshForm(token, "blue")),
			"to revoke":                   h.call(t, "/oauth/revoke", url.Values{"user": {"alice"}}, "alice", token),
			"to introspect another token": h.call(t, "/oauth/introspect", url.Values{"token": {"x"}}, "alice", token),
			"for another service":         h.get(t, "service=red&offline_token=true", "alice", token),
			"as a refresh token, offline": h.post(t, offline(refreshForm(token, "blue"))),
		} {
			if a.status != http.StatusUnauthorized {
				t.Errorf("%s: %s: %d %s, want 401", name, other, a.status, a.body)
			}
			if !strings.Contains(a.body, "docker login") {
				t.Errorf("%s: %s: the answer does not name docker login: %s", name, other, a.body)
			}
		}
		if a := login(token[:len(token)-1]); a.status != http.StatusUnauthorized || !strings.Contains(a.body, "one docker login to its own registry, within ten minutes") {
			t.Errorf("%s: mangled: %d %s, want 401 that says what it is good for", name, a.status, a.body)
		}
		a := login(token)
		refresh, _ := a.json["refresh_token"].(string)
		if a.status != http.StatusOK || !strings.HasPrefix(refresh, "sp_r_") {
			t.Fatalf("%s: a docker login: %d %s, want a refresh token", name, a.status, a.body)
		}
		if a := h.post(t, refreshForm(refresh, "blue")); a.status != http.StatusOK {
			t.Errorf("%s: its refresh token: %d %s, want 200", name, a.status, a.body)
		}
		if a := login(token); a.status != http.StatusUnauthorized || !strings.Contains(a.body, "was used at 2") {
			t.Errorf("%s: again: %d %s, want 401 that says when it was used", name, a.status, a.body)
		}
	}
}

// TestMisplacedOneTimePasswords: no limit of wrong passwords counts a one-time password, so
// that a tool which keeps one and tries it again keeps no person out.
func TestMisplacedOneTimePasswords(t *testing.T) {
	h := newHarness(t, server.AuditConfig{}).reload(t)
	browser, _ := h.signInBrowser(t, "alice")
	for i := range 40 { // an address may fail 30 times
		token, err := h.sessions.IssueOneTimePassword(t.Context(), browser, "blue")
		if err != nil {
			t.Fatal(err)
		}
		query := "service=blue"
		if i%2 == 0 {
			query = "service=red&offline_token=true"
		}
		if a := h.get(t, query, "alice", token.Reveal()); a.status != http.StatusUnauthorized {
			t.Fatalf("request %d: %d %s, want 401", i, a.status, a.body)
		}
	}
	if a := h.get(t, "service=blue", "alice", "wrong"); a.status != http.StatusUnauthorized {
		t.Errorf("then a wrong password: %d %s, want 401", a.status, a.body)
	}
	if a := h.get(t, "service=blue", "alice", password); a.status != http.StatusOK {
		t.Errorf("then the right password: %d %s, want 200", a.status, a.body)
	}
}

// TestTokenWithLimits: the limits of a personal access token reduce what the policy
// grants and never add to it.
func TestTokenWithLimits(t *testing.T) {
	h := newHarness(t, server.AuditConfig{}).reload(t)
	browser, cookie := h.signInBrowser(t, "alice")
	make := func(limits string) string {
		pat, err := h.sessions.IssuePAT(t.Context(), browser, session.PAT{Limits: limits}, session.Client{})
		if err != nil {
			t.Fatal(err)
		}
		return pat.Token.Reveal()
	}
	const asked = "&scope=repository:team-blue/app:pull,push&scope=repository:team-red/app:pull"
	for _, tc := range []struct {
		limits, service string
		status          int
		want            string
	}{
		{"", "blue", 200, "repository:team-blue/app:pull,push"},
		{"", "red", 200, "repository:team-blue/app:pull,push"},
		{`{"actions":["pull"]}`, "blue", 200, "repository:team-blue/app:pull"},
		{`{"repositories":["team-*/**"],"actions":["*"]}`, "blue", 200, "repository:team-blue/app:pull,push"},
		{`{"services":["blue"]}`, "red", 403, ""},
	} {
		a := h.get(t, "service="+tc.service+asked, "alice", make(tc.limits))
		if got := strings.Join(granted(h, t), " "); a.status != tc.status || got != tc.want {
			t.Errorf("limits %s at %s: %d, granted %q, want %d, %q", tc.limits, tc.service, a.status, got, tc.status, tc.want)
		}
	}
	// The sentence does not tell the holder what the person may do beyond the limits.
	for limits, query := range map[string]string{
		`{"repositories":["public/**"]}`: "&scope=repository:team-blue/app:push",
		`{"actions":["delete"]}`:         "&scope=repository:team-blue/app:push",
	} {
		a := h.get(t, "service=blue"+query, "alice", make(limits))
		const want = "you are logged in as alice with a token that has no rights on team-blue/app; check the name, or ask the operators of this registry"
		if a.status != http.StatusForbidden || a.json["error_description"] != want {
			t.Errorf("limits %s: %d %s, want 403 %q", limits, a.status, a.body, want)
		}
	}
	if a := h.get(t, "service=blue"+asked, "alice", make(`{"users":["bob"]}`)); a.status != http.StatusInternalServerError {
		t.Errorf("limits that cannot be read: %d %s, want 500 and no token", a.status, a.body)
	}
	if a := h.get(t, "service=blue"+asked, "alice", cookie.Reveal()); a.status != http.StatusUnauthorized {
		t.Errorf("a cookie as a password: %d %s, want 401", a.status, a.body)
	}
	if a := h.get(t, "service=blue&offline_token=true"+asked, "alice", make("")); a.json["refresh_token"] != nil {
		t.Errorf("a personal access token yields a refresh token: %s", a.body)
	}
}

// granted returns the granted scopes of the last audit line.
func granted(h *harness, t *testing.T) (scopes []string) {
	list, _ := h.audit.last(t)["granted"].([]any)
	for _, scope := range list {
		scopes = append(scopes, scope.(string))
	}
	return scopes
}

// TestSessionStoresTheLoginNameOfItsPassword: a session stores the login name of the
// password that it was issued for, as typed, and no name that was sent with a token.
func TestSessionStoresTheLoginNameOfItsPassword(t *testing.T) {
	h := newHarness(t, server.AuditConfig{}).reload(t)
	loginName := func(token string) string {
		found, err := h.sessions.Redeem(t.Context(), secret.New(token), "blue", session.Client{}, session.KindRefresh)
		if err != nil {
			t.Fatal(err)
		}
		return found.LoginName
	}
	if got := loginName(h.login(t, "Alice")); got != "Alice" {
		t.Errorf("the login name of a password's session = %q, want Alice", got)
	}
	browser, _ := h.signInBrowser(t, "alice")
	oneTime, err := h.sessions.IssueOneTimePassword(t.Context(), browser, "blue")
	if err != nil {
		t.Fatal(err)
	}
	a := h.get(t, "service=blue&offline_token=true", "bob", oneTime.Reveal())
	token, _ := a.json["refresh_token"].(string)
	if got := loginName(token); got != "alice" {
		t.Errorf("the login name of a one-time password's session = %q, want that of the form", got)
	}
}
