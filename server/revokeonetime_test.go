package server_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"shorepass/server"
)

// TestRevokeOneTimePassword: the holder of a one-time password revokes it at
// /oauth/revoke, without a login, as often as they like (RFC 7009). Then no login is made
// of it, and the audit lines name its person and not the password.
func TestRevokeOneTimePassword(t *testing.T) {
	h := newHarness(t, server.AuditConfig{}).reload(t)
	browser, _ := h.signInBrowser(t, "alice")
	token, err := h.sessions.IssueOneTimePassword(t.Context(), browser, "blue")
	if err != nil {
		t.Fatal(err)
	}
	for _, ended := range []float64{1, 0} {
		if a := h.call(t, "/oauth/revoke", url.Values{"token": {token.Reveal()}}); a.status != http.StatusOK {
			t.Errorf("revoke: %d %s, want 200", a.status, a.body)
		}
		line := h.audit.last(t)
		if target, _ := line["target"].(map[string]any); line["ended"] != ended || target["user"] != "alice" {
			t.Errorf("the audit line is %v, want that %v ended of alice", line, ended)
		}
	}
	a := h.get(t, "service=blue&offline_token=true&client_id=docker", "alice", token.Reveal())
	if a.status != http.StatusUnauthorized {
		t.Errorf("a docker login with it: %d %s, want 401", a.status, a.body)
	}
	if reason := h.audit.last(t)["reason"]; reason != "token refused: it ended: revoked" {
		t.Errorf("the reason is %q, want that it was revoked", reason)
	}
	if strings.Contains(h.audit.text.String(), token.Reveal()[5:]) {
		t.Error("an audit line has the one-time password")
	}
}
