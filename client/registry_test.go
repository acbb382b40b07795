package client

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"shorepass/registry"
)

func TestParseRegistry(t *testing.T) {
	for address, want := range map[string]string{
		"https://registry.corp.example":      "https://registry.corp.example",
		"https://registry.corp.example/":     "https://registry.corp.example",
		"https://registry.corp.example/v2/":  "https://registry.corp.example",
		"http://localhost:5000":              "http://localhost:5000",
		"registry.corp.example":              "https://registry.corp.example",
		"registry.corp.example:5000":         "https://registry.corp.example:5000",
		"[::1]:5000":                         "https://[::1]:5000",
		"":                                   "",
		"https://":                           "",
		"ftp://registry.corp.example":        "",
		"https://registry.corp.example/team": "",
		"https://u:p@registry.corp.example":  "",
		"https://registry.corp.example?x":    "",
		"registry corp":                      "",
		"registry.corp.example/team/app:1":   "",
	} {
		got, err := ParseRegistry(address)
		if (err != nil) != (want == "") || err == nil && got.String() != want {
			t.Errorf("ParseRegistry(%q) = %v, %v, want %q", address, got, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "u:p@") {
			t.Errorf("ParseRegistry(%q): the error shows the password: %v", address, err)
		}
	}
}

// TestDiscover: the kind of a registry by its answer, and what an answer without a Bearer
// challenge means.
func TestDiscover(t *testing.T) {
	for _, tt := range []struct {
		name    string
		status  int
		headers http.Header
		body    string
		kind    string
		want    error
		text    string
	}{
		{"distribution 2.8", 401, http.Header{"Www-Authenticate": {`Bearer realm="x",service="y"`}, "Content-Type": {"application/json; charset=utf-8"}}, "", registry.Distribution2, nil, ""},
		{"distribution 3", 401, http.Header{"Www-Authenticate": {`Bearer realm="x",service="y"`}, "Content-Type": {"application/json"}}, "", registry.Distribution3, nil, ""},
		{"GitLab's registry", 401, http.Header{"Www-Authenticate": {`Bearer realm="x",service="y"`}, "Gitlab-Container-Registry-Version": {"4.29.0-gitlab"}}, "", registry.GitLab, nil, ""},
		{"zot", 401, http.Header{"Www-Authenticate": {`Bearer realm="x",service="y",scope=""`}, "Content-Type": {"application/json"}}, "", registry.Zot, nil, ""},
		{"Basic beside Bearer", 401, http.Header{"Www-Authenticate": {`Basic realm="r"`, `Bearer realm="x",service="y"`}, "Content-Type": {"application/json"}}, "", registry.Distribution3, nil, ""},
		{"Basic", 401, http.Header{"Www-Authenticate": {`Basic realm="r"`}}, "", "", ErrNoToken, "for a password"},
		{"open", 200, http.Header{"Docker-Distribution-Api-Version": {"registry/2.0"}}, "{}", "", ErrNoToken, "lets everyone in"},
		{"a web site", 200, nil, "<html>", "", ErrNoRegistry, "200 OK"},
		{"nothing at /v2/", 404, nil, "", "", ErrNoRegistry, "404 Not Found"},
		{"a redirect", 301, http.Header{"Location": {"https://elsewhere.example/v2/"}}, "", "", ErrNoRegistry, "https://elsewhere.example/v2/"},
		{"a broken proxy", 502, nil, "", "", ErrNoRegistry, "502"},
		{"shorepass", 401, http.Header{"Www-Authenticate": {`Bearer realm="x",service="y"`}}, `{"errors":[{"code":"UNAUTHORIZED"}],"error":"invalid_grant"}`, "", ErrNoRegistry, "but shorepass"},
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			for name, values := range tt.headers {
				w.Header()[name] = values
			}
			w.WriteHeader(tt.status)
			w.Write([]byte(tt.body))
		}))
		origin, err := url.Parse(s.URL)
		if err != nil {
			t.Fatal(err)
		}
		r, err := Discover(t.Context(), origin)
		s.Close()
		switch {
		case tt.want == nil && (err != nil || r.Kind != tt.kind || r.Realm() != "x" || r.Service() != "y"):
			t.Errorf("%s: %+v, %v, want a %s", tt.name, r, err, tt.kind)
		case tt.want != nil && (!errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.text)):
			t.Errorf("%s: %v, want %v with %q", tt.name, err, tt.want, tt.text)
		}
	}
}

// TestSkew: a Date in whole seconds, written at some time of the request, proves a skew
// only beyond both.
func TestSkew(t *testing.T) {
	sent := time.Date(2026, 11, 27, 1, 0, 0, 400e6, time.UTC)
	received := sent.Add(200 * time.Millisecond)
	for date, want := range map[time.Time]time.Duration{
		sent.Truncate(time.Second):                        0,
		sent.Truncate(time.Second).Add(-time.Second):      -400 * time.Millisecond,
		sent.Truncate(time.Second).Add(time.Second):       400 * time.Millisecond,
		sent.Truncate(time.Second).Add(time.Minute):       time.Minute - 600*time.Millisecond,
		sent.Truncate(time.Second).Add(-61 * time.Second): -time.Minute - 400*time.Millisecond,
	} {
		if got := skew(date, sent, received); got != want {
			t.Errorf("skew(%v) = %v, want %v", date, got, want)
		}
	}
}
