package server_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"shorepass/server"
	"shorepass/session"
)

func TestTokenAnswer(t *testing.T) {
	h := newHarness(t, server.AuditConfig{}).reload(t)
	a := h.get(t, "service=blue&scope=repository:team-blue/app:pull,push,delete&scope=repository:team-red/app:pull", "alice", password)
	if a.status != http.StatusOK || a.json["token"] != a.json["access_token"] || a.json["expires_in"] != 300.0 {
		t.Fatalf("GET answers %d %s", a.status, a.body)
	}
	for _, absent := range []string{"issued_at", "refresh_token", "scope"} {
		if _, found := a.json[absent]; found {
			t.Errorf("the answer to a GET holds %s", absent)
		}
	}
	if got, want := a.access(t), []string{"repository:team-blue/app:pull,push"}; !slices.Equal(got, want) {
		t.Errorf("granted %q, want %q", got, want)
	}
	if got := a.header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control = %q, want no-store", got)
	}

	form := passwordForm("alice", password, "blue")
	form["scope"] = []string{"repository:team-blue/app:pull repository:public/x:pull,push", "repository:team-blue/app:push"}
	a = h.post(t, form)
	if want := "repository:team-blue/app:pull,push repository:public/x:pull"; a.json["scope"] != want {
		t.Errorf("POST answers scope %q, want %q", a.json["scope"], want)
	}
}

// TestTokenAnswerIsBounded: an answer that would be too long for clients is 400, by GET
// and, where the scope is repeated, by POST.
func TestTokenAnswerIsBounded(t *testing.T) {
	h := newHarness(t, server.AuditConfig{}).reload(t)
	const most = 60 << 10
	for _, length := range []int{20, 120, 240} {
		longest := map[string]int{}
		for n := 8; n <= 256; n += 8 {
			form := passwordForm("alice", password, "blue")
			form.Set("access_type", "offline")
			for i := range n {
				name := fmt.Sprintf("public/%d/", i)
				form.Add("scope", "repository:"+name+strings.Repeat("a", length-len(name))+":pull")
			}
			query := url.Values{"service": {"blue"}, "offline_token": {"true"}, "scope": form["scope"]}
			for method, a := range map[string]answer{"GET": h.get(t, query.Encode(), "alice", password), "POST": h.post(t, form)} {
				switch {
				case a.status == http.StatusOK && len(a.body) <= most:
					longest[method] = len(a.body)
				case a.status != http.StatusBadRequest || n < 60:
					t.Fatalf("%s of %d scopes with names of %d bytes: %d and %d bytes, want 200 and no more than %d, or 400", method, n, length, a.status, len(a.body), most)
				}
			}
		}
		for method, bytes := range longest {
			if length > 100 && bytes < most*8/10 {
				t.Errorf("%s with names of %d bytes: no answer is longer than %d, want nearly %d", method, length, bytes, most)
			}
		}
	}
}

// TestEveryEntryMeetsEveryCheck: every endpoint and every kind of credential is refused
// for every reason, so that none misses a check that another has.
func TestEveryEntryMeetsEveryCheck(t *testing.T) {
	h := newHarness(t, server.AuditConfig{}).reload(t)
	login := h.get(t, "service=blue&offline_token=true", "alice", password)
	token, _ := login.json["refresh_token"].(string)
	if !strings.HasPrefix(token, "sp_r_") {
		t.Fatalf("a login that asked for an offline token got %s", login.body)
	}
	entries := map[string]func(user, secret, service string) answer{
		"GET Basic":     func(u, s, service string) answer { return h.get(t, "service="+service, u, s) },
		"POST password": func(u, s, service string) answer { return h.post(t, passwordForm(u, s, service)) },
		"POST refresh":  func(_, s, service string) answer { return h.post(t, refreshForm(s, service)) },
	}
	mangled := token[:len(token)-1] + string('A'+(token[len(token)-1]-'A'+1)%26)
	for _, test := range []struct {
		name, user, secret, service string
		status                      int
		code, oauth                 string
	}{
		{"empty secret", "alice", "", "blue", 401, "UNAUTHORIZED", "invalid_grant"},
		{"wrong secret", "alice", "wrong", "blue", 401, "UNAUTHORIZED", "invalid_grant"},
		{"unknown user", "nobody", "wrong", "blue", 401, "UNAUTHORIZED", "invalid_grant"},
		{"disabled user", "gone", password, "blue", 401, "UNAUTHORIZED", "invalid_grant"},
		{"disabled service", "alice", password, "off", 401, "UNAUTHORIZED", "invalid_grant"},
		{"unknown service", "alice", password, "green", 400, "UNSUPPORTED", "invalid_request"},
		{"no service where there are several", "alice", password, "", 400, "UNSUPPORTED", "invalid_request"},
		{"a mangled token", "alice", mangled, "blue", 401, "UNAUTHORIZED", "invalid_grant"},
		{"a token of another service", "alice", token, "red", 401, "UNAUTHORIZED", "invalid_grant"},
		{"an access token", "alice", fmt.Sprint(login.json["token"]), "blue", 401, "UNAUTHORIZED", "invalid_grant"},
		{"a personal access token that was never issued", "alice", "sp_p_" + token[5:], "blue", 401, "UNAUTHORIZED", "invalid_grant"},
	} {
		for name, enter := range entries {
			a := enter(test.user, test.secret, test.service)
			errs, _ := a.json["errors"].([]any)
			if a.status != test.status || len(errs) != 1 || errs[0].(map[string]any)["code"] != test.code || a.json["error"] != test.oauth {
				t.Errorf("%s, %s: %d %s; want %d, %s, %s", name, test.name, a.status, a.body, test.status, test.code, test.oauth)
			}
			if _, found := a.json["details"]; found != (test.status == 401) {
				t.Errorf("%s, %s: details is there: %v, want it at 401 only", name, test.name, found)
			}
			if strings.Contains(a.body, test.secret) && test.secret != "" {
				t.Errorf("%s, %s: the answer repeats the secret", name, test.name)
			}
		}
	}
}

func TestRefreshToken(t *testing.T) {
	h := newHarness(t, server.AuditConfig{}).reload(t)
	token := fmt.Sprint(h.get(t, "service=blue&offline_token=true&account=alice&client_id=docker", "alice", password).json["refresh_token"])

	form := refreshForm(token, "blue")
	form.Set("scope", "repository:team-blue/app:pull")
	if a := h.post(t, form); a.status != http.StatusOK || a.json["refresh_token"] != token || len(a.access(t)) != 1 {
		t.Errorf("redeemed by POST: %d %s; want 200, the same refresh token, one grant", a.status, a.body)
	}
	for _, user := range []string{"alice", "<token>", "", "somebody-else"} {
		a := h.get(t, "service=blue&offline_token=true&scope=repository:team-blue/app:pull&account=other", user, token)
		if _, found := a.json["refresh_token"]; a.status != http.StatusOK || found || len(a.access(t)) != 1 {
			t.Errorf("redeemed by Basic as %q: %d %s; want 200 and no refresh token", user, a.status, a.body)
		}
	}
	if n, err := h.sessions.Admin().Revoke(t.Context(), session.Selector{User: "alice"}, "test"); n != 1 || err != nil {
		t.Fatalf("Revoke = %d, %v, want 1 session", n, err)
	}
	if a := h.post(t, form); a.status != http.StatusUnauthorized {
		t.Errorf("a revoked token: %d, want 401", a.status)
	}
}

// TestGrantTakesRefreshTokensOnly: grant_type=refresh_token takes no token of
// another kind, which Basic and the password grant do (RFC 6749, section 6).
func TestGrantTakesRefreshTokensOnly(t *testing.T) {
	h := newHarness(t, server.AuditConfig{}).reload(t)
	refresh := h.issue(t, "alice")
	for prefix, kind := range map[string]session.Kind{"sp_p_": session.KindPAT, "sp_b_": session.KindRobot} {
		token := h.copySession(t, refresh, prefix, kind, 0)
		if a := h.post(t, refreshForm(token, "blue")); a.status != http.StatusUnauthorized {
			t.Errorf("%s… as a refresh token: %d %s, want 401", prefix, a.status, a.body)
		}
		if a := h.post(t, passwordForm("alice", token, "blue")); a.status != http.StatusOK {
			t.Errorf("%s… as a password: %d %s, want 200", prefix, a.status, a.body)
		}
		if a := h.get(t, "service=blue", "alice", token); a.status != http.StatusOK {
			t.Errorf("%s… by Basic: %d %s, want 200", prefix, a.status, a.body)
		}
	}
}

func TestAnonymous(t *testing.T) {
	h := newHarness(t, server.AuditConfig{}).reload(t)
	for query, status := range map[string]int{
		"service=blue": 401,
		"service=blue&scope=repository:public/app:pull,push":          200,
		"service=blue&scope=repository:team-blue/app:pull":            401,
		"service=blue&scope=repository:public/app:pull&account=alice": 200, // podman with a name and no password
		"service=blue&scope=": 401,
		"service=blue&scope=Repository:x:pull&scope=repository::pull":    401,
		"service=blue&scope=repository:public/a:pull&offline_token=true": 200,
	} {
		a := h.get(t, query)
		if a.status != status {
			t.Errorf("anonymous, %s: %d %s, want %d", query, a.status, a.body, status)
		}
		if _, found := a.json["refresh_token"]; found {
			t.Errorf("anonymous, %s: a refresh token, want none", query)
		}
	}
}

// TestDenial: a person who is granted nothing gets a 403 that clients of every kind
// print: no details, with which docker would ask for another login, and no challenge.
// Refusals are not limited, since clients ask again for each layer.
func TestDenial(t *testing.T) {
	h := newHarness(t, server.AuditConfig{}).reload(t)
	const want = "you are logged in as alice, who has no rights on team-red/app; check the name, or ask the operators of this registry"
	const scope = "scope=repository:team-red/app:pull,push"
	form := passwordForm("alice", password, "blue")
	form.Set("scope", "repository:team-red/app:pull,push")
	refresh := h.issue(t, "alice")
	redeem := refreshForm(refresh, "blue")
	redeem.Set("scope", "repository:team-red/app:pull,push")
	for name, enter := range map[string]func() answer{
		"GET":           func() answer { return h.get(t, "service=blue&"+scope, "ALICE", password) },
		"POST":          func() answer { return h.post(t, form) },
		"POST refresh":  func() answer { return h.post(t, redeem) },
		"Basic refresh": func() answer { return h.get(t, "service=blue&"+scope, "<token>", refresh) },
	} {
		for range 60 { // more than any limit of wrong passwords
			a := enter()
			if a.status != http.StatusForbidden || a.header.Get("WWW-Authenticate") != "" || a.header.Get("Retry-After") != "" ||
				a.body != `{"errors":[{"code":"DENIED","message":"`+want+`"}],"error":"access_denied","error_description":"`+want+`"}`+"\n" {
				t.Fatalf("%s: %d %v %s", name, a.status, a.header, a.body)
			}
		}
		line := h.audit.last(t)
		if line["status"] != 403.0 || line["user"] != "alice" || line["granted"] != nil || line["jti"] != nil ||
			fmt.Sprint(line["denied"]) != "[repository:team-red/app:pull,push]" || line["reason"] != want {
			t.Errorf("%s: the audit line is %v", name, line)
		}
	}
	// The next request needs no other login.
	if a := h.get(t, "service=blue&scope=repository:team-blue/app:pull", "alice", password); a.status != http.StatusOK {
		t.Errorf("a granted request afterwards: %d %s, want 200", a.status, a.body)
	}
	off := false
	h.generation.Config.ExplainDenials = &off
	h.reload(t)
	if a := h.get(t, "service=blue&"+scope, "alice", password); a.status != http.StatusOK || len(a.access(t)) != 0 {
		t.Errorf("with explain_denials = false: %d %s, want 200 and no access", a.status, a.body)
	}
}
