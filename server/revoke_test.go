package server_test

import (
	"crypto/sha256"
	"fmt"
	"hash/crc32"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"shorepass/providers"
	"shorepass/server"
	"shorepass/session"
)

// call posts a form, with Basic credentials if userPassword has two texts.
func (h *harness) call(t *testing.T, path string, form url.Values, userPassword ...string) answer {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, h.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if len(userPassword) == 2 {
		req.SetBasicAuth(userPassword[0], userPassword[1])
	}
	return h.do(t, req)
}

// login returns the refresh token of a new session.
func (h *harness) login(t *testing.T, user string) string {
	t.Helper()
	a := h.get(t, "service=blue&offline_token=true&client_id=docker", user, password)
	token, _ := a.json["refresh_token"].(string)
	if token == "" {
		t.Fatalf("%s logs in: %d %s, want a refresh token", user, a.status, a.body)
	}
	return token
}

// issue does the same without the cost of a password hash, for tests of many sessions.
func (h *harness) issue(t *testing.T, user string) string {
	t.Helper()
	id, err := h.local.Revalidate(t.Context(), &providers.Identity{Subject: user})
	if err != nil {
		t.Fatal(err)
	}
	named := *id
	named.Provider, named.Fingerprint, named.Method = "local", h.local.Fingerprint(), providers.MethodPassword
	token, _, err := h.sessions.Issue(t.Context(), &named, "blue", session.Client{ID: "docker"})
	if err != nil {
		t.Fatal(err)
	}
	return token.Reveal()
}

// tokenHash returns the hash under which the store has a token.
func tokenHash(token string) session.Hash {
	kind := map[string]string{"sp_r_": "refresh", "sp_p_": "pat", "sp_b_": "robot"}[token[:5]]
	return sha256.Sum256([]byte(kind + "\x00" + token))
}

func idOf(token string) string { return tokenHash(token).ID() }

// copySession copies the session of a refresh token to one with a token of kind, whose
// session is older by age.
func (h *harness) copySession(t *testing.T, refresh, prefix string, kind session.Kind, age time.Duration) string {
	t.Helper()
	row, err := h.store.Find(t.Context(), tokenHash(refresh), session.Version{})
	if err != nil {
		t.Fatal(err)
	}
	const letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	body := prefix + refresh[6:48] + "x"
	sum, spelt := crc32.ChecksumIEEE([]byte(body)), make([]byte, 6)
	for i := range spelt {
		spelt[5-i] = letters[sum%62]
		sum /= 62
	}
	token := body + string(spelt)
	draft := &session.Draft{Row: *row, Derived: true, Bound: 100}
	draft.Hash, draft.Kind = tokenHash(token), kind
	draft.Created = draft.Created.Add(-age)
	if err := h.store.Create(t.Context(), draft); err != nil {
		t.Fatal(err)
	}
	return token
}

// tokenSet has tokens by name: a of alice, b of bob, c of carol, who is an operator; 1
// and 2 are refresh tokens, p is a personal access token, r a robot's token.
type tokenSet map[string]string

// loginAll makes the sessions of a tokenSet. That of b2 is 31 days old.
func (h *harness) loginAll(t *testing.T) tokenSet {
	t.Helper()
	tokens := tokenSet{"a1": h.issue(t, "alice"), "a2": h.issue(t, "alice"), "b1": h.issue(t, "bob"), "c1": h.issue(t, "carol")}
	for _, owner := range []string{"a", "c"} {
		tokens[owner+"p"] = h.copySession(t, tokens[owner+"1"], "sp_p_", session.KindPAT, 0)
		tokens[owner+"r"] = h.copySession(t, tokens[owner+"1"], "sp_b_", session.KindRobot, 0)
	}
	tokens["b2"] = h.copySession(t, tokens["b1"], "sp_r_", session.KindRefresh, 31*24*time.Hour)
	return tokens
}

// ended returns the names of the tokens whose sessions have ended.
func (h *harness) ended(t *testing.T, tokens tokenSet) string {
	t.Helper()
	alive, err := h.sessions.Admin().List(t.Context(), session.Selector{})
	if err != nil {
		t.Fatal(err)
	}
	var ended []string
	for _, name := range slices.Sorted(maps.Keys(tokens)) {
		if !slices.ContainsFunc(alive, func(s session.Session) bool { return s.ID == idOf(tokens[name]) }) {
			ended = append(ended, name)
		}
	}
	return strings.Join(ended, " ")
}

// form parses "session=b1 user=alice", where a name of a token is replaced by the token
// or its session's id.
func (tokens tokenSet) form(text string) url.Values {
	form := url.Values{}
	for _, pair := range strings.Fields(text) {
		name, value, _ := strings.Cut(pair, "=")
		token, known := tokens[value]
		switch {
		case known && name == "token":
			value = token
		case known && name == "session":
			value = idOf(token)
		}
		form.Set(name, value)
	}
	return form
}

// basic parses "carol:c1", where a name of a token is replaced by the token. It returns
// nil for "".
func (tokens tokenSet) basic(text string) []string {
	if text == "" {
		return nil
	}
	user, secret, _ := strings.Cut(text, ":")
	if token, known := tokens[secret]; known {
		secret = token
	}
	return []string{user, secret}
}

// TestRevocation tries every kind of caller with every kind of request: the answer, and
// which sessions end.
func TestRevocation(t *testing.T) {
	const (
		nobodys = "token=sp_r_nobodys"
		another = "session=aaaaaaaaaaaaaaaa" // the form of an id
		no      = "401 invalid_client:"
		denied  = "403 access_denied:"
		none    = `200 {"ended":0}:`
	)
	byToken := map[string]string{"token=a1": "200 {}: a1", "token=ap": "200 {}: ap", "token=b1 token_type_hint=pat": "200 {}: b1", nobodys: "200 {}:"}
	selecting := []string{"session=a1", "session=b1", "session=b1 user=alice", another, "user=alice", "user=bob", "user=ALICE",
		"older_than=30d", "older_than=720h user=bob", "older_than=32d", "provider=local", "provider=local user=bob", "group=team-blue"}
	anonymous := with(byToken, no, selecting...)
	nothing := with(anonymous, no, slices.Collect(maps.Keys(byToken))...)
	// Another person's session looks like one that does not exist.
	alice := with(with(byToken, denied, selecting...), none, "session=b1", "session=b1 user=alice", another)
	alice["session=a1"] = `200 {"ended":1}: a1`
	alice["user=alice"] = `200 {"ended":4}: a1 a2 ap ar`
	bob := with(with(byToken, denied, selecting...), none, "session=a1", another)
	bob["session=b1"] = `200 {"ended":1}: b1`
	bob["user=bob"] = `200 {"ended":2}: b1 b2`
	bob["older_than=720h user=bob"] = `200 {"ended":1}: b2`
	carol := with(with(byToken, denied, selecting...), none, "session=a1", "session=b1", another)
	operator := with(byToken, none, selecting...)
	operator["session=a1"] = `200 {"ended":1}: a1`
	operator["session=b1"] = `200 {"ended":1}: b1`
	operator["user=alice"] = `200 {"ended":4}: a1 a2 ap ar`
	operator["user=bob"] = `200 {"ended":2}: b1 b2`
	operator["older_than=30d"] = `200 {"ended":1}: b2`
	operator["older_than=720h user=bob"] = `200 {"ended":1}: b2`
	operator["provider=local"] = `200 {"ended":9}: a1 a2 ap ar b1 b2 c1 cp cr`
	operator["provider=local user=bob"] = `200 {"ended":2}: b1 b2`
	operator["group=team-blue"] = `200 {"ended":6}: a1 a2 ap ar b1 b2`

	h := newHarness(t, server.AuditConfig{}).reload(t)
	over := h.login(t, "alice")
	if a := h.call(t, "/oauth/revoke", url.Values{"token": {over}}); a.status != http.StatusOK {
		t.Fatalf("a token ends: %d %s", a.status, a.body)
	}
	tokens := h.loginAll(t)
	for _, caller := range []struct {
		name, basic string
		want        map[string]string
	}{
		{"anonymous", "", anonymous},
		{"a wrong password", "carol:wrong", nothing},
		{"an empty password", "carol:", nothing},
		{"a disabled account", "gone:" + password, nothing},
		{"a token that has ended", "alice:" + over, nothing},
		{"a mangled token", "carol:sp_r_mangled", nothing},
		{"a person's password", "Alice:" + password, alice},
		{"a person's refresh token", "alice:a1", alice},
		{"a person's token under another's name", "carol:a1", alice},
		{"a person's personal access token", ":ap", alice},
		{"a person's robot", "robot:ar", alice},
		{"another person's password", "bob:" + password, bob},
		{"an operator's password", "carol:" + password, operator},
		{"an operator's refresh token", ":c1", carol},
		{"an operator's personal access token", "carol:cp", carol},
	} {
		for target, want := range caller.want {
			a := h.call(t, "/oauth/revoke", tokens.form(target), tokens.basic(caller.basic)...)
			got := fmt.Sprint(a.status, " ", strings.TrimSpace(a.body))
			if oauth, ok := a.json["error"]; ok {
				got = fmt.Sprint(a.status, " ", oauth)
			}
			ended := h.ended(t, tokens)
			if got = strings.TrimSpace(got + ": " + ended); got != want {
				t.Errorf("%s ends %s: %s, want %s", caller.name, target, got, want)
			}
			for _, gone := range strings.Fields(ended) {
				if a := h.get(t, "service=blue", "", tokens[gone]); a.status != http.StatusUnauthorized {
					t.Errorf("after %s ended %s, %s is answered %d, want 401", caller.name, target, gone, a.status)
				}
			}
			if ended == "" {
				continue
			}
			if _, err := h.sessions.Admin().Revoke(t.Context(), session.Selector{Provider: "local"}, "the next case"); err != nil {
				t.Fatal(err)
			}
			tokens = h.loginAll(t)
		}
	}
}

// with returns a copy of m with value for each of names.
func with(m map[string]string, value string, names ...string) map[string]string {
	more := maps.Clone(m)
	for _, name := range names {
		more[name] = value
	}
	return more
}

// TestRevocationOfATokenOutOfAFile: blanks and newlines around a token, as a file has
// them, do not keep its session alive.
func TestRevocationOfATokenOutOfAFile(t *testing.T) {
	h := newHarness(t, server.AuditConfig{}).reload(t)
	for _, around := range []string{"%s\n", "%s\r\n", " %s "} {
		token := h.login(t, "alice")
		h.call(t, "/oauth/revoke", url.Values{"token": {fmt.Sprintf(around, token)}})
		if a := h.post(t, refreshForm(token, "blue")); a.status != http.StatusUnauthorized {
			t.Errorf("a token that was sent as %q: %d, want 401", around, a.status)
		}
	}
}
