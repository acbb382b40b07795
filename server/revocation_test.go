package server_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"shorepass/server"
	"shorepass/session"
)

// TestRevocationForgetsPasswords: a revocation evicts the person's password from the
// cache, so that the next login asks the provider.
func TestRevocationForgetsPasswords(t *testing.T) {
	h := newHarness(t, server.AuditConfig{}).reload(t)
	for _, test := range []struct {
		name, form, basic string
		asks              int64 // of the provider, by alice's next login
	}{
		{"nothing", "", "", 0},
		{"her token", "token=a1", "", 1},
		{"her session, by an operator", "session=a1", "carol:" + password, 1},
		{"her group, by an operator", "group=team-blue", "carol:" + password, 1},
		{"bob, by an operator", "user=bob", "carol:" + password, 0},
		{"an unknown token", "token=sp_r_x", "", 0},
		{"her sessions, though she has none", "user=alice", "carol:" + password, 1},
	} {
		tokens := tokenSet{}
		if !strings.Contains(test.name, "none") {
			tokens = h.loginAll(t)
		} else if _, err := h.sessions.Admin().Revoke(t.Context(), session.Selector{User: "alice"}, "test"); err != nil {
			t.Fatal(err)
		}
		h.get(t, "service=blue", "alice", password)
		if test.form != "" {
			if a := h.call(t, "/oauth/revoke", tokens.form(test.form), tokens.basic(test.basic)...); a.status != http.StatusOK {
				t.Errorf("revoking %s: %d %s", test.name, a.status, a.body)
			}
		}
		before := h.local.logins.Load()
		h.get(t, "service=blue", "alice", password)
		if asks := h.local.logins.Load() - before; asks != test.asks {
			t.Errorf("after revoking %s alice's next login asks the provider %d times, want %d", test.name, asks, test.asks)
		}
	}
}

// TestRevocationWithoutStore: a revocation that the store cannot do is 503, never 200.
func TestRevocationWithoutStore(t *testing.T) {
	h := newHarness(t, server.AuditConfig{}).reload(t)
	tokens := h.loginAll(t)
	h.store.broken.Store(true)
	for _, form := range []string{"token=a1", "user=alice"} {
		a := h.call(t, "/oauth/revoke", tokens.form(form), "alice", password)
		if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" || a.json["error_description"] != "not all sessions were ended; send the request again in a moment" {
			t.Errorf("%s: %d %s, want 503 and the message that not all were ended", form, a.status, a.body)
		}
		if strings.Contains(a.body, "disk") {
			t.Errorf("%s: the answer has the store's error: %s", form, a.body)
		}
		if line := h.audit.last(t); line["status"] != 503.0 || !strings.Contains(fmt.Sprint(line["reason"]), "disk full") {
			t.Errorf("%s: the audit line is %v", form, line)
		}
	}
	h.store.broken.Store(false)
	if a := h.call(t, "/oauth/revoke", tokens.form("user=alice"), "alice", password); a.json["ended"] != 4.0 {
		t.Errorf("asked again: %d %s, want all four", a.status, a.body)
	}
}

func TestRevocationIsAudited(t *testing.T) {
	h := newHarness(t, server.AuditConfig{}).reload(t)
	tokens := h.loginAll(t)
	for _, test := range []struct {
		path, form, basic string
		want              map[string]any
		by                string // as the list of sessions has it
	}{
		{"/oauth/revoke", "token=a1", "", map[string]any{"action": "revoke", "user": "", "ended": 1.0, "target": "a1", "session": nil}, "the holder of its token"},
		{"/oauth/revoke", "token=a1", "", map[string]any{"action": "revoke", "ended": 0.0, "target": "a1"}, "the holder of its token"},
		{"/oauth/revoke", "token=sp_r_x", "", map[string]any{"action": "revoke", "ended": nil, "target": nil, "reason": "token refused: it is mangled"}, ""},
		{"/oauth/revoke", "session=a2", "ALICE:" + password, map[string]any{"action": "revoke", "user": "alice", "method": "password", "account": "ALICE", "ended": 1.0, "asked": "[session=a2]"}, "alice"},
		{"/oauth/introspect", "token=b1", "carol:" + password, map[string]any{"action": "introspect", "user": "carol", "method": "password", "session": nil, "target": "b1", "ended": nil}, ""},
		{"/oauth/introspect", "token=a2", "carol:" + password, map[string]any{"action": "introspect", "target": nil, "reason": "token refused: it ended: revoked"}, ""},
		{"/oauth/revoke", "user=bob older_than=30d", "carol:" + password, map[string]any{"action": "revoke", "user": "carol", "session": nil, "ended": 1.0, "asked": "[user=bob older_than=30d]"}, "carol, an operator"},
		{"/oauth/revoke", "session=c1", ":cp", map[string]any{"action": "revoke", "user": "carol", "method": "pat", "token_type": "pat", "session": "cp", "ended": 1.0}, "carol"},
		{"/oauth/revoke", "provider=local", ":ap", map[string]any{"action": "revoke", "user": "alice", "status": 403.0, "ended": nil, "asked": "[provider=local]"}, ""},
		{"/oauth/revoke", "user=bob", "alice:wrong", map[string]any{"action": "revoke", "user": "", "account": "alice", "status": 401.0, "ended": nil}, ""},
	} {
		h.call(t, test.path, tokens.form(test.form), tokens.basic(test.basic)...)
		line := h.audit.last(t)
		if test.want["status"] == nil {
			test.want["status"] = 200.0
		}
		for key, want := range test.want {
			got := line[key]
			switch key {
			case "asked":
				got = fmt.Sprint(got)
				want = strings.ReplaceAll(fmt.Sprint(want), "=a2", "="+idOf(tokens["a2"]))
			case "session", "target":
				if target, ok := got.(map[string]any); ok {
					got = target["session"]
				}
				if name, ok := want.(string); ok {
					want = idOf(tokens[name])
				}
			}
			if got != want {
				t.Errorf("%s %s as %q: %s = %v, want %v", test.path, test.form, test.basic, key, got, want)
			}
		}
		_, pair, _ := strings.Cut(test.form, "=")
		if token, ok := tokens[pair]; ok && test.by != "" {
			found, err := h.sessions.Admin().List(t.Context(), session.Selector{ID: idOf(token), Ended: true})
			if err != nil || len(found) != 1 || found[0].By != test.by || found[0].Reason != session.ReasonRevoked {
				t.Errorf("%s as %q: the list says %+v (%v), want that %q revoked it", test.form, test.basic, found, err, test.by)
			}
		}
	}
	text := h.audit.text.String()
	for name, token := range tokens {
		if strings.Contains(text, token[5:]) {
			t.Errorf("the audit log holds the token of %s", name)
		}
	}
	if strings.Contains(text, password) {
		t.Error("the audit log holds a password")
	}
}

// TestOtherEndpointsAreNotCounted: the metrics count requests to the token endpoint
// alone.
func TestOtherEndpointsAreNotCounted(t *testing.T) {
	h := newHarness(t, server.AuditConfig{}).reload(t)
	h.call(t, "/oauth/revoke", url.Values{"token": {"sp_r_x"}})
	h.call(t, "/oauth/introspect", url.Values{"token": {"sp_r_x"}})
	req, err := http.NewRequest(http.MethodGet, h.URL+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	if a := h.do(t, req); strings.Contains(a.body, "shorepass_token_requests_total{") {
		t.Errorf("the metrics count a token request:\n%s", a.body)
	}
}
