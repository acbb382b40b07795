package e2e

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// TestBadInput: each malformed or refused request gets a clear error in the
// protocol's form, and never a 5xx.
func TestBadInput(t *testing.T) {
	t.Parallel()
	s := newServer(t, options{})
	alice := testUsers()["alice"]
	good := basic("alice", alice.password)
	login := "service=" + service
	raw := func(text string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(text)) }
	ask := func(query string, authorization ...string) func(*testing.T) answer {
		return func(t *testing.T) answer { return s.send(t, http.MethodGet, "/jwt/auth?"+query, authorization, "", "") }
	}
	form := func(body string) func(*testing.T) answer {
		return func(t *testing.T) answer {
			return s.send(t, http.MethodPost, "/jwt/auth", nil, "application/x-www-form-urlencoded", body)
		}
	}
	password := func(user, password string) func(*testing.T) answer {
		return form(url.Values{"grant_type": {"password"}, "service": {service}, "username": {user}, "password": {password}}.Encode())
	}
	refresh := func(token string) func(*testing.T) answer {
		return form(url.Values{"grant_type": {"refresh_token"}, "service": {service}, "refresh_token": {token}}.Encode())
	}
	scopes := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "&scope=repository:a/b%d:pull", i)
		}
		return b.String()
	}
	forged := "sp_r_" + strings.Repeat("A", 43)

	const malformed, refused = "invalid_request", "invalid_grant"
	for _, tc := range []struct {
		name   string
		ask    func(*testing.T) answer
		status int
		oauth  string
		says   string // part of the sentence
	}{
		{"no credentials and no scope", ask(login), 401, refused, "log in"},
		{"anonymous, nothing granted", ask(login + "&scope=repository:team-alpha/x:pull"), 401, refused, "log in"},
		{"Basic that is not base64", ask(login, "Basic !!!"), 400, malformed, "base64"},
		{"Basic without a colon", ask(login, raw("alice")), 400, malformed, "colon"},
		{"empty Authorization", ask(login, ""), 400, malformed, "Basic"},
		{"Basic with nothing", ask(login, "Basic "), 400, malformed, ""},
		{"another scheme", ask(login, "Bearer abc"), 400, malformed, "Basic"},
		{"two Authorization headers", ask(login, good, good), 400, malformed, "more than one"},
		{"wrong password", ask(login, raw("alice:wrong-wrong")), 401, refused, incorrect},
		{"unknown user", ask(login, raw("nobody:wrong-wrong")), 401, refused, incorrect},
		{"empty password", ask(login, raw("alice:")), 401, refused, incorrect},
		{"empty user and password", ask(login, raw(":")), 401, refused, incorrect},
		{"empty user", ask(login, raw(":"+alice.password)), 401, refused, incorrect},
		{"a password of blanks", ask(login, raw("bob:   ")), 401, refused, incorrect},
		{"a password of NUL", password("eve", "\x00"), 401, refused, incorrect},
		{"password that is not UTF-8", ask(login, raw("alice:\xff\xfe")), 400, malformed, "UTF-8"},
		{"password of 1 MiB", password("alice", strings.Repeat("x", 1<<20)), 400, malformed, ""},
		{"password of 64 kB", password("root", strings.Repeat("x", 64<<10)), 401, refused, incorrect},
		{"user name that is not UTF-8", ask(login, raw("ali\xffce:secret-x")), 400, malformed, "user name"},
		{"user name with NUL", ask(login, raw("ali\x00ce:secret-x")), 400, malformed, "user name"},
		{"user name with a line break", ask(login, raw("alice\nroot:secret-x")), 400, malformed, "user name"},
		{"user name that is too long", password(strings.Repeat("a", 5000), "secret-x"), 400, malformed, "user name"},
		{"filter characters", ask(login, raw("*)(uid=*:secret-x")), 401, refused, incorrect},
		{"a star as the name", ask(login, raw("*:secret-x")), 401, refused, incorrect},
		{"DN characters", ask(login, raw(`CN=Doe\, J,ou=x+a="b"#:secret-x`)), 401, refused, incorrect},
		{"a domain and a name", ask(login, raw(`CORP\alice:secret-x`)), 401, refused, incorrect},
		{"an odd name", ask(login, raw("o(brien:secret-x")), 401, refused, incorrect},
		{"a name that tools make up", ask(login, raw("<token>:secret-x")), 401, refused, incorrect},
		{"unknown service", ask("service=another", good), 400, malformed, "service"},
		{"unknown service, anonymous", ask("service=another&scope=repository:public/x:pull"), 400, malformed, "service"},
		{"two services", ask(login+"&"+login, good), 400, malformed, "service"},
		{"another account parameter", ask(login+"&account=root", good), 400, malformed, "account"},
		{"a percent sign without digits", ask(login+"&scope=%zz", good), 400, malformed, "query"},
		{"semicolon in the query", ask(login+"&a=b;c=d", good), 400, malformed, "query"},
		{"9,000 scopes", ask(login+strings.Repeat("&scope=r:a:p", 9_000), good), 400, malformed, "scopes"},
		{"10,000 scopes", ask(login+strings.Repeat("&scope=r:a:p", 10_000), good), 400, malformed, ""},
		{"10,000 scopes of 300 KB", ask(login+scopes(10_000), good), 400, malformed, ""},
		{"9,000 scopes of 300 KB", ask(login+scopes(9_000), good), 400, malformed, "scopes"},
		{"password of 1 MiB in a header", ask(login, raw("root:"+strings.Repeat("x", 1<<20))), 401, refused, incorrect},
		{"10,000 scopes in a form", form("grant_type=password&service=" + service + "&username=alice&password=x" + scopes(10_000)), 400, malformed, ""},
		{"257 scopes", ask(login+scopes(257), good), 400, malformed, "scopes"},
		{"a form without a grant", form("service=" + service), 400, malformed, "grant_type"},
		{"an unknown grant", form("grant_type=client_credentials&service=" + service), 400, "unsupported_grant_type", "grant_type"},
		{"a malformed form", form("grant_type=password&username=%zz"), 400, malformed, "form"},
		{"a grant twice", form("grant_type=password&grant_type=refresh_token"), 400, malformed, "grant_type"},
		{"a password twice", form("grant_type=password&service=" + service + "&username=alice&password=a&password=b"), 400, malformed, "password"},
		{"JSON", func(t *testing.T) answer {
			return s.send(t, http.MethodPost, "/jwt/auth", nil, "application/json", `{"grant_type":"password"}`)
		}, 400, malformed, "Content-Type"},
		{"no Content-Type", func(t *testing.T) answer {
			return s.send(t, http.MethodPost, "/jwt/auth", nil, "", "grant_type=password")
		}, 400, malformed, "Content-Type"},
		{"an empty refresh token", refresh(""), 401, refused, "log in"},
		{"an unknown refresh token", refresh(forged), 401, refused, "log in"},
		{"a garbled refresh token", refresh("sp_r_garbled"), 401, refused, "log in"},
		{"a password as a refresh token", refresh(alice.password), 401, refused, "log in"},
		{"a JWT as a refresh token", refresh("eyJhbGciOiJub25lIn0.eyJzdWIiOiJyb290In0."), 401, refused, "log in"},
		{"an unknown token as the password", ask(login, raw("alice:"+forged)), 401, refused, incorrect},
		{"an unknown robot's token", ask(login, raw("alice:sp_b_"+forged[5:])), 401, refused, incorrect},
		{"a JWT as the password", ask(login, raw("alice:eyJhbGciOiJub25lIn0.eyJzdWIiOiJyb290IiwiaXNzIjoiaHR0cHM6Ly94In0.")), 401, refused, incorrect},
		{"$refresh with an unknown token", ask(login, raw("$refresh:secret-x")), 401, refused, incorrect},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := tc.ask(t)
			if a.Status != tc.status || a.Error != tc.oauth || !strings.Contains(a.ErrorDescription, tc.says) {
				t.Fatalf("answer = %.300v\nwant %d, %s and a sentence with %q", a, tc.status, tc.oauth, tc.says)
			}
			checkError(t, a)
		})
	}

	t.Run("every failed login gets the same answer", func(t *testing.T) {
		want := ask(login, raw("alice:wrong-wrong"))(t).Raw
		for _, credentials := range []string{"nobody:wrong-wrong", "alice:", ":x", "$oidc:x", "*:x", "alice:" + forged} {
			if got := ask(login, raw(credentials))(t).Raw; got != want {
				t.Errorf("answer to %q = %s\nwant %s", credentials, got, want)
			}
		}
	})
	t.Run("a right login afterwards", func(t *testing.T) {
		if a := ask(login, good)(t); a.Status != http.StatusOK {
			t.Errorf("answer = %v, want 200", a)
		}
	})
}

// send sends a request without changing it.
func (s *server) send(t *testing.T, method, path string, authorization []string, contentType, body string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.url+path, strings.NewReader(body))
	must(t, err)
	if len(authorization) > 0 {
		r.Header["Authorization"] = authorization
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	return do(t, r)
}

// checkError checks that an error has the form that every client reads.
func checkError(t *testing.T, a answer) {
	t.Helper()
	checkHeaders(t, a)
	code := map[int]string{400: "UNSUPPORTED", 401: "UNAUTHORIZED", 429: "TOOMANYREQUESTS", 503: "UNAVAILABLE"}[a.Status]
	if len(a.Errors) != 1 || a.Errors[0].Code != code || a.Errors[0].Message != a.ErrorDescription {
		t.Errorf("errors = %+v, want one with code %s and the message of error_description", a.Errors, code)
	}
	if want := a.ErrorDescription; (a.Status == 401) != (a.Details == want) {
		t.Errorf("details = %q, want it at 401 only", a.Details)
	}
	if challenge := a.Header.Get("WWW-Authenticate"); strings.Contains(challenge, "Bearer") {
		t.Errorf("WWW-Authenticate = %q, want no Bearer challenge", challenge)
	}
	if retry := a.Header.Get("Retry-After"); (a.Status == 429 || a.Status == 503) != (retry != "") {
		t.Errorf("Retry-After = %q at %d", retry, a.Status)
	}
}

// TestUnusualRequestsAreAnswered: requests in unusual but valid forms get a
// token.
func TestUnusualRequestsAreAnswered(t *testing.T) {
	t.Parallel()
	s := newServer(t, options{server: `paths = ["/jwt/auth", "/token", "/auth", "/auth/token"]`})
	alice := testUsers()["alice"]
	good := basic("alice", alice.password)
	grant := url.Values{"grant_type": {"password"}, "service": {service}, "username": {"alice"}, "password": {alice.password}}
	ask := func(query string, authorization ...string) func(*testing.T) answer {
		return func(t *testing.T) answer { return s.send(t, http.MethodGet, "/jwt/auth?"+query, authorization, "", "") }
	}
	const team = "repository:team-alpha/x:"
	for _, tc := range []struct {
		name    string
		ask     func(*testing.T) answer
		granted string
	}{
		{"no service parameter, one service", ask("scope="+team+"pull", good), team + "pull"},
		{"an empty scope", ask("service="+service+"&scope=", good), ""},
		{"scopes repeated", ask("service="+service+"&scope="+team+"pull&scope="+team+"push", good), team + "pull,push"},
		{"scopes joined", ask("service="+service+"&scope="+team+"pull+repository:public/y:pull,push", good), team + "pull repository:public/y:pull"},
		{"malformed scopes are ignored", ask("service="+service+"&scope=repository::pull+x+Repository:a:pull+"+team+"pull", good), team + "pull"},
		{"a denied scope is left out", ask("service="+service+"&scope=repository:team-beta/x:pull&scope="+team+"pull", good), team + "pull"},
		{"a path with two dots", ask("service="+service+"&scope=repository:team-alpha/../root/x:pull", good), ""},
		{"* is expanded", ask("service="+service+"&scope="+team+"*", good), team + "pull,push,delete"},
		{"256 scopes", ask("service="+service+strings.Repeat("&scope=repository:public/y:pull", 256), good), "repository:public/y:pull"},
		{"anonymous", ask("service=" + service + "&scope=repository:public/y:pull,push"), "repository:public/y:pull"},
		{"an account without credentials", ask("service=" + service + "&account=alice&scope=repository:public/y:pull"), "repository:public/y:pull"},
		{"the name in upper case, with blanks", ask("service="+service+"&account=ALICE&scope="+team+"pull", basic(" ALICE ", alice.password)), team + "pull"},
		{"the scheme in lower case", ask("service="+service+"&scope="+team+"pull", strings.Replace(good, "Basic", "basic", 1)), team + "pull"},
		{"a Content-Type with a charset", func(t *testing.T) answer {
			return s.send(t, http.MethodPost, "/jwt/auth", nil, "application/x-www-form-urlencoded; charset=utf-8", grant.Encode()+"&scope="+team+"pull")
		}, team + "pull"},
		{"a chunked body", func(t *testing.T) answer {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/jwt/auth", struct{ *strings.Reader }{strings.NewReader(grant.Encode() + "&scope=" + team + "pull")})
			must(t, err)
			r.ContentLength = -1
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			return do(t, r)
		}, team + "pull"},
		{"/token", func(t *testing.T) answer {
			return s.send(t, http.MethodGet, "/token?service="+service+"&scope="+team+"pull", []string{good}, "", "")
		}, team + "pull"},
		{"/auth", func(t *testing.T) answer {
			return s.send(t, http.MethodGet, "/auth?service="+service+"&scope="+team+"pull", []string{good}, "", "")
		}, team + "pull"},
		{"/auth/token", func(t *testing.T) answer {
			return s.send(t, http.MethodPost, "/auth/token", nil, "application/x-www-form-urlencoded", grant.Encode()+"&scope="+team+"pull")
		}, team + "pull"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := tc.ask(t)
			if a.Status != http.StatusOK {
				t.Fatalf("answer = %v, want 200", a)
			}
			checkToken(t, a)
			if got := a.granted(t); got != tc.granted {
				t.Errorf("granted = %q, want %q", got, tc.granted)
			}
			if a.RefreshToken != "" {
				t.Error("the answer has a refresh token without a request for one")
			}
		})
	}
}

// TestOtherMethodsAndPaths: other methods are refused, and paths that resemble
// the endpoint's are answered or are 404. None redirects, because a client that
// follows a redirect leaks its credentials or loses them.
func TestOtherMethodsAndPaths(t *testing.T) {
	t.Parallel()
	s := newServer(t, options{})
	root := testUsers()["root"]
	good := []string{basic("root", root.password)}
	for _, tc := range []struct {
		method, path string
		status       int
	}{
		{http.MethodPut, "/jwt/auth", 405},
		{http.MethodDelete, "/jwt/auth", 405},
		{http.MethodPatch, "/jwt/auth", 405},
		{http.MethodGet, "/jwt/auth/", 200},
		{http.MethodGet, "//jwt/auth", 200},
		{http.MethodGet, "/jwt//auth", 200},
		{http.MethodGet, "/JWT/AUTH", 404},
		{http.MethodGet, "/token", 404},
		{http.MethodGet, "/", 404},
	} {
		a := s.send(t, tc.method, tc.path+"?service="+service, good, "", "")
		if a.Status != tc.status || (a.Status != http.StatusOK && a.AccessToken != "") {
			t.Errorf("%s %s = %v, want %d", tc.method, tc.path, a, tc.status)
		}
	}
	// A request header over the limit is refused before it is read whole.
	if a := s.send(t, http.MethodGet, "/jwt/auth?service="+service+strings.Repeat("&scope=repository:a/b:pull", 100_000), good, "", ""); a.Status != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("a query of 2.6 MB = %v, want 431", a)
	}
}
