package oidctest

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// do sends a command to the control port, and decodes the answer.
func (s *Server) do(command string, argument, answer any) {
	s.tb.Helper()
	text, err := json.Marshal(argument)
	if err != nil {
		s.tb.Fatal(err)
	}
	resp, err := http.Post(s.control+"/"+command, "application/json", bytes.NewReader(text))
	if err != nil {
		s.tb.Fatalf("the OpenID provider's control port: %v", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		s.tb.Fatalf("the OpenID provider's control port, %s: %s %s %v", command, resp.Status, body, err)
	}
	if answer == nil {
		return
	}
	if err := json.Unmarshal(body, answer); err != nil {
		s.tb.Fatalf("the OpenID provider's control port, %s: %v", command, err)
	}
}

// Requests returns the number of requests to an endpoint: "discovery", "jwks",
// "token", "userinfo", "revocation", "authorization", "par", "logout", or "token:" and
// a grant type; "token:reused" counts refresh tokens that were sent after their
// rotation.
func (s *Server) Requests(endpoint string) int {
	s.tb.Helper()
	counts := map[string]int{}
	s.do("counts", nil, &counts)
	return counts[endpoint]
}

// LiveRefreshTokens returns the number of valid refresh tokens of a user.
func (s *Server) LiveRefreshTokens(name string) int {
	s.tb.Helper()
	tokens := map[string]int{}
	s.do("liveRefreshTokens", nil, &tokens)
	return tokens[name]
}

// LastAuthorization returns the parameters of the last authorization request, pushed or
// not, as the provider saw them.
func (s *Server) LastAuthorization() map[string]any {
	s.tb.Helper()
	params := map[string]any{}
	s.do("lastAuthorization", nil, &params)
	return params
}

// EndSessions ends the sessions of a user, as an administrator does: clients with a
// BackchannelLogoutURI get a logout token. Refresh tokens stay valid. It returns how many
// logout tokens were accepted.
func (s *Server) EndSessions(name string) int {
	s.tb.Helper()
	var sent int
	s.do("endSessions", map[string]any{"name": name}, &sent)
	return sent
}

// Sign returns a JWT of these claims, signed with the provider's newest key. header adds
// to alg and kid, replaces them or, with a nil value, removes them.
func (s *Server) Sign(header, claims map[string]any) string {
	s.tb.Helper()
	var token string
	s.do("sign", map[string]any{"header": header, "claims": claims}, &token)
	return token
}

// LogoutToken returns a logout token for a client (OpenID Connect Back-Channel Logout
// 1.0, section 2.4). claims adds to iss, aud, iat, exp, jti and events, replaces them or,
// with a nil value, removes them; sub and sid are the caller's. header changes alg, kid
// and typ in the same way.
func (s *Server) LogoutToken(client Client, header, claims map[string]any) string {
	s.tb.Helper()
	now := time.Now()
	all := map[string]any{
		"iss":    s.Issuer,
		"aud":    client.ID,
		"iat":    now.Unix(),
		"exp":    now.Add(2 * time.Minute).Unix(),
		"jti":    rand.Text(),
		"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}},
	}
	maps.Copy(all, claims)
	maps.DeleteFunc(all, func(_ string, value any) bool { return value == nil })
	typed := map[string]any{"typ": "logout+jwt"}
	maps.Copy(typed, header)
	return s.Sign(typed, all)
}

// Reset resets the counts of Requests.
func (s *Server) Reset() { s.tb.Helper(); s.do("reset", nil, nil) }

// SetUser adds a user, or replaces the one of that name.
func (s *Server) SetUser(u User) { s.tb.Helper(); s.do("user", u, nil) }

// Disable disables a user's account, until Enable.
func (s *Server) Disable(name string) {
	s.tb.Helper()
	s.do("user", map[string]any{"name": name, "disabled": true}, nil)
}

// Enable enables a disabled account.
func (s *Server) Enable(name string) {
	s.tb.Helper()
	s.do("user", map[string]any{"name": name, "disabled": false}, nil)
}

// SetGroups sets the groups of a user.
func (s *Server) SetGroups(name string, groups ...string) {
	s.tb.Helper()
	s.do("user", map[string]any{"name": name, "groups": append([]string{}, groups...)}, nil)
}

// Remove deletes a user.
func (s *Server) Remove(name string) {
	s.tb.Helper()
	s.do("remove", map[string]any{"name": name}, nil)
}

// RotateKeys creates a new signing key; the old ones stay published.
func (s *Server) RotateKeys() { s.tb.Helper(); s.do("rotate", nil, nil) }

// WithdrawOldKeys publishes the newest key only.
func (s *Server) WithdrawOldKeys() { s.tb.Helper(); s.do("withdraw", nil, nil) }

// Hang delays the answers of an endpoint until Release.
func (s *Server) Hang(endpoint string) {
	s.tb.Helper()
	s.do("fault", map[string]any{"endpoint": endpoint, "hang": true}, nil)
}

// Slow makes an endpoint process requests immediately and answer after delay,
// until Release. The token of a client that disconnects before the answer has
// rotated without its knowledge.
func (s *Server) Slow(endpoint string, delay time.Duration) {
	s.tb.Helper()
	s.do("fault", map[string]any{"endpoint": endpoint, "slow": delay.Milliseconds()}, nil)
}

// Fail makes an endpoint answer the next requests with a status and a body;
// times is their number, 0 for all until Release.
func (s *Server) Fail(endpoint string, status int, body string, times int) {
	s.tb.Helper()
	fault := map[string]any{"endpoint": endpoint, "status": status, "body": body}
	if times > 0 {
		fault["times"] = times
	}
	s.do("fault", fault, nil)
}

// Release ends the effects of Hang, Slow and Fail.
func (s *Server) Release() { s.tb.Helper(); s.do("release", nil, nil) }

// Down closes the provider's port, until Up. The provider's data stays.
func (s *Server) Down() { s.tb.Helper(); s.do("down", nil, nil) }

// Up opens the port that Down closed.
func (s *Server) Up() { s.tb.Helper(); s.do("up", nil, nil) }

// Tokens is a token response.
type Tokens struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	ID      string `json:"id_token"`
}

// Tokens logs a user in at the provider by the password grant, as another program
// would, and returns the tokens.
func (s *Server) Tokens(client Client, user, password string) Tokens {
	s.tb.Helper()
	return s.requestTokens(client, url.Values{
		"grant_type": {"password"}, "username": {user}, "password": {password},
		"scope": {"openid profile email offline_access"},
	})
}

// Redeem exchanges the code with which a browser came back, as another program would.
func (s *Server) Redeem(client Client, back *url.URL, redirectURI, verifier string) Tokens {
	s.tb.Helper()
	return s.requestTokens(client, url.Values{
		"grant_type": {"authorization_code"}, "code": {back.Query().Get("code")},
		"redirect_uri": {redirectURI}, "code_verifier": {verifier},
	})
}

func (s *Server) requestTokens(client Client, form url.Values) Tokens {
	s.tb.Helper()
	req, err := http.NewRequest(http.MethodPost, s.Issuer+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		s.tb.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(url.QueryEscape(client.ID), url.QueryEscape(client.Secret))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.tb.Fatal(err)
	}
	defer resp.Body.Close()
	var tokens Tokens
	if err := json.NewDecoder(resp.Body).Decode(&tokens); err != nil || resp.StatusCode != http.StatusOK {
		s.tb.Fatalf("%s grant at the OpenID provider: %s %v", form.Get("grant_type"), resp.Status, err)
	}
	return tokens
}
