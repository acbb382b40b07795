package server_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"shorepass/server"
)

// TestMalformedRevocation: each error says what to send instead, and no session
// ends.
func TestMalformedRevocation(t *testing.T) {
	h := newHarness(t, server.AuditConfig{}).reload(t)
	tokens := h.loginAll(t)
	access := h.get(t, "service=blue", "carol", password).json["token"].(string)
	const selectors = "session, user, provider, group, older_than"
	for _, test := range []struct {
		form, message string
	}{
		{"", "token is missing; send the token to revoke, or select sessions by " + selectors},
		{"token=", "token is missing; send the token to revoke, or select sessions by " + selectors},
		{"token=+%0a", "token is missing; send the token to revoke, or select sessions by " + selectors},
		{"refresh_token=a", "token is missing; send the token to revoke, or select sessions by " + selectors},
		{"token=a&token=b", "token is given more than once"},
		{"token=a&token_type_hint=b&token_type_hint=c", "token_type_hint is given more than once"},
		{"token=%ff", "token is not UTF-8"},
		{"token=%zz", "the form is malformed"},
		{"token=a;b", "the form is malformed"},
		{"token=a&user=alice", "token and user exclude each other; send one of the two"},
		{"token=&session=aaaaaaaaaaaaaaaa", "token and session exclude each other; send one of the two"},
		{"user=", "user is empty; send a value, or leave it out"},
		{"user=&older_than=1h", "user is empty; send a value, or leave it out"}, // a script's unset variable
		{"older_than=1h&group=", "group is empty; send a value, or leave it out"},
		{"user=alice&user=bob", "user is given more than once"},
		{"user=alice&olderthan=1h", `"olderthan" is not a selector; use ` + selectors},
		{"user=alice&service=red", `"service" is not a selector; use ` + selectors},
		{"user=alice&client_id=docker", `"client_id" is not a selector; use ` + selectors},
		{"user=alice&Session=aaaaaaaaaaaaaaaa", `"Session" is not a selector; use ` + selectors},
		{"session=alice", "session is not the id of a session, as shorepass sessions list prints it"},
		{"session=" + strings.Repeat("a", 100), "session is not the id of a session, as shorepass sessions list prints it"},
		{"older_than=30", "older_than is not a length of time such as 30d or 12h"},
		{"older_than=-1h", "older_than is not a length of time such as 30d or 12h"},
		{"older_than=0s", "older_than is not a length of time such as 30d or 12h"},
		{"older_than=99999999d", "older_than is not a length of time such as 30d or 12h"},
		{"older_than=1d-12h", "older_than is not a length of time such as 30d or 12h"},
		{"token=" + access, "an access token of a registry cannot be revoked, and expires within minutes; send the refresh token"},
	} {
		req, err := http.NewRequest(http.MethodPost, h.URL+"/oauth/revoke", strings.NewReader(test.form))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.SetBasicAuth("carol", password)
		a := h.do(t, req)
		oauth := "invalid_request"
		if strings.Contains(test.form, access) {
			oauth = "unsupported_token_type"
		}
		if a.status != http.StatusBadRequest || a.json["error"] != oauth || a.json["error_description"] != test.message {
			t.Errorf("POST %s: %d %s; want 400, %s, %q", test.form, a.status, a.body, oauth, test.message)
		}
	}
	if ended := h.ended(t, tokens); ended != "" {
		t.Errorf("malformed requests ended %s", ended)
	}
}

// TestRefusals: a refusal does not depend on whether the named user or session exists,
// and the endpoints neither redirect nor accept another method.
func TestRefusals(t *testing.T) {
	h := newHarness(t, server.AuditConfig{}).reload(t)
	tokens := h.loginAll(t)
	const login = "authentication required: send your user name and password, or a token as the password, by Basic"
	for _, test := range []struct {
		path, form, basic string
		status            int
		message           string
	}{
		{"/oauth/revoke", "user=alice", "", 401, login},
		{"/oauth/introspect", "token=a1", "", 401, login},
		{"/oauth/revoke", "user=alice", "alice:wrong", 401, "incorrect username or password, or the login has ended; log in again"},
		{"/oauth/introspect", "token=a1", ":sp_r_mangled", 401, "incorrect username or password, or the login has ended; log in again"},
		{"/oauth/revoke", "user=bob", "alice:" + password, 403, `you may end your own sessions only: user can only be "alice"`},
		{"/oauth/revoke", "user=nobody", "alice:a1", 403, `you may end your own sessions only: user can only be "alice"`},
		{"/oauth/revoke", "older_than=1h", "alice:a1", 403, "only members of server.operators may end everyone's sessions; add user=alice for your own"},
		{"/oauth/revoke", "group=team-blue", "alice:a1", 403, "only members of server.operators may end sessions by provider or group"},
		{"/oauth/revoke", "user=alice provider=local", "alice:a1", 403, "only members of server.operators may end sessions by provider or group"},
		{"/oauth/introspect", "token=a1", "alice:a1", 403, "only members of server.operators may introspect tokens"},
		{"/oauth/introspect", "", "alice:a1", 400, "token is missing; send the token to introspect"},
	} {
		a := h.call(t, test.path, tokens.form(test.form), tokens.basic(test.basic)...)
		if a.status != test.status || a.json["error_description"] != test.message {
			t.Errorf("%s %s as %q: %d %s; want %d, %q", test.path, test.form, test.basic, a.status, a.body, test.status, test.message)
		}
		if challenge := a.header.Get("WWW-Authenticate"); (challenge == `Basic realm="shorepass"`) != (test.status == 401) {
			t.Errorf("%s %s as %q: WWW-Authenticate %q, want Basic at 401 only", test.path, test.form, test.basic, challenge)
		}
	}
	for _, path := range []string{"/oauth/revoke", "/oauth/introspect", "/oauth/", "/oauth/token"} {
		req, err := http.NewRequest(http.MethodGet, h.URL+path+"?token="+tokens["a1"], nil)
		if err != nil {
			t.Fatal(err)
		}
		want := http.StatusMethodNotAllowed
		if path == "/oauth/" || path == "/oauth/token" {
			want = http.StatusNotFound
		}
		if a := h.do(t, req); a.status != want {
			t.Errorf("GET %s: %d %s, want %d", path, a.status, a.body, want)
		}
	}
	if ended := h.ended(t, tokens); ended != "" {
		t.Errorf("refused requests ended %s", ended)
	}
}

// TestCrossSiteRequestIsRefused: no page of another site can use Basic credentials that
// a browser has cached.
func TestCrossSiteRequestIsRefused(t *testing.T) {
	h := newHarness(t, server.AuditConfig{}).reload(t)
	token := h.login(t, "alice")
	for _, header := range []http.Header{
		{"Sec-Fetch-Site": {"cross-site"}},
		{"Sec-Fetch-Site": {"same-site"}},
		{"Origin": {"https://evil.example"}},
		{"Origin": {"null"}},
	} {
		req, err := http.NewRequest(http.MethodPost, h.URL+"/oauth/revoke", strings.NewReader("user=alice"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header = header
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.SetBasicAuth("alice", password)
		if a := h.do(t, req); a.status != http.StatusForbidden {
			t.Errorf("%v: %d %s, want 403", header, a.status, a.body)
		}
	}
	if a := h.post(t, refreshForm(token, "blue")); a.status != http.StatusOK {
		t.Errorf("alice's session after that: %d, want 200", a.status)
	}
}

// TestGuessesAtTheOtherEndpoints: the rate limit of wrong passwords is one for all
// endpoints.
func TestGuessesAtTheOtherEndpoints(t *testing.T) {
	h := newHarness(t, server.AuditConfig{}).reload(t)
	paths := []string{"/oauth/revoke", "/oauth/introspect", "/oauth/revoke"}
	form := url.Values{"token": {"sp_r_x"}}
	for i, path := range paths {
		if a := h.call(t, path, form, "carol", fmt.Sprint("wrong-", i)); a.status != http.StatusUnauthorized {
			t.Errorf("%s, wrong password %d: %d, want 401", path, i, a.status)
		}
	}
	for _, path := range paths {
		a := h.call(t, path, form, "carol", "wrong-3")
		if a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") == "" || a.json["error"] != "slow_down" {
			t.Errorf("%s, the fourth wrong password: %d %s, want 429 and Retry-After", path, a.status, a.body)
		}
	}
	if a := h.get(t, "service=blue", "carol", "wrong-3"); a.status != http.StatusTooManyRequests {
		t.Errorf("the token endpoint after that: %d, want 429", a.status)
	}
}
