package pages

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"shorepass/internal/secret"
	"shorepass/providers"
	"shorepass/session"
)

// live returns the IDs of the live sessions of a person.
func (s *meSite) live(id *providers.Identity) (ids []string) {
	s.t.Helper()
	all, err := s.sessions.Admin().List(s.t.Context(), session.Selector{Provider: id.Provider, Subject: id.Subject})
	must(s.t, err)
	for _, one := range all {
		ids = append(ids, one.ID)
	}
	return ids
}

// isRedirect reports whether a response sends the browser to a place, and nothing else.
func isRedirect(r *Response, location string) bool {
	return r.Status == http.StatusSeeOther && r.Location == location && len(r.Body) == 0
}

// TestRevokeStory is the story of a person who ends one login, then the others, then all.
func TestRevokeStory(t *testing.T) {
	t.Parallel()
	s := newMeSite(t)
	alice, bob := member("alice"), member("bob")
	here, there := s.signIn(alice), s.signIn(alice)
	mine, theirs := here.onetime("registry"), there.onetime("registry")
	one, other, bobs := s.dockerLogin(alice), s.dockerLogin(alice), s.dockerLogin(bob)

	if r := here.post("/me/revoke", "session", one.ID); !isRedirect(r, "/me") {
		t.Errorf("ending one: %d to %q", r.Status, r.Location)
	}
	record := here.visit.Record
	if record.Action != ActionRevoke || record.Target == nil || record.Target.ID != one.ID || *record.Ended != 1 || record.Identity.User != "alice" || record.Session.ID != here.ID {
		t.Errorf("the record of ending one: %+v", record)
	}
	if page := text(here.get("/me")); !strings.Contains(page, "A login has ended.") || !strings.Contains(page, "Ended in the last 30 days docker login") {
		t.Errorf("the page does not say that one has ended:\n%s", page)
	}
	if r := here.post("/me/revoke", "session", one.ID); !isRedirect(r, "/me") || *here.visit.Record.Ended != 0 {
		t.Errorf("ending it again: %d to %q, %d ended", r.Status, r.Location, *here.visit.Record.Ended)
	}

	if page := text(here.get("/me/revoke?session=others")); !strings.Contains(page, "End all your other logins? These end, and cannot be brought back: One docker login One browser Machines") {
		t.Errorf("the question is:\n%s", page)
	}
	if got := s.live(alice); len(got) != 3 {
		t.Errorf("a GET has left %v", got)
	}
	if r := here.post("/me/revoke", "session", "others"); !isRedirect(r, "/me") || *here.visit.Record.Ended != 2 || here.visit.Record.Target != nil {
		t.Errorf("ending the others: %d to %q, %+v", r.Status, r.Location, here.visit.Record)
	}
	if got := s.live(alice); !slices.Equal(got, []string{here.ID}) || slices.Contains(got, other.ID) {
		t.Errorf("ending the others has left %v, want %v alone", got, here.ID)
	}
	if _, err := s.sessions.RedeemOneTimePassword(t.Context(), theirs, "registry", laptop); err == nil {
		t.Error("a one-time password of another browser outlives that browser's session")
	}
	if page := text(here.get("/me/revoke?session=others")); !strings.Contains(page, "There is nothing to end.") {
		t.Errorf("without others the question is:\n%s", page)
	}

	s.dockerLogin(alice)
	if r := here.post("/me/revoke", "session", "all"); !isRedirect(r, "/logout") || *here.visit.Record.Ended != 2 || !deletesSession(here, r) {
		t.Errorf("ending all: %d to %q, cookies %v, %d ended", r.Status, r.Location, r.Cookies, *here.visit.Record.Ended)
	}
	if got := s.live(alice); len(got) != 0 {
		t.Errorf("ending all has left %v", got)
	}
	if _, err := s.sessions.RedeemOneTimePassword(t.Context(), mine, "registry", laptop); err == nil {
		t.Error("a one-time password outlives the end of all")
	}
	if got := s.live(bob); !slices.Equal(got, []string{bobs.ID}) {
		t.Errorf("bob has %v, want %v", got, bobs.ID)
	}
	if r := here.do(http.MethodGet, "/me", nil); r.Status != http.StatusSeeOther || !strings.HasPrefix(r.Location, "/login") {
		t.Errorf("GET /me after all ended: %d to %q", r.Status, r.Location)
	}
}

// Ending the others ends one-time passwords too whose browser's session has ended before:
// by a logout, after which they are good, or by another sign-in in the same browser.
func TestRevokeOthersEndsOneTimePasswords(t *testing.T) {
	t.Parallel()
	s := newMeSite(t)
	aliceAgo := func(d time.Duration) *providers.Identity {
		id := member("alice")
		id.AuthTime = id.AuthTime.Add(-d)
		return id
	}
	left, before, bob := s.signIn(aliceAgo(3*time.Minute)), s.signIn(aliceAgo(2*time.Minute)), s.signIn(member("bob"))
	passwords := map[string]secret.Text{"after a logout": left.onetime("registry"), "of a replaced session": before.onetime("registry")}
	bobs := bob.onetime("registry")
	if r := left.post("/logout", "", ""); r.Status != http.StatusOK {
		t.Fatalf("logout: %d", r.Status)
	}
	made, err := s.sessions.IssueBrowser(t.Context(), aliceAgo(0), "", before.token, laptop)
	must(t, err)
	here := &meBrowser{t: t, pages: before.pages, token: made.Token, ID: made.ID}
	if r := here.post("/me/revoke", "session", "others"); !isRedirect(r, "/me") {
		t.Fatalf("ending the others: %d to %q", r.Status, r.Location)
	}
	if got := s.live(aliceAgo(0)); !slices.Equal(got, []string{here.ID}) {
		t.Errorf("left are %v, want %v alone", got, here.ID)
	}
	for name, password := range passwords {
		if _, err := s.sessions.RedeemOneTimePassword(t.Context(), password, "registry", laptop); err == nil {
			t.Errorf("a one-time password %s outlives the end of the others", name)
		}
	}
	if _, err := s.sessions.RedeemOneTimePassword(t.Context(), bobs, "registry", laptop); err != nil {
		t.Errorf("a one-time password of another person: %v", err)
	}
}

// deletesSession reports whether a response deletes the cookie of the browser's session.
func deletesSession(b *meBrowser, r *Response) bool {
	return slices.ContainsFunc(r.Cookies, func(c *http.Cookie) bool { return c.Name == b.pages.cookieName(cookieSession) && c.MaxAge < 0 })
}

// Ending the session of this browser signs out.
func TestRevokeThisBrowser(t *testing.T) {
	t.Parallel()
	s := newMeSite(t)
	web := s.signIn(member("alice"))
	docker := s.dockerLogin(member("alice"))
	if r := web.post("/me/revoke", "session", web.ID); !isRedirect(r, "/logout") || !deletesSession(web, r) {
		t.Errorf("%d to %q, cookies %v", r.Status, r.Location, r.Cookies)
	}
	if got := s.live(member("alice")); !slices.Equal(got, []string{docker.ID}) {
		t.Errorf("left are %v, want the docker login alone", got)
	}
}

// A person ends no session of another person, and does not learn that it exists.
func TestRevokeOfOthersSessions(t *testing.T) {
	t.Parallel()
	s := newMeSite(t)
	web := s.signIn(member("mallory"))
	docker := s.dockerLogin(member("alice"))
	namesake := member("mallory") // the same user name at another provider
	namesake.Provider, namesake.Subject = "lab", "another"
	otherDocker := s.dockerLogin(namesake)
	unknown := web.post("/me/revoke", "session", "aaaaaaaaaaaaaaaa")
	for _, id := range []string{docker.ID, otherDocker.ID, docker.ID[:8], docker.ID + "a", "'; DROP TABLE session", "*", "%", "ALL", " all", "\x00"} {
		r := web.post("/me/revoke", "session", id)
		if !isRedirect(r, unknown.Location) || *web.visit.Record.Ended != 0 || web.visit.Record.Target != nil {
			t.Errorf("session=%q: %d to %q, %+v, want the answer for an unknown one", id, r.Status, r.Location, web.visit.Record)
		}
	}
	for _, form := range []url.Values{nil, {}, {"session": {""}}, {"session": {docker.ID, "all"}}} {
		if r := web.do(http.MethodPost, "/me/revoke", form); r.Status == http.StatusOK || *orZero(web.visit.Record.Ended) != 0 {
			t.Errorf("%v: %d, %+v", form, r.Status, web.visit.Record)
		}
	}
	for _, id := range []*providers.Identity{member("alice"), namesake} {
		if got := s.live(id); len(got) != 1 {
			t.Errorf("left of %s are %v", id.User, got)
		}
	}
	if r := web.do(http.MethodGet, "/me/revoke?session="+docker.ID, nil); r.Status != http.StatusNotFound {
		t.Errorf("a question about another's session: %d", r.Status)
	}
}

func orZero(n *int) *int {
	if n == nil {
		return new(int)
	}
	return n
}

// Ending needs no fresh session; it needs a session, and a POST of our own pages.
func TestRevokeNeedsASession(t *testing.T) {
	t.Parallel()
	s := newMeSite(t)
	web := s.signIn(member("alice"))
	docker := s.dockerLogin(member("alice"))
	web.site = "cross-site"
	if r := web.post("/me/revoke", "session", docker.ID); r.Status != http.StatusForbidden {
		t.Errorf("from another site: %d, want 403", r.Status)
	}
	web.site = "same-site" // a neighbour in the domain
	if r := web.post("/me/revoke", "session", "all"); r.Status != http.StatusForbidden {
		t.Errorf("from the same site: %d, want 403", r.Status)
	}
	web.site = "same-origin"
	if got := s.live(member("alice")); len(got) != 2 {
		t.Fatalf("left are %v", got)
	}
	web.later = time.Hour
	if r := web.post("/me/revoke", "session", docker.ID); !isRedirect(r, "/me") {
		t.Errorf("an hour after the sign-in: %d to %q, want 303", r.Status, r.Location)
	}
	_, err := s.sessions.Admin().Revoke(t.Context(), session.Selector{User: "alice"}, "an operator")
	must(t, err)
	if r := web.post("/me/revoke", "session", "all"); r.Status != http.StatusUnauthorized || !deletesSession(web, r) {
		t.Errorf("after the browser's session ended: %d", r.Status)
	}
}
