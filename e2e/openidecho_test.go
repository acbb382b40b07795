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

// TestOpenIDEcho uses a provider that echoes every request in all parts of
// its response. The end of the run searches all logs and audit lines for
// secrets; this test searches them for secrets in hex.
func TestOpenIDEcho(t *testing.T) {
	t.Parallel()
	i := oidctest.NewIssuer(t)
	clientSecret := secrets.add("client secret of the echo", "echo-client-"+rand.Text())
	pass := secrets.newPassword("echo")
	sent := []string{clientSecret, pass}
	s := newServer(t, options{providers: fmt.Sprintf(`
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
		"error":        func(w http.ResponseWriter, echo string) { echoJSON(w, 400, echo, echo) },
		"description":  func(w http.ResponseWriter, echo string) { echoJSON(w, 400, "invalid_grant", echo) },
		"client error": func(w http.ResponseWriter, echo string) { echoJSON(w, 401, "invalid_client", echo) },
		"outage":       func(w http.ResponseWriter, echo string) { http.Error(w, echo, http.StatusBadGateway) },
		"status line": func(w http.ResponseWriter, echo string) {
			echoRaw(w, "HTTP/1.1 400 "+echo+"\r\nContent-Length: 0\r\n\r\n", "")
		},
		"not HTTP": func(w http.ResponseWriter, echo string) { echoRaw(w, echo+"\r\n\r\n", "") },
		"unsolicited response": func(w http.ResponseWriter, echo string) {
			echoRaw(w, "HTTP/1.1 400 No\r\nContent-Length: 25\r\n\r\n"+`{"error":"invalid_grant"}`, "HTTP/1.1 200 "+echo+"\r\n\r\n")
		},
	} {
		i.Replace(oidctest.TokenPath, func(w http.ResponseWriter, r *http.Request) { mode(w, echoOf(r)) })
		refreshToken := secrets.add("refresh token of the echo", "echo-refresh-"+rand.Text())
		sent = append(sent, refreshToken)
		for _, login := range []string{basic("alice-"+strings.ReplaceAll(name, " ", "-"), pass), basic("$refresh:sso", refreshToken)} {
			if a := s.get(t, "service="+service+"&offline_token=true", login); a.Status != http.StatusUnauthorized && a.Status != http.StatusServiceUnavailable && a.Status != http.StatusTooManyRequests {
				t.Errorf("%s: answer = %v, want 401 or 503", name, a)
			}
		}
	}
	var written []byte
	for until := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		var err error
		written, err = os.ReadFile(s.process.log)
		must(t, err)
		if strings.Contains(string(written), "Unsolicited response received") {
			break
		}
		if time.Now().After(until) {
			t.Fatal("net/http logged no unsolicited response, so that its text is not in the log shows nothing")
		}
	}
	for _, secret := range sent {
		if strings.Contains(string(written), hex.EncodeToString([]byte(secret))) {
			t.Errorf("the log contains a secret in hex")
		}
	}
}

// echoOf returns all secrets of a request, in several encodings.
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

// echoRaw writes a response and, after it, an unsolicited one.
func echoRaw(w http.ResponseWriter, answer, unsolicited string) {
	connection, out, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	_, _ = out.WriteString(answer + unsolicited)
	_ = out.Flush()
	_ = connection.Close()
}
