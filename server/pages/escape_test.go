package pages

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"shorepass/session"
)

// odd are texts that would do harm in HTML, in an attribute, in a URL, in a template or in a
// format. Some would at the beginning of a text alone. Each is no longer than a label.
var odd = []string{
	`javascript:alert(1)<script>alert(1)</script><!--]]>"><img src=x onerror=alert(1)>`,
	`//evil.example/"><b>'><b>" onmouseover="alert(1)</textarea><h1></code></pre><h1>`,
	`\\evil.example</title><h1>&lt;script&gt;&#60;b&#62;+/v8-ADw-script-AD4-$&`,
	`?service=other&x=1#y{{.Data}}{{template "time"}}%s%d` + "`${alert(1)}`",
}

// TestEscape: what people, clients and directories choose is text, wherever a page shows it.
func TestEscape(t *testing.T) {
	t.Parallel()
	for _, text := range odd {
		s := newMeSite(t)
		s.options.Contact, s.options.Config.Name = text, text
		s.options.Services = append(s.options.Services, Service{Name: text, Hosts: []string{text, text}})
		id := member(text)
		id.Groups = append(id.Groups, text)
		web := s.signIn(id)
		client := session.Client{ID: text, UserAgent: text + "/1", LoginName: text}
		_, _, err := s.sessions.Issue(t.Context(), id, text, client)
		must(t, err)
		_, ended, err := s.sessions.Issue(t.Context(), id, text, client)
		must(t, err)
		_, err = s.sessions.Admin().Revoke(t.Context(), session.Selector{ID: ended.ID}, text)
		must(t, err)
		found, err := s.sessions.Redeem(t.Context(), web.token, "", laptop, session.KindBrowser)
		must(t, err)
		_, err = s.sessions.IssuePAT(t.Context(), found, session.PAT{Label: text, Limits: `{"repositories":["x"]}`}, client)
		must(t, err)
		_, err = s.sessions.IssuePAT(t.Context(), found, session.PAT{Label: text, Limits: text}, client)
		must(t, err)

		form := url.Values{"name": {text}, "service": {text}, "repositories": {text}, "lifetime": {text}, "date": {text}, "session": {text}, text: {text}}
		good := url.Values{"name": {text}, "service": {text}, "pull": {text}, "lifetime": {"7d"}}
		for _, visit := range []struct {
			method, path string
			form         url.Values
			status       int
		}{
			{"GET", "/me", nil, 200},
			{"GET", "/me?page=" + url.QueryEscape(text), nil, 200},
			{"GET", "/me/revoke?session=others", nil, 200},
			{"GET", "/me/revoke?session=" + url.QueryEscape(text), nil, 404},
			{"GET", "/me/new-token?service=" + url.QueryEscape(text) + "&name=" + url.QueryEscape(text), nil, 200},
			{"POST", "/me/new-token", form, 400},
			{"POST", "/me/new-token", good, 200},
			{"POST", "/me/one-time", good, 200},
			{"POST", "/me/revoke", form, 303},
			{"GET", "/me/" + url.PathEscape(text), nil, 404},
		} {
			r := web.do(visit.method, visit.path, visit.form)
			if braces := strings.Contains(text, "{"); r.Status != visit.status && !(braces && visit.method == "POST") { // no glob has them
				t.Errorf("%q: %s %s: status %d, want %d\n%s", text, visit.method, visit.path, r.Status, visit.status, r.Body)
			}
			checkEscaped(t, text, visit.method+" "+visit.path, r)
		}
	}
}

// checkEscaped checks that a page has only the elements and attributes of its template.
func checkEscaped(t *testing.T, text, visit string, r *Response) {
	t.Helper()
	page := string(r.Body)
	if r.Status == http.StatusSeeOther {
		if r.Location != "/me" {
			t.Errorf("%q: %s leads to %q", text, visit, r.Location)
		}
		return
	}
	if err := checkHTML(r.Body); err != nil {
		t.Errorf("%q: %s: %v\n%s", text, visit, err, page)
	}
	for _, unwanted := range []string{"<script>", "<img src=x", "<b>", "onmouseover=\"", "ZgotmplZ", "%!", "href=\"javascript", "href=\"//", "<!--"} {
		if strings.Contains(page, unwanted) {
			t.Errorf("%q: %s has %q\n%s", text, visit, unwanted, page)
		}
	}
	if n := strings.Count(page, "<h1>"); n != 1 {
		t.Errorf("%q: %s has %d headings", text, visit, n)
	}
}
