package pages

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"shorepass/internal/secret"
	"shorepass/session"
)

// onetime makes a one-time password.
func (b *meBrowser) onetime(service string) secret.Text {
	b.t.Helper()
	r := b.post("/me/one-time", "service", service)
	found := regexp.MustCompile(`sp_o_[0-9A-Za-z]+`).FindAllString(string(r.Body), -1)
	if r.Status != http.StatusOK || len(found) != 1 {
		b.t.Fatalf("POST /me/one-time: %d with %d passwords, want one\n%s", r.Status, len(found), r.Body)
	}
	return secret.New(found[0])
}

// TestOneTimePasswordPage: the page has the lines, and a password that is good once, for its
// service.
func TestOneTimePasswordPage(t *testing.T) {
	t.Parallel()
	s := newMeSite(t)
	id := member(`CORP\alice smith`)
	web := s.signIn(id)
	password := web.onetime("registry")
	if record := web.visit.Record; record.Action != ActionOneTimePassword || record.Service != "registry" || record.Identity.User != id.User || record.Session.ID != web.ID || record.Err != nil {
		t.Errorf("record %+v", record)
	}
	response := web.post("/me/one-time", "service", "registry")
	page := text(string(response.Body))
	for _, want := range []string{
		"Log in to registry.corp.example",
		"docker login -u &#39;CORP\\alice smith&#39; registry.corp.example",
		"nerdctl login -u &#39;CORP\\alice smith&#39; registry.corp.example",
		"docker login -u &#39;CORP\\alice smith&#39; --password-stdin registry.corp.example",
		"Reloading this page makes another.",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q:\n%s", want, page)
		}
	}
	if got := response.Header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control: %s, want no-store", got)
	}
	if _, err := s.sessions.RedeemOneTimePassword(t.Context(), password, "internal", laptop); err == nil {
		t.Error("the password is good for another service")
	}
	made, err := s.sessions.RedeemOneTimePassword(t.Context(), password, "registry", laptop)
	if err != nil || made.Identity.User != id.User || made.Service != "registry" {
		t.Errorf("RedeemOneTimePassword = %+v, %v", made, err)
	}
	if _, err := s.sessions.RedeemOneTimePassword(t.Context(), password, "registry", laptop); err == nil {
		t.Error("the password is good twice")
	}
}

// TestOneTimePasswordIsRefused: without a fresh session, from another site, for what people
// do not log in to.
func TestOneTimePasswordIsRefused(t *testing.T) {
	t.Parallel()
	s := newMeSite(t)
	for _, tc := range []struct {
		name   string
		change func(*meBrowser)
		method string
		form   url.Values
		status int
	}{
		{"fresh for ten minutes", func(b *meBrowser) { b.later = 10*time.Minute - 5*time.Second }, "POST", url.Values{"service": {"registry"}}, 200},
		{"no longer fresh", func(b *meBrowser) { b.later = 10*time.Minute + 5*time.Second }, "POST", url.Values{"service": {"registry"}}, 401},
		{"from another site", func(b *meBrowser) { b.site = "cross-site" }, "POST", url.Values{"service": {"registry"}}, 403},
		{"by a link", func(*meBrowser) {}, "GET", nil, 405},
		{"a service without hosts", func(*meBrowser) {}, "POST", url.Values{"service": {"internal"}}, 404},
		{"an unknown service", func(*meBrowser) {}, "POST", url.Values{"service": {"other"}}, 404},
		{"a host in place of a service", func(*meBrowser) {}, "POST", url.Values{"service": {"registry.corp.example"}}, 404},
		{"no service", func(*meBrowser) {}, "POST", url.Values{}, 404},
		{"no form", func(*meBrowser) {}, "POST", nil, 400},
		{"a session that has ended", func(b *meBrowser) {
			_, err := s.sessions.Admin().Revoke(t.Context(), session.Selector{ID: b.ID}, "an operator")
			must(t, err)
		}, "POST", url.Values{"service": {"registry"}}, 401},
		{"a docker login as the cookie", func(b *meBrowser) {
			token, _, err := s.sessions.Issue(t.Context(), member("alice"), "registry", laptop)
			must(t, err)
			b.token = token
		}, "POST", url.Values{"service": {"registry"}}, 401},
	} {
		web := s.signIn(member("alice"))
		tc.change(web)
		r := web.do(tc.method, "/me/one-time", tc.form)
		if r.Status != tc.status || (tc.status == 200) != strings.Contains(string(r.Body), "sp_o_") {
			t.Errorf("%s: status %d, want %d\n%s", tc.name, r.Status, tc.status, text(string(r.Body)))
		}
		if record := web.visit.Record; tc.status != 200 && record.Err == nil {
			t.Errorf("%s: the record has no error: %+v", tc.name, record)
		}
	}
}
