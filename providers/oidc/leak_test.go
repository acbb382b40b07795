package oidc_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"shorepass/internal/secret"
	"shorepass/providers"
	"shorepass/providers/oidc"
	"shorepass/providers/oidc/oidctest"
	"shorepass/providers/providertest"
)

// encodings are the encodings in which a peer may echo a secret.
var encodings = []func(string) string{
	func(s string) string { return s },
	func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
	func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) },
	func(s string) string { return base64.StdEncoding.EncodeToString([]byte("x" + s)) }, // the other two alignments
	func(s string) string { return base64.StdEncoding.EncodeToString([]byte("xx" + s)) },
	url.QueryEscape,
	url.PathEscape,
	func(s string) string { text, _ := json.Marshal(s); return strings.Trim(string(text), `"`) },
	func(s string) string { return hex.EncodeToString([]byte(s)) },
	func(s string) string { return strings.ToUpper(hex.EncodeToString([]byte(s))) },
	func(s string) string { b := []byte(s); slices.Reverse(b); return string(b) },
}

// leaked returns the first eight characters of a secret, in any encoding, that
// a text contains, and whether there are any.
func leaked(text, secret string) (string, bool) {
	for _, encode := range encodings {
		for form := encode(secret); len(form) >= 8; form = form[1:] {
			if strings.Contains(text, form[:8]) {
				return form[:8], true
			}
		}
	}
	return "", false
}

// received returns all values of a request, in every encoding.
func received(r *http.Request) string {
	_ = r.ParseForm()
	var values []string
	for _, field := range r.Form {
		values = append(values, field...)
	}
	for _, header := range r.Header {
		values = append(values, header...)
	}
	if _, password, ok := r.BasicAuth(); ok {
		values = append(values, password)
	}
	values = append(values, strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
	var all []string
	for _, value := range values {
		for _, encode := range encodings {
			all = append(all, encode(value))
		}
	}
	return strings.Join(all, " ")
}

// respondRaw answers with bytes that need not be valid HTTP.
func respondRaw(format string) func(http.ResponseWriter, string) {
	return func(w http.ResponseWriter, echo string) {
		connection, out, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		fmt.Fprintf(out, format, echo)
		_ = out.Flush()
		_ = connection.Close()
	}
}

// respond answers with a status, a content type and a body.
func respond(status int, contentType, format string) func(http.ResponseWriter, string) {
	return func(w http.ResponseWriter, echo string) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		if strings.Contains(format, "%") {
			_, _ = fmt.Fprintf(w, format, echo)
			return
		}
		_, _ = w.Write([]byte(format))
	}
}

// respondJSON answers with a JSON object whose members echo the request;
// "name=value" is a member with that value.
func respondJSON(status int, members ...string) func(http.ResponseWriter, string) {
	return func(w http.ResponseWriter, echo string) {
		body := map[string]any{}
		for _, member := range members {
			name, value, ok := strings.Cut(member, "=")
			if !ok {
				value = echo
			}
			body[name] = value
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("WWW-Authenticate", `Bearer error="`+url.QueryEscape(echo)+`"`)
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(body)
	}
}

// redirectTo answers with a redirect that echoes the request.
func redirectTo(format string) func(http.ResponseWriter, string) {
	return func(w http.ResponseWriter, echo string) {
		w.Header().Set("Location", fmt.Sprintf(format, url.QueryEscape(echo)))
		w.WriteHeader(http.StatusFound)
	}
}

// TestEchoingProvider: no text of a response to a request with a secret
// leaves the package, since it may quote the secret.
func TestEchoingProvider(t *testing.T) {
	i := oidctest.NewIssuer(t)
	i.Replace(oidctest.DiscoveryPath, serveJSON(i.Metadata(map[string]any{
		"require_pushed_authorization_requests": true, "pushed_authorization_request_endpoint": i.URL + pushPath,
	})))
	idToken := func(claim string) func(http.ResponseWriter, string) {
		return func(w http.ResponseWriter, echo string) {
			claims := map[string]any{claim: echo}
			if claim == "SUB" || claim == "typ" {
				claims = map[string]any{claim: echo, "sub": nil}
			}
			serveJSON(map[string]any{"access_token": "x", "token_type": "Bearer", "id_token": i.IDToken(claims)})(w, nil)
		}
	}
	header := func(name string) func(http.ResponseWriter, string) {
		return func(w http.ResponseWriter, echo string) {
			text, _ := json.Marshal(map[string]string{"alg": "ES256", "kid": oidctest.EC, name: echo})
			serveJSON(map[string]any{"access_token": "x", "token_type": "Bearer", "id_token": i.Sign(string(text), claimsText(i.URL, ""), oidctest.EC)})(w, nil)
		}
	}
	modes := map[string]func(http.ResponseWriter, string){
		"error 400":             respondJSON(400, "error"),
		"error 401":             respondJSON(401, "error"),
		"error 500":             respondJSON(500, "error"),
		"error 200":             respondJSON(200, "error"),
		"description":           respondJSON(400, "error=invalid_grant", "error_description", "error_uri"),
		"client error":          respondJSON(401, "error=invalid_client", "error_description", "error_uri"),
		"description in form":   respond(400, "text/plain", "error=invalid_grant&error_description=%s"),
		"error in form":         respond(400, "application/x-www-form-urlencoded", "error=%s"),
		"HTML":                  respond(500, "text/html", "<html>%s"),
		"HTML 400":              respond(400, "text/html", "<html>%s"),
		"HTML 200":              respond(200, "text/html", "<html>%s"),
		"malformed JSON":        respond(200, "application/json", `{"access_token": %s`),
		"wrong types":           respondJSON(200, "access_token", "expires_in"),
		"no access token":       respondJSON(200, "token", "id_token"),
		"id_token":              respondJSON(200, "access_token", "id_token"),
		"status line":           respondRaw("HTTP/1.1 400 %s\r\nContent-Length: 0\r\n\r\n"),
		"malformed status line": respondRaw("HTTP/1.1 %s\r\n\r\n"),
		"malformed version":     respondRaw("%s 200 OK\r\n\r\n"),
		"malformed header":      respondRaw("HTTP/1.1 200 OK\r\n%s\r\n\r\n"),
		"Content-Length":        respondRaw("HTTP/1.1 200 OK\r\nContent-Length: %s\r\n\r\n"),
		"Transfer-Encoding":     respondRaw("HTTP/1.1 200 OK\r\nTransfer-Encoding: %s\r\n\r\n"),
		"chunks":                respondRaw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%s\r\n"),
		"gzip":                  respondRaw("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n%s"),
		"100 and garbage":       respondRaw("HTTP/1.1 100 Continue\r\n\r\n%s\r\n\r\n"),
		"redirect":              redirectTo("https://elsewhere.example/?%s"),
		"malformed redirect":    redirectTo("https://%%zz/%s"),
		"claim iss":             idToken("iss"),
		"claim aud":             idToken("aud"),
		"claim azp":             idToken("azp"),
		"claim exp":             idToken("exp"),
		"claim sub":             idToken("sub"),
		"claim SUB":             idToken("SUB"),
		"header alg":            header("alg"),
		"header typ":            header("typ"),
		"header kid":            header("kid"),
		"header crit":           header("crit"),
	}
	for name, mode := range modes {
		for _, style := range []string{"client_secret_basic", "client_secret_post"} {
			t.Run(name+" "+style, func(t *testing.T) {
				for _, path := range []string{oidctest.TokenPath, oidctest.RevocationPath, oidctest.UserinfoPath, pushPath} {
					i.Replace(path, func(w http.ResponseWriter, r *http.Request) { mode(w, received(r)) })
				}
				checkLeaks(t, i, style)

				// The token response is valid, and userinfo echoes the access
				// token.
				i.Replace(oidctest.TokenPath, serveJSON(map[string]any{"access_token": accessToken, "token_type": "Bearer"}))
				checkLeaks(t, i, style)
			})
		}
	}
}

// pushPath is the path of the endpoint for pushed authorization requests.
const pushPath = "/par"

// accessToken is an access token of the provider.
var accessToken = "access-" + rand.Text() + "=/+"

// checkLeaks sends each kind of secret to the provider, and checks that errors
// and log do not contain it.
func checkLeaks(t *testing.T, i *oidctest.Issuer, style string) {
	t.Helper()
	pass, refreshToken, clientSecret := `p"<&>`+rand.Text()+"ü%", "r/+="+rand.Text(), "s "+rand.Text()
	p := newProvider(t, i.URL, func(c *oidc.Config) {
		c.ClientSecret, c.AuthStyle, c.Timeout = secret.New(clientSecret), style, time.Second
		c.Users.Claim, c.Groups.Claim = "sub", ""
		c.Grants = append(c.Grants, "browser")
	})
	var output bytes.Buffer
	log := slog.New(slog.NewTextHandler(&output, &slog.HandlerOptions{Level: slog.LevelDebug}))
	chain, err := providers.NewChain([]providers.Member{{Provider: p, Config: providers.Config{Name: "sso", Kind: "oidc"}.WithDefaults()}}, providertest.NewThrottle(), providers.Options{Log: log})
	if err != nil {
		t.Fatal(err)
	}
	defer chain.Close()
	_, err = chain.Authenticate(t.Context(), offline("alice", pass))
	fmt.Fprintln(&output, err)
	_, err = chain.Authenticate(t.Context(), password("$refresh:sso", refreshToken))
	fmt.Fprintln(&output, err)
	_, err = chain.Revalidate(t.Context(), &providers.Identity{Provider: "sso", Subject: "s", RefreshToken: secret.New(refreshToken)})
	fmt.Fprintln(&output, err)
	fmt.Fprintln(&output, chain.RevokeRefreshToken(t.Context(), "sso", secret.New(refreshToken)))
	request, code := newRequest(), rand.Text()
	_, err = p.AuthorizationURL(t.Context(), request)
	fmt.Fprintln(&output, err)
	_, err = redeem(t.Context(), p, request, &url.URL{RawQuery: "code=" + code})
	fmt.Fprintln(&output, err)
	for what, secret := range map[string]string{
		"password": pass, "refresh token": refreshToken, "client secret": clientSecret, "access token": accessToken,
		"code": code, "code verifier": request.Verifier.Reveal(), "nonce": request.Nonce,
	} {
		if piece, ok := leaked(output.String(), secret); ok {
			t.Errorf("errors or log contain the %s, as %q:\n%s", what, piece, &output)
		}
	}
}

// TestErrorsQuoteNoToken: an ID token as the password is a secret, and so
// may be its claims.
func TestErrorsQuoteNoToken(t *testing.T) {
	i := oidctest.NewIssuer(t)
	p := newCIProvider(t, i.URL, nil)
	canary := rand.Text()
	for _, claim := range []string{"iss", "sub", "aud", "azp", "exp", "iat", "nbf", "typ", "token_use", "scope", "SUB", "Aud", canary} {
		for _, value := range []any{canary, []string{canary}, map[string]string{canary: canary}} {
			claims := map[string]any{claim: value}
			if claim == "sub" {
				claims["azp"] = "x"
			}
			checkToken(t, p, i.IDToken(claims), canary)
		}
	}
	for _, header := range []string{"alg", "typ", "kid", "crit", "jku"} {
		text, _ := json.Marshal(map[string]string{"alg": "ES256", header: canary})
		checkToken(t, p, i.Sign(string(text), claimsText(i.URL, ""), oidctest.EC), canary)
	}
	checkToken(t, p, i.Sign(goodHeader, canary, oidctest.EC), canary)
	checkToken(t, p, i.Sign(goodHeader, `{"`+canary+`":1,"`+canary+`":2}`, oidctest.EC), canary)
	checkToken(t, p, i.IDToken(map[string]any{"exp": 1234567890}), "1234567890", "2009-02-13") // also a number
}

// checkToken checks that the error of a token quotes neither the canaries nor the
// token.
func checkToken(t *testing.T, p *oidc.Provider, token string, canaries ...string) {
	t.Helper()
	_, err := present(p, t, token)
	if err == nil {
		return
	}
	for _, secret := range append(canaries, token[len(token)-40:]) {
		if piece, ok := leaked(err.Error(), secret); ok {
			t.Errorf("the error quotes the token with %q: %v", piece, err)
		}
	}
}
