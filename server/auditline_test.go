package server_test

import (
	"flag"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"shorepass/server"
)

var update = flag.Bool("update", false, "write testdata/audit.golden anew")

// unsteady are the values of an audit line that differ from run to run.
var unsteady = []struct {
	value *regexp.Regexp
	name  string
}{
	{regexp.MustCompile(`"time":"[^"]+"`), `"time":"TIME"`},
	{regexp.MustCompile(`"request":"[^"]+"`), `"request":"REQUEST"`},
	{regexp.MustCompile(`"session":"[^"]+"`), `"session":"SESSION"`},
	{regexp.MustCompile(`"asked":\["session=[^"]+"\]`), `"asked":["session=SESSION"]`},
	{regexp.MustCompile(`"jti":"[^"]+"`), `"jti":"JTI"`},
	{regexp.MustCompile(`"duration":[0-9.e-]+`), `"duration":DURATION`},
}

// TestAuditLines compares whole lines byte for byte: names, order and form of
// the fields are what scripts and log collectors were written for.
func TestAuditLines(t *testing.T) {
	h := newHarness(t, server.AuditConfig{}).reload(t)
	tokens := h.loginAll(t)
	tokens["access"] = h.get(t, "service=blue", "alice", password).json["token"].(string)
	var lines strings.Builder
	for _, test := range []struct {
		name, method, path, form, basic string
	}{
		{"a login", "GET", "/jwt/auth", "account=alice client_id=docker offline_token=true service=blue scope=repository:team-blue/app:pull,push,delete", "ALICE:" + password},
		{"a login by POST", "POST", "/jwt/auth", "grant_type=password client_id=containerd service=blue username=bob password=" + password, ""},
		{"a refresh token", "POST", "/jwt/auth", "grant_type=refresh_token service=blue scope=repository:public/app:pull refresh_token=a1", ""},
		{"a personal access token", "GET", "/jwt/auth", "service=blue account=bob", "bob:ap"},
		{"anonymous, granted", "GET", "/jwt/auth", "service=blue account=alice scope=repository:public/app:pull", ""},
		{"anonymous, refused", "GET", "/jwt/auth", "service=blue scope=repository:team-blue/app:pull", ""},
		{"denied", "GET", "/jwt/auth", "service=blue scope=repository:team-red/app:pull,push", "alice:" + password},
		{"a wrong password", "GET", "/jwt/auth", "service=blue scope=repository:team-blue/app:pull", "alice:wrong"},
		{"another account", "GET", "/jwt/auth", "service=blue account=bob", "alice:" + password},
		{"a token of another service", "GET", "/jwt/auth", "service=red", ":a1"},
		{"an unknown service", "GET", "/jwt/auth", "service=green", "alice:" + password},
		{"a token in place of a name", "GET", "/jwt/auth", "service=blue", "sp_r_0123456789:" + password},
		{"malformed", "GET", "/jwt/auth", "service=blue access_type=%ff", "alice:" + password},
		{"introspection of a session", "POST", "/oauth/introspect", "token=b1 client_id=script", "carol:" + password},
		{"introspection of an access token", "POST", "/oauth/introspect", "token=access", "carol:" + password},
		{"introspection of neither", "POST", "/oauth/introspect", "token=other", "carol:" + password},
		{"introspection by a person", "POST", "/oauth/introspect", "token=b1", ":a1"},
		{"revocation by the holder", "POST", "/oauth/revoke", "token=a2 client_id=script", ""},
		{"revocation of one's own session", "POST", "/oauth/revoke", "session=ap", "alice:" + password},
		{"revocation by an operator", "POST", "/oauth/revoke", "user=bob older_than=30d", "carol:" + password},
		{"anonymous revocation", "POST", "/oauth/revoke", "user=bob", ""},
	} {
		before := h.audit.text.Len()
		h.do(t, h.request(t, tokens, test.method, test.path, test.form, test.basic))
		lines.WriteString("# " + test.name + "\n" + steady(h.audit.text.String()[before:]))
	}
	const golden = "testdata/audit.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(lines.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(lines.String(), "\n")); diff != "" {
		t.Errorf("the audit lines differ (-want +got):\n%s", diff)
	}
}

func steady(line string) string {
	for _, u := range unsteady {
		line = u.value.ReplaceAllString(line, u.name)
	}
	return line
}

// request makes a request with its parameters in the query or in the form, as
// its method has it.
func (h *harness) request(t *testing.T, tokens tokenSet, method, path, params, basic string) *http.Request {
	t.Helper()
	form := tokens.form(params)
	if token, ok := tokens[form.Get("refresh_token")]; ok {
		form.Set("refresh_token", token)
	}
	encoded := strings.ReplaceAll(form.Encode(), "%25ff", "%ff") // no UTF-8
	url, body := h.URL+path, encoded
	if method == http.MethodGet {
		url, body = url+"?"+encoded, ""
	}
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("User-Agent", "test/1")
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if userPassword := tokens.basic(basic); userPassword != nil {
		req.SetBasicAuth(userPassword[0], userPassword[1])
	}
	return req
}
