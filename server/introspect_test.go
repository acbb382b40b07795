package server_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"shorepass/server"
	"shorepass/session"
)

func TestIntrospection(t *testing.T) {
	h := newHarness(t, server.AuditConfig{}).reload(t)
	tokens := h.loginAll(t)
	access := h.get(t, "service=blue&scope=repository:team-blue/app:pull", "alice", password).json["token"].(string)
	foreign := newHarness(t, server.AuditConfig{}).reload(t).get(t, "service=blue", "alice", password).json["token"].(string)
	anonymous := h.get(t, "service=blue&scope=repository:public/app:pull").json["token"].(string)
	over := h.login(t, "bob")
	h.call(t, "/oauth/revoke", url.Values{"token": {over}})
	tokens["access"] = access

	inactive := map[string]any{"active": false}
	known := func(kind, user, token, client string) map[string]any {
		return map[string]any{"active": true, "token_type": kind, "sub": user, "username": user, "provider": "local", "aud": "blue", "session": idOf(token), "client_id": client}
	}
	for _, test := range []struct {
		name, token string
		want        map[string]any
	}{
		{"a refresh token", tokens["a1"], known("refresh", "alice", tokens["a1"], "docker")},
		{"a refresh token out of a file", " " + tokens["a1"] + "\r\n", known("refresh", "alice", tokens["a1"], "docker")},
		{"another person's", tokens["b1"], known("refresh", "bob", tokens["b1"], "docker")},
		{"a personal access token", tokens["ap"], without(known("pat", "alice", tokens["ap"], ""), "client_id")},
		{"a robot's token", tokens["ar"], without(known("robot", "alice", tokens["ar"], ""), "client_id")},
		{"an access token", access, map[string]any{"active": true, "token_type": "Bearer", "sub": "alice", "username": "alice", "iss": "test", "aud": "blue"}},
		{"an anonymous access token", anonymous, map[string]any{"active": true, "token_type": "Bearer", "iss": "test", "aud": "blue"}},
		{"one that has ended", over, inactive},
		{"one that was never used", tokens["b2"], inactive},
		{"mangled", tokens["a1"][:53], inactive},
		{"of another kind", "sp_p_" + tokens["a1"][5:], inactive},
		{"of another issuer", foreign, inactive},
		{"changed", access[:len(access)-8] + "AAAAAAAA", inactive},
		{"a password", password, inactive},
		{"dots alone", strings.Repeat(".", 100_000), inactive},
	} {
		a := h.call(t, "/oauth/introspect", url.Values{"token": {test.token}}, "carol", password)
		for _, name := range []string{"iat", "exp", "jti"} {
			_, found := a.json[name]
			if want := test.want["active"] == true && (name != "jti" || test.want["token_type"] == "Bearer"); found != want {
				t.Errorf("%s: %s is there: %v, want %v", test.name, name, found, want)
			}
			delete(a.json, name)
		}
		if diff := cmp.Diff(test.want, a.json); a.status != http.StatusOK || diff != "" {
			t.Errorf("%s: %d (-want +got):\n%s", test.name, a.status, diff)
		}
	}

	exp := h.call(t, "/oauth/introspect", url.Values{"token": {tokens["a1"]}}, "carol", password).json["exp"].(float64)
	if left := time.Until(time.Unix(int64(exp), 0)); left < 364*24*time.Hour || left > 366*24*time.Hour {
		t.Errorf("exp is in %v, want the session's lifetime", left)
	}
}

// without returns a copy of m without one key.
func without(m map[string]any, name string) map[string]any {
	less := maps.Clone(m)
	delete(less, name)
	return less
}

// TestOnlyOperatorsIntrospect: no other caller can, whether they hold the token or not,
// and no token makes its owner an operator.
func TestOnlyOperatorsIntrospect(t *testing.T) {
	h := newHarness(t, server.AuditConfig{}).reload(t)
	tokens := h.loginAll(t)
	over := h.login(t, "carol")
	h.call(t, "/oauth/revoke", url.Values{"token": {over}})
	tokens["over"] = over
	for _, caller := range []struct {
		basic, want string
	}{
		{"", "401 invalid_client"},
		{"carol:wrong", "401 invalid_client"},
		{"carol:", "401 invalid_client"},
		{"gone:" + password, "401 invalid_client"},
		{"carol:over", "401 invalid_client"},
		{":b2", "401 invalid_client"},
		{"alice:" + password, "403 access_denied"},
		{"alice:a1", "403 access_denied"},
		{"carol:a1", "403 access_denied"}, // the token identifies the caller
		{":ap", "403 access_denied"},
		{"carol:" + password, "200 active"},
		{"carol:c1", "403 access_denied"}, // a stored token makes no one an operator
		{"alice:c1", "403 access_denied"},
		{":cp", "403 access_denied"},
		{":cr", "403 access_denied"},
	} {
		a := h.call(t, "/oauth/introspect", tokens.form("token=a1"), tokens.basic(caller.basic)...)
		got := fmt.Sprint(a.status, " ", a.json["error"])
		if a.json["active"] == true {
			got = fmt.Sprint(a.status, " active")
		}
		if got != caller.want {
			t.Errorf("%s introspects a1: %s %s, want %s", caller.basic, got, a.body, caller.want)
		}
		if a.status != http.StatusOK && (strings.Contains(a.body, "docker") || strings.Contains(a.body, idOf(tokens["a1"]))) {
			t.Errorf("the refusal to %s describes the token: %s", caller.basic, a.body)
		}
	}

	// Introspection is no use: the only redemption is that by the token's owner.
	found, err := h.sessions.Admin().List(t.Context(), session.Selector{ID: idOf(tokens["a1"])})
	if err != nil || len(found) != 1 || found[0].Last.ID != "" {
		t.Errorf("after introspection the session is %+v (%v), want no other redemption", found, err)
	}
}

// TestReloadChangesOperators: without server.operators there are none, and a reload
// replaces the list.
func TestReloadChangesOperators(t *testing.T) {
	h := newHarness(t, server.AuditConfig{})
	for _, test := range []struct {
		operators []string
		want      map[string]int
	}{
		{nil, map[string]int{"alice": 403, "carol": 403}},
		{[]string{""}, map[string]int{"alice": 403, "carol": 403}},
		{[]string{"*"}, map[string]int{"alice": 403, "carol": 403}},
		{[]string{"Authenticated"}, map[string]int{"alice": 403, "carol": 403}}, // where the provider ignores case too
		{[]string{"Registry-Admins"}, map[string]int{"alice": 403, "carol": 200}},
		{[]string{"registry-admins"}, map[string]int{"alice": 403, "carol": 200}},
		{[]string{"nobody", "team-blue"}, map[string]int{"alice": 200, "carol": 403}},
	} {
		h.generation.Config.Operators = test.operators
		h.reload(t)
		for user, want := range test.want {
			if a := h.call(t, "/oauth/introspect", url.Values{"token": {"sp_r_x"}}, user, password); a.status != want {
				t.Errorf("operators = %q: %s introspects a token: %d, want %d", test.operators, user, a.status, want)
			}
			if a := h.call(t, "/oauth/revoke", url.Values{"provider": {"nowhere"}}, user, password); a.status != want {
				t.Errorf("operators = %q: %s ends sessions: %d, want %d", test.operators, user, a.status, want)
			}
		}
	}
}

func TestOperatorsAreValidated(t *testing.T) {
	for group, problem := range map[string]string{
		"registry-admins":           "",
		"gh:admins":                 "",
		"CN=Admins, Registry":       "",
		"":                          `"" names no group; write one such as "registry-admins"`,
		" ":                         `" " names no group; write one such as "registry-admins"`,
		"anonymous":                 `"anonymous" would let everyone end everyone's sessions; name a group of operators`,
		"authenticated":             `"authenticated" would let everyone end everyone's sessions; name a group of operators`,
		"Authenticated":             `"Authenticated" would let everyone end everyone's sessions; name a group of operators`,
		"admins-*":                  `"admins-*" looks like a glob; write the full name of a group`,
		"josé's friends (émigrés)":  "",
		"authenticated-by-somebody": "",
	} {
		var got []string
		server.Config{Operators: []string{group}}.WithDefaults().Validate(func(key, problem string) { got = append(got, key+": "+problem) })
		var want []string
		if problem != "" {
			want = []string{"operators[0]: " + problem}
		}
		if !slices.Equal(got, want) {
			t.Errorf("operators = [%q]: %q, want %q", group, got, want)
		}
	}
	for _, path := range []string{"/oauth", "/oauth/revoke", "/oauth/token"} {
		faults := 0
		server.Config{Paths: []string{path}}.WithDefaults().Validate(func(string, string) { faults++ })
		if faults != 1 {
			t.Errorf("paths = [%q] has %d faults, want that it is the server's own", path, faults)
		}
	}
}

// TestIntrospectionOfBrowserTokens: a personal access token is active though it is of no single
// service. What an operator signs in with a browser for makes no person an operator.
func TestIntrospectionOfBrowserTokens(t *testing.T) {
	h := newHarness(t, server.AuditConfig{}).reload(t)
	browser, cookie := h.signInBrowser(t, "carol")
	pat, err := h.sessions.IssuePAT(t.Context(), browser, session.PAT{Label: "laptop"}, session.Client{})
	if err != nil {
		t.Fatal(err)
	}
	a := h.call(t, "/oauth/introspect", url.Values{"token": {pat.Token.Reveal()}}, "carol", password)
	delete(a.json, "iat")
	delete(a.json, "exp")
	want := map[string]any{"active": true, "token_type": "pat", "sub": "carol", "username": "carol", "provider": "local", "session": pat.ID}
	if diff := cmp.Diff(want, a.json); a.status != http.StatusOK || diff != "" {
		t.Errorf("%d (-want +got):\n%s", a.status, diff)
	}
	oneTime, err := h.sessions.IssueOneTimePassword(t.Context(), browser, "blue")
	if err != nil {
		t.Fatal(err)
	}
	refresh, _ := h.get(t, "service=blue&offline_token=true", "carol", oneTime.Reveal()).json["refresh_token"].(string)
	for name, caller := range map[string]struct {
		token  string
		status int
	}{
		"a personal access token":                  {pat.Token.Reveal(), http.StatusForbidden},
		"the refresh token of a one-time password": {refresh, http.StatusForbidden},
		"the cookie": {cookie.Reveal(), http.StatusUnauthorized},
	} {
		if a := h.call(t, "/oauth/introspect", url.Values{"token": {refresh}}, "carol", caller.token); a.status != caller.status {
			t.Errorf("with %s carol introspects a token: %d %s, want %d", name, a.status, a.body, caller.status)
		}
	}
}
