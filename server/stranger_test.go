package server_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"shorepass/providers"
	"shorepass/providers/providertest"
	"shorepass/registry"
	"shorepass/server"
	"shorepass/session"
)

// TestStrangerLearnsNothing: the refusal of a login is the same, byte for byte, whether
// the account exists or not and whatever its state, and so is the number of tries
// before the rate limit.
func TestStrangerLearnsNothing(t *testing.T) {
	h := newHarness(t, server.AuditConfig{})
	members := []providers.Member{{Provider: h.local, Config: providers.Config{Name: "local", Kind: "file", RequireGroups: []string{"team-*", "gone"}}.WithDefaults()}}
	chain, err := providers.NewChain(members, providertest.NewThrottle(), providers.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = chain.Close() })
	h.generation.Chain = chain
	h.reload(t)
	type response struct {
		Status int
		Body   string
		Header []string
	}
	enter := map[string]func(user, secret string) answer{
		"GET":        func(u, s string) answer { return h.get(t, "service=blue&account="+url.QueryEscape(u), u, s) },
		"POST":       func(u, s string) answer { return h.post(t, passwordForm(u, s, "blue")) },
		"introspect": func(u, s string) answer { return h.call(t, "/oauth/introspect", url.Values{"token": {"x"}}, u, s) },
		"revoke":     func(u, s string) answer { return h.call(t, "/oauth/revoke", url.Values{"user": {"bob"}}, u, s) },
	}
	for _, entry := range slices.Sorted(maps.Keys(enter)) {
		var first *response
		for _, test := range []struct{ name, user, secret string }{
			{"an unknown user", "nobody-" + entry, "wrong"},
			{"a wrong password", "alice", "wrong"},
			{"a disabled account, the right password", "gone", password},
			{"an account without a required group, the right password", "carol", password},
			{"a token that was never made", "alice", "sp_r_0000000000000000000000000000000000000000000abcdef"},
			{"a token of an unknown issuer", "alice", "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJodHRwczovL2V2aWwuZXhhbXBsZSJ9.AAAA"},
			{"a name that tools make up", "<token>", "wrong"},
		} {
			a := enter[entry](test.user, test.secret)
			a.header.Del("X-Request-Id")
			a.header.Del("Date")
			got := &response{a.status, a.body, nil}
			for _, name := range slices.Sorted(maps.Keys(a.header)) {
				got.Header = append(got.Header, fmt.Sprint(name, a.header[name]))
			}
			if first == nil {
				first = got
			}
			if a.status != http.StatusUnauthorized || fmt.Sprint(*got) != fmt.Sprint(*first) {
				t.Errorf("%s, %s: %v; want 401 and the answer to an unknown user: %v", entry, test.name, *got, *first)
			}
		}
	}
}

// TestGuessesAtEveryEntry: wrong passwords count together, whichever endpoint and
// whichever spelling of the name they are sent with.
func TestGuessesAtEveryEntry(t *testing.T) {
	h := newHarness(t, server.AuditConfig{}).reload(t)
	for i, guess := range []func(secret string) answer{
		func(s string) answer { return h.get(t, "service=blue", "alice", s) },
		func(s string) answer { return h.post(t, passwordForm("ALICE", s, "red")) },
		func(s string) answer { return h.call(t, "/oauth/introspect", url.Values{"token": {"x"}}, "alice ", s) },
		func(s string) answer { return h.call(t, "/oauth/revoke", url.Values{"user": {"alice"}}, "alice", s) },
		func(s string) answer { return h.get(t, "service=red&offline_token=true", "\uff41lice", s) },
	} {
		want := http.StatusUnauthorized
		if i >= 3 {
			want = http.StatusTooManyRequests
		}
		if a := guess(fmt.Sprint("wrong", i)); a.status != want {
			t.Errorf("guess %d = %d %s, want %d", i, a.status, a.body, want)
		}
	}
	if n := h.local.logins.Load(); n > 4 {
		t.Errorf("the provider was asked %d times, want at most 4", n)
	}
}

// TestMisplacedTokensAreRedacted: a token that is sent in the wrong place is written
// neither to the audit log nor to the store.
func TestMisplacedTokensAreRedacted(t *testing.T) {
	h := newHarness(t, server.AuditConfig{}).reload(t)
	login := h.get(t, "service=blue&offline_token=true", "alice", password)
	token, access := fmt.Sprint(login.json["refresh_token"]), fmt.Sprint(login.json["token"])
	secrets := []string{token, access, token[:40]}
	for _, kind := range []string{"sp_p_", "sp_b_", "sp_w_", "sp_o_"} {
		secrets = append(secrets, kind+token[len("sp_r_"):])
	}
	for _, secret := range secrets {
		h.get(t, "service=blue", secret, "x")
		h.get(t, "service=blue&account="+secret, "", "")
		h.get(t, "service=blue&offline_token=true&client_id="+secret, "alice", password)
		h.get(t, "service=blue&client_id="+secret, "alice", token)
		h.call(t, "/oauth/revoke", url.Values{"user": {secret}}, "alice", password)
		h.call(t, "/oauth/revoke", url.Values{"token": {"x"}, "client_id": {secret}})
		req, err := http.NewRequest(http.MethodGet, h.URL+"/jwt/auth?service=blue", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.SetBasicAuth("alice", token)
		req.Header.Set("User-Agent", "tool/1 "+secret)
		h.do(t, req)
	}
	audited := strings.ToLower(h.audit.text.String()) // login names are lower case in it
	sessions, err := h.sessions.Admin().List(t.Context(), session.Selector{})
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range secrets {
		if part := secret[:24]; strings.Contains(audited, strings.ToLower(part)) || strings.Contains(fmt.Sprintf("%+v", sessions), part) {
			t.Errorf("%.5s… is in the audit log or the store", secret)
		}
	}
	if !strings.Contains(audited, "[redacted]") {
		t.Error("the audit log has no [redacted]")
	}
}

// TestUnauthenticatedAuditLineIsBounded: the line of an unauthenticated request is short,
// so that strangers cannot fill the disk, but has all that was granted.
func TestUnauthenticatedAuditLineIsBounded(t *testing.T) {
	h := newHarness(t, server.AuditConfig{}).reload(t)
	var long, public []string
	for i := range registry.MaxScopes {
		long = append(long, fmt.Sprintf("repository:private/%d/%s:pull", i, strings.Repeat("a", 200)))
		public = append(public, fmt.Sprintf("repository:public/%d:pull", i))
	}
	ask := func(scopes []string, userPassword ...string) (size int, line map[string]any) {
		t.Helper()
		before := h.audit.text.Len()
		form := url.Values{"scope": scopes}
		form.Set("service", "blue")
		h.get(t, form.Encode(), userPassword...)
		return h.audit.text.Len() - before, h.audit.last(t)
	}
	if size, line := ask(long); size > 8<<10 || line["omitted"] == nil {
		t.Errorf("the line of an anonymous refusal has %d bytes, want few, and %v omitted", size, line["omitted"])
	}
	if size, _ := ask(long, "alice", "wrong"); size > 8<<10 {
		t.Errorf("the line of a wrong password has %d bytes, want few", size)
	}
	if _, line := ask(public); len(line["granted"].([]any)) != registry.MaxScopes {
		t.Errorf("%d scopes granted to an anonymous request are in the line, want all", len(line["granted"].([]any)))
	}
	if _, line := ask(long, "alice", password); len(line["asked"].([]any)) != registry.MaxScopes || line["omitted"] != nil {
		t.Errorf("%d of alice's scopes are in the line, want all", len(line["asked"].([]any)))
	}
}
