package e2e

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"shorepass/providers/oidc/oidctest"
)

// TestOpenIDEcho (A5) plays a provider that repeats whatever it was sent wherever
// it can. Logs and audit lines of every site are searched for secrets at the end
// of the run; those in hex are looked for here.
func TestOpenIDEcho(t *testing.T) {
	t.Parallel()
	i := oidctest.NewIssuer(t)
	clientSecret := secrets.keep("client secret of the echo", "echo-client-"+rand.Text())
	pass := secrets.password("echo")
	known := []string{clientSecret, pass}
	s := newSite(t, options{providers: fmt.Sprintf(`
[[provider]]
name = "sso"
kind = "oidc"
issuer = %q
client_id = "registry"
client_secret = %q
grants = ["password", "refresh_token"]
timeout = "1s"
`, i.URL, clientSecret)})

	for name, mode := range map[string]func(w http.ResponseWriter, echo string){
		"error":       func(w http.ResponseWriter, echo string) { echoJSON(w, 400, echo, echo) },
		"description": func(w http.ResponseWriter, echo string) { echoJSON(w, 400, "invalid_grant", echo) },
		"our client":  func(w http.ResponseWriter, echo string) { echoJSON(w, 401, "invalid_client", echo) },
		"outage":      func(w http.ResponseWriter, echo string) { http.Error(w, echo, http.StatusBadGateway) },
		"status line": func(w http.ResponseWriter, echo string) {
			echoRaw(w, "HTTP/1.1 400 "+echo+"\r\nContent-Length: 0\r\n\r\n", "")
		},
		"no HTTP": func(w http.ResponseWriter, echo string) { echoRaw(w, echo+"\r\n\r\n", "") },
		"unasked": func(w http.ResponseWriter, echo string) {
			echoRaw(w, "HTTP/1.1 400 No\r\nContent-Length: 25\r\n\r\n"+`{"error":"invalid_grant"}`, "HTTP/1.1 200 "+echo+"\r\n\r\n")
		},
	} {
		i.Replace(oidctest.TokenPath, func(w http.ResponseWriter, r *http.Request) { mode(w, echoOf(r)) })
		upstream := secrets.keep("refresh token of the echo", "echo-refresh-"+rand.Text())
		known = append(known, upstream)
		for _, login := range []string{basic("alice-"+strings.ReplaceAll(name, " ", "-"), pass), basic("$refresh:sso", upstream)} {
			if a := s.get(t, "service="+service+"&offline_token=true", login); a.Status != http.StatusUnauthorized && a.Status != http.StatusServiceUnavailable && a.Status != http.StatusTooManyRequests {
				t.Errorf("%s: answer = %v, want 401 or 503", name, a)
			}
		}
	}
	var written []byte
	for until := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		var err error
		written, err = os.ReadFile(s.server.log)
		must(t, err)
		if strings.Contains(string(written), "Unsolicited response received") {
			break
		}
		if time.Now().After(until) {
			t.Fatal("net/http did not report what was sent unasked, so nothing is shown by its absence")
		}
	}
	for _, secret := range known {
		if strings.Contains(string(written), hex.EncodeToString([]byte(secret))) {
			t.Errorf("the log holds a secret in hex")
		}
	}
}

// echoOf returns all that a request carried, in several encodings.
func echoOf(r *http.Request) string {
	_ = r.ParseForm()
	_, clientSecret, _ := r.BasicAuth()
	values := []string{r.Header.Get("Authorization"), clientSecret}
	for _, field := range r.PostForm {
		values = append(values, field...)
	}
	var all []string
	for _, value := range values {
		quoted, _ := json.Marshal(value)
		all = append(all, value, base64.StdEncoding.EncodeToString([]byte(value)), base64.RawURLEncoding.EncodeToString([]byte(value)),
			url.QueryEscape(value), string(quoted), hex.EncodeToString([]byte(value)))
	}
	return strings.Join(all, " ")
}

func echoJSON(w http.ResponseWriter, status int, code, description string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": code, "error_description": description, "error_uri": description})
}

// echoRaw writes an answer, and after it what was not asked for.
func echoRaw(w http.ResponseWriter, answer, unasked string) {
	connection, out, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	_, _ = out.WriteString(answer + unasked)
	_ = out.Flush()
	_ = connection.Close()
}
