package e2e

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// answer is an answer of the token endpoint.
type answer struct {
	Status int         `json:"-"`
	Header http.Header `json:"-"`
	Raw    string      `json:"-"`

	Token        string
	AccessToken  string `json:"access_token"`
	ExpiresIn    int    `json:"expires_in"`
	RefreshToken string `json:"refresh_token"`
	Scope        string

	Errors           []struct{ Code, Message string }
	Details          string
	Error            string
	ErrorDescription string `json:"error_description"`
}

// String shows the claims of a token in place of the token.
func (a answer) String() string {
	parts := strings.Split(a.AccessToken, ".")
	if len(parts) != 3 {
		return fmt.Sprintf("%d %s", a.Status, a.Raw)
	}
	claims, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return fmt.Sprintf("%d with a token that is not base64", a.Status)
	}
	return fmt.Sprintf("%d with a token of %s", a.Status, claims)
}

// claims are the claims of a token.
type claims struct {
	Issuer    string          `json:"iss"`
	Subject   string          `json:"sub"`
	Audience  json.RawMessage `json:"aud"`
	Expires   int64           `json:"exp"`
	NotBefore int64           `json:"nbf"`
	IssuedAt  int64           `json:"iat"`
	ID        string          `json:"jti"`
	Access    []struct {
		Type, Class, Name string
		Actions           []string
	}
}

// claims decodes the token without verifying it, which the registries do.
func (a answer) claims(t *testing.T) claims {
	t.Helper()
	var c claims
	a.part(t, 1, &c)
	return c
}

// part decodes a part of the token, counted from 0.
func (a answer) part(t *testing.T, n int, into any) {
	t.Helper()
	parts := strings.Split(a.AccessToken, ".")
	if len(parts) != 3 {
		t.Fatalf("no token in the answer %v", a)
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[n])
	must(t, err)
	must(t, json.Unmarshal(text, into))
}

// granted returns the token's access as scopes joined by spaces.
func (a answer) granted(t *testing.T) string {
	t.Helper()
	if a.Status == http.StatusForbidden {
		return "" // there is no token: its person has no rights on what was asked
	}
	var scopes []string
	for _, entry := range a.claims(t).Access {
		scopes = append(scopes, entry.Type+":"+entry.Name+":"+strings.Join(entry.Actions, ","))
	}
	return strings.Join(scopes, " ")
}

// wire is a client that sends each request once, on a connection of its own,
// and follows no redirect.
var wire = &http.Client{
	Timeout:       30 * time.Second,
	Transport:     &http.Transport{DisableKeepAlives: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// do sends a request and reads the answer.
func do(t *testing.T, r *http.Request) answer {
	t.Helper()
	a, err := attempt(r)
	if err != nil {
		t.Fatalf("%s %s: %v", r.Method, r.URL.Path, err)
	}
	secrets.add("access token", a.AccessToken)
	secrets.add("refresh token", a.RefreshToken)
	return a
}

// attempt is do for callers that expect a failed request, and for loops with
// many tokens. It does not register the tokens as secrets; the search of the
// logs finds them by their shape.
func attempt(r *http.Request) (answer, error) {
	res, err := wire.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return answer{}, err
	}
	a := answer{Status: res.StatusCode, Header: res.Header, Raw: string(body)}
	if strings.HasPrefix(res.Header.Get("Content-Type"), "application/json") {
		if err := json.Unmarshal(body, &a); err != nil {
			return a, fmt.Errorf("the body is not JSON: %w\n%s", err, body)
		}
	}
	return a, nil
}

// basic returns an Authorization header.
func basic(user, password string) string {
	secrets.add("password", password)
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// get sends a GET with a query and, unless it is empty, an Authorization
// header.
func (s *server) get(t *testing.T, query, authorization string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/jwt/auth?"+query, nil)
	must(t, err)
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	return do(t, r)
}

// post sends a form.
func (s *server) post(t *testing.T, form url.Values) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/jwt/auth", strings.NewReader(form.Encode()))
	must(t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return do(t, r)
}

// login logs in as docker login does, and returns the refresh token.
func (s *server) login(t *testing.T, user, password string) string {
	t.Helper()
	a := s.get(t, "account="+url.QueryEscape(user)+"&client_id=docker&offline_token=true&service="+service, basic(user, password))
	if a.Status != http.StatusOK || a.RefreshToken == "" {
		t.Fatalf("log in as %q: %v, want 200 and a refresh token", user, a)
	}
	return a.RefreshToken
}

// redeem redeems a refresh token for a scope.
func (s *server) redeem(t *testing.T, token, scope string) answer {
	t.Helper()
	return s.post(t, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}, "service": {service}, "client_id": {"e2e"}, "scope": {scope}})
}
