package oidctest

import (
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// Browser is the browser of a person, with cookies: it fills the pages of a [Server] as
// the person does. It is not safe for concurrent use.
type Browser struct {
	Login, Password string // fill the login page

	tb     testing.TB
	client *http.Client
}

// NewBrowser returns a browser without cookies.
func NewBrowser(tb testing.TB, login, password string) *Browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		tb.Fatal(err)
	}
	return &Browser{Login: login, Password: password, tb: tb, client: &http.Client{
		Jar:           jar,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// SignIn opens an authorization URL, logs in and consents where it is asked, and returns
// where the provider sends the browser back to, which it does not open.
func (b *Browser) SignIn(authorizationURL string) *url.URL {
	b.tb.Helper()
	return b.walk(authorizationURL, "continue")
}

// Cancel opens an authorization URL and cancels at the first page that asks.
func (b *Browser) Cancel(authorizationURL string) *url.URL {
	b.tb.Helper()
	return b.walk(authorizationURL, "cancel")
}

// LogOut opens a logout URL, confirms, and returns where the provider sends the browser
// back to, or nil if it does not.
func (b *Browser) LogOut(logoutURL string) *url.URL {
	b.tb.Helper()
	return b.walk(logoutURL, "continue")
}

// Open requests a URL and returns the status and the page. It follows no redirect.
func (b *Browser) Open(address string) (int, string) {
	b.tb.Helper()
	resp, page := b.do(http.MethodGet, address, nil)
	return resp.StatusCode, page
}

// maxSteps is how many pages and redirects a walk may have.
const maxSteps = 20

// walk opens address and answers each form until a redirect leads to another host, or
// a page has no form.
func (b *Browser) walk(address, answer string) *url.URL {
	b.tb.Helper()
	method, form, loginPages := http.MethodGet, url.Values(nil), 0
	for range maxSteps {
		resp, page := b.do(method, address, form)
		at := resp.Request.URL
		if resp.StatusCode >= 300 && resp.StatusCode < 400 {
			next, err := at.Parse(resp.Header.Get("Location"))
			if err != nil {
				b.tb.Fatalf("%s redirects to no URL: %v", at, err)
			}
			if next.Host != at.Host {
				return next
			}
			method, address, form = http.MethodGet, next.String(), nil
			continue
		}
		action := formAction.FindStringSubmatch(page)
		if resp.StatusCode != http.StatusOK || action == nil {
			if resp.StatusCode == http.StatusOK && strings.Contains(page, "signed out") {
				return nil
			}
			b.tb.Fatalf("GET %s: %s without a form:\n%s", at, resp.Status, page)
		}
		if strings.Contains(page, `name="password"`) {
			if loginPages++; loginPages > 1 {
				b.tb.Fatalf("the OpenID provider refused the password of %s", b.Login)
			}
		}
		next, err := at.Parse(html.UnescapeString(action[1]))
		if err != nil {
			b.tb.Fatal(err)
		}
		method, address, form = http.MethodPost, next.String(), b.fill(page, answer)
	}
	b.tb.Fatalf("more than %d pages and redirects from %s", maxSteps, address)
	return nil
}

var (
	formAction  = regexp.MustCompile(`<form [^>]*action="([^"]*)"`)
	hiddenField = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)"`)
)

// fill returns the fields of the form on a page.
func (b *Browser) fill(page, answer string) url.Values {
	form := url.Values{}
	for _, field := range hiddenField.FindAllStringSubmatch(page, -1) {
		form.Set(field[1], html.UnescapeString(field[2]))
	}
	if strings.Contains(page, `name="answer"`) {
		form.Set("answer", answer)
	}
	if strings.Contains(page, `name="password"`) {
		form.Set("login", b.Login)
		form.Set("password", b.Password)
	}
	if strings.Contains(page, `name="logout" value="yes"`) {
		form.Set("logout", "yes")
	}
	return form
}

func (b *Browser) do(method, address string, form url.Values) (*http.Response, string) {
	b.tb.Helper()
	req, err := http.NewRequestWithContext(b.tb.Context(), method, address, strings.NewReader(form.Encode()))
	if err != nil {
		b.tb.Fatal(err)
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := b.client.Do(req)
	if err != nil {
		b.tb.Fatalf("the browser of %s: %v", b.Login, err)
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	if err != nil {
		b.tb.Fatalf("the browser of %s: %v", b.Login, err)
	}
	return resp, string(page)
}
