package e2e

import (
	"encoding/base64"
	"net/url"
	"os"
	"path/filepath"
	"testing"
)

// TestSecretsAreFound searches files that do contain a secret. Without it, a
// search without finds would prove nothing.
func TestSecretsAreFound(t *testing.T) {
	const secret = `canary "pass" wörd`
	for name, text := range map[string]string{
		"in clear":            "level=debug password=" + secret,
		"in base64":           `{"header":"` + base64.StdEncoding.EncodeToString([]byte(secret)) + `"}`,
		"percent-encoded":     "GET /jwt/auth?password=" + url.QueryEscape(secret),
		"in JSON":             `{"password":"canary \"pass\" wörd"}`,
		"a token":             "token=sp_r_" + "0123456789abcdefghij",
		"a one-time password": "token=sp_o_" + "0123456789abcdefghij",
		"a cookie":            "Cookie: __Host-session=sp_w_" + "0123456789abcdefghij",
		"a code":              "GET /login/sso/callback?state=x&code=0123456789abcdefghij",
		"a verifier":          "grant_type=authorization_code&code_verifier=0123456789abcdefghij",
		"a JWT":               "eyJhbGciOiJub25lIn0.eyJzdWIiOiJyb290In0.x",
		"a header":            "Authorization: Basic YWxpY2U6c2VjcmV0",
		"a panic":             "panic: runtime error",
	} {
		s := secretSet{known: map[string]string{secret: "canary"}}
		dir := t.TempDir()
		must(t, os.WriteFile(filepath.Join(dir, "shorepass-1.log"), []byte(text), 0o600))
		finds, err := s.search(dir)
		must(t, err)
		if len(finds) == 0 {
			t.Errorf("%s: search finds nothing in %q, want a find", name, text)
		}
	}
}
