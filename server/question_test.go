package server

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"shorepass/providers"
)

func basic(pair string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(pair))
}

func TestParseGet(t *testing.T) {
	for _, test := range []struct {
		name   string
		query  string
		auth   []string
		login  string
		secret string
		kind   credentialKind
		status int // of the error, 0 for none
	}{
		{"docker login", "account=root&client_id=docker&offline_token=true&service=s", []string{basic("root:pw")}, "root", "pw", kindSecret, 0},
		{"no credential", "service=s", nil, "", "", kindAnonymous, 0},
		{"account without Basic is anonymous", "service=s&account=root", nil, "", "", kindAnonymous, 0},
		{"a colon in the password", "", []string{basic("a:b:c")}, "a", "b:c", kindSecret, 0},
		{"an odd name", "", []string{basic("JOSÉ :pw")}, "JOSÉ", "pw", kindSecret, 0},
		{"a bare token", "", []string{basic(":sp_r_x")}, "", "sp_r_x", kindSecret, 0},
		{"lower case scheme", "", []string{strings.Replace(basic("a:b"), "Basic", "basic", 1)}, "a", "b", kindSecret, 0},
		{"an empty header", "", []string{""}, "", "", kindAnonymous, 400},
		{"Basic without credentials", "", []string{"Basic "}, "", "", kindAnonymous, 400},
		{"not base64", "", []string{"Basic !!!"}, "", "", kindAnonymous, 400},
		{"no colon", "", []string{basic("root")}, "", "", kindAnonymous, 400},
		{"Bearer", "", []string{"Bearer abc"}, "", "", kindAnonymous, 400},
		{"two headers", "", []string{basic("a:b"), basic("c:d")}, "", "", kindAnonymous, 400},
		{"NUL in the name", "", []string{basic("ro\x00ot:pw")}, "", "", kindAnonymous, 400},
		{"a name that is not UTF-8", "", []string{basic("r\xff:pw")}, "", "", kindAnonymous, 400},
		{"a password that is not UTF-8", "", []string{basic("root:\xff\xfe")}, "", "", kindAnonymous, 400},
		{"a broken escape", "service=%zz", nil, "", "", kindAnonymous, 400},
		{"a semicolon", "service=a;b=c", nil, "", "", kindAnonymous, 400},
		{"service twice", "service=a&service=b", nil, "", "", kindAnonymous, 400},
		{"service that is not UTF-8", "service=%ff", nil, "", "", kindAnonymous, 400},
		{"10,000 scopes", strings.Repeat("scope=repository:a:pull&", 10_000), nil, "", "", kindAnonymous, 400},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/jwt/auth", nil)
			r.URL.RawQuery = test.query
			if test.auth != nil {
				r.Header["Authorization"] = test.auth
			}
			checkQuestion(t, r, test.kind, test.login, test.secret, test.status)
		})
	}
}

func TestParsePost(t *testing.T) {
	const form = "application/x-www-form-urlencoded"
	for _, test := range []struct {
		name   string
		kind   string
		body   string
		login  string
		secret string
		want   credentialKind
		status int
	}{
		{"a password", form, "grant_type=password&service=s&username=root&password=p%26w", "root", "p&w", kindSecret, 0},
		{"with a charset", form + "; charset=utf-8", "grant_type=password&username=a&password=b", "a", "b", kindSecret, 0},
		{"a refresh token", form, "grant_type=refresh_token&refresh_token=sp_r_x&service=s", "", "sp_r_x", kindRefresh, 0},
		{"no grant", form, "service=s", "", "", kindAnonymous, 400},
		{"an unknown grant", form, "grant_type=client_credentials", "", "", kindAnonymous, 400},
		{"JSON", "application/json", "{}", "", "", kindAnonymous, 400},
		{"no type", "", "grant_type=password", "", "", kindAnonymous, 400},
		{"a broken form", form, "grant_type=%zz", "", "", kindAnonymous, 400},
		{"grant twice", form, "grant_type=password&grant_type=password", "", "", kindAnonymous, 400},
		{"a body that is too long", form, "password=" + strings.Repeat("a", maxBody), "", "", kindAnonymous, 400},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodPost, "/jwt/auth", strings.NewReader(test.body))
			r.Header.Set("Content-Type", test.kind)
			checkQuestion(t, r, test.want, test.login, test.secret, test.status)
		})
	}
}

func checkQuestion(t *testing.T, r *http.Request, kind credentialKind, login, secret string, status int) {
	t.Helper()
	q, err := parseQuestion(httptest.NewRecorder(), r)
	if status != 0 {
		if err == nil {
			t.Fatalf("parseQuestion = %+v, want an error", q)
		}
		if got := new(Generation).wireError(err).status; got != status {
			t.Errorf("parseQuestion: status %d (%v), want %d", got, err, status)
		}
		return
	}
	if err != nil {
		t.Fatalf("parseQuestion: %v", err)
	}
	got := q.credential
	if got.kind != kind || string(got.login) != login || got.secret.Reveal() != secret {
		t.Errorf("parseQuestion = kind %v, login %q, secret %q; want %v, %q, %q", got.kind, got.login, got.secret.Reveal(), kind, login, secret)
	}
}

func TestAccountMustBeTheBasicUser(t *testing.T) {
	for account, wrong := range map[string]bool{"": false, "root": false, "ROOT ": false, "admin": true, "ro\x00ot": true} {
		c := &credential{kind: kindSecret, login: "root", account: account}
		if err := c.checkAccount(); (err != nil) != wrong {
			t.Errorf("checkAccount with account %q: %v, want an error: %v", account, err, wrong)
		}
	}
}

// FuzzQuestion: any input is either parsed to a consistent question or a 400.
func FuzzQuestion(f *testing.F) {
	f.Add("service=s&scope=repository:a:pull&account=a", "Basic YTpi", "")
	f.Add("offline_token=true", "", "grant_type=password&username=a&password=b")
	f.Add("%zz", "Basic ====", "grant_type=refresh_token")
	f.Fuzz(func(t *testing.T, query, auth, body string) {
		get := &http.Request{Method: http.MethodGet, URL: &url.URL{RawQuery: query}, Header: http.Header{}}
		if auth != "" {
			get.Header["Authorization"] = []string{auth}
		}
		post := httptest.NewRequest(http.MethodPost, "/jwt/auth", strings.NewReader(body))
		post.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for _, r := range []*http.Request{get, post} {
			q, err := parseQuestion(httptest.NewRecorder(), r)
			if err != nil {
				if status := new(Generation).wireError(err).status; status != http.StatusBadRequest {
					t.Fatalf("%s: status %d for %v", r.Method, status, err)
				}
				continue
			}
			if auth != "" && r == get && q.credential.kind == kindAnonymous {
				t.Fatalf("a header %q became anonymous", auth)
			}
			if again, err := providers.ParseLogin(string(q.credential.login)); err != nil || again != q.credential.login {
				t.Fatalf("the login %q is not in normal form: %q, %v", q.credential.login, again, err)
			}
		}
	})
}
