package oidctest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Options are what a [Server] starts with.
type Options struct {
	Clients     []Client `json:"clients"`
	Users       []User   `json:"users"`
	Algorithm   string   `json:"algorithm,omitempty"`   // that ID tokens are signed with. Default RS256
	AuthMethods []string `json:"authMethods,omitempty"` // token_endpoint_auth_methods_supported. Default basic, post and none
	ThinIDToken bool     `json:"thinIDToken"`           // ID tokens have no claims about the person; userinfo has
	OmitIDToken bool     `json:"omitIDToken"`           // the token endpoint gives no ID token at all
	Rotate      *bool    `json:"rotate,omitempty"`      // refresh tokens rotate, and reuse ends the grant. Default true
	Port        int      `json:"port,omitempty"`        // Default: a free one
	State       string   `json:"state,omitempty"`       // a file that one that was killed left behind
}

// Client is a client that is registered at the provider.
type Client struct {
	ID        string   `json:"id"`
	Secret    string   `json:"secret,omitempty"`
	Auth      string   `json:"auth,omitempty"` // Default client_secret_basic
	Redirects []string `json:"redirects,omitempty"`
}

// User is a person at the provider.
type User struct {
	Name            string         `json:"name"` // what is typed, and preferred_username
	Password        string         `json:"password"`
	Subject         string         `json:"sub"`
	Email           string         `json:"email"`
	EmailUnverified bool           `json:"emailUnverified"`
	Groups          []string       `json:"groups"` // the claim groups
	Roles           []string       `json:"roles"`  // the claim realm_access.roles
	Disabled        bool           `json:"disabled"`
	Claims          map[string]any `json:"claims"` // further claims, also instead of those above
}

// Server is a running oidc-provider.
type Server struct {
	Issuer  string
	tb      testing.TB
	opts    Options
	control string
	process *exec.Cmd
	stdin   io.Closer     // the provider ends when this does, even if the test is killed
	ended   chan struct{} // closed once process has ended
	log     lockedBuffer
}

// limits of a start: of node, which is started again where it is late, and of
// npm when packages are to be installed.
const (
	startLimit   = 30 * time.Second
	maxStarts    = 4
	installLimit = 3 * time.Minute
)

// Start runs an OpenID provider until the test ends. Without Node the test is
// skipped, or fails where the environment has CI=true.
func Start(tb testing.TB, opts Options) *Server {
	tb.Helper()
	s := &Server{tb: tb, opts: opts}
	tb.Cleanup(func() {
		s.end()
		if tb.Failed() {
			tb.Logf("the OpenID provider said:\n%s", s.log.String())
		}
	})
	s.launch()
	return s
}

// launch starts the process, and waits until it answers. Node was once seen to
// print nothing for a minute, so a late one is killed and started again.
func (s *Server) launch() {
	s.tb.Helper()
	script := install(s.tb)
	for range maxStarts {
		if s.start(script) {
			return
		}
	}
	s.tb.Fatalf("the OpenID provider did not start:\n%s", s.log.String())
}

// start starts the process and reports whether it answers within startLimit;
// otherwise the process has ended.
func (s *Server) start(script string) bool {
	s.tb.Helper()
	text, err := json.Marshal(s.opts)
	if err != nil {
		s.tb.Fatal(err)
	}
	cmd := exec.Command("node", script)
	cmd.Env = append(os.Environ(), "OP_OPTIONS="+string(text))
	cmd.Stderr = &s.log
	stdin, err := cmd.StdinPipe()
	if err != nil {
		s.tb.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		s.tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		s.tb.Fatalf("start node: %v", err)
	}
	s.process, s.stdin, s.ended = cmd, stdin, make(chan struct{})
	timer := time.AfterFunc(startLimit, func() { cmd.Process.Kill() })
	defer timer.Stop()
	var ready struct{ Issuer, Control string }
	for lines := bufio.NewScanner(stdout); ready.Control == "" && lines.Scan(); {
		_ = json.Unmarshal(lines.Bytes(), &ready) // lines that are something else are not for us
	}
	go func(ended chan<- struct{}) {
		_, _ = io.Copy(io.Discard, stdout) // ends with the process
		_ = cmd.Wait()                     // its exit status says nothing: it is killed
		close(ended)
	}(s.ended)
	s.Issuer, s.control = ready.Issuer, ready.Control
	if ready.Control == "" {
		s.end()
		return false
	}
	return true
}

// end ends the process, if it was started and has not ended.
func (s *Server) end() {
	if s.process == nil {
		return
	}
	s.stdin.Close()
	s.process.Process.Kill()
	<-s.ended
}

// Kill ends the provider as kill -9 does, between two requests. What it stored
// it finds again when it is started again.
func (s *Server) Kill() {
	s.tb.Helper()
	s.opts.State = filepath.Join(s.tb.TempDir(), "state.json")
	text, err := json.Marshal(map[string]string{"state": s.opts.State})
	if err != nil {
		s.tb.Fatal(err)
	}
	if resp, err := http.Post(s.control+"/die", "application/json", bytes.NewReader(text)); err == nil {
		resp.Body.Close()
		s.tb.Fatalf("the OpenID provider lives on: %s", resp.Status)
	}
	s.end()
}

// StartAgain starts the provider after Kill, on the same port. What Hang, Slow
// and Fail began is over.
func (s *Server) StartAgain() {
	s.tb.Helper()
	issuer, err := url.Parse(s.Issuer)
	if err != nil {
		s.tb.Fatal(err)
	}
	if s.opts.Port, err = strconv.Atoi(issuer.Port()); err != nil {
		s.tb.Fatal(err)
	}
	s.launch()
}

// install sees to it that the provider's packages are there and returns its
// script.
func install(tb testing.TB) string {
	tb.Helper()
	_, here, _, ok := runtime.Caller(0)
	dir := filepath.Join(filepath.Dir(here), "op")
	script := filepath.Join(dir, "op.mjs")
	if _, err := os.Stat(script); !ok || err != nil {
		missing(tb, "the source of shorepass/providers/oidc/oidctest (do not build tests with -trimpath)")
	}
	for _, tool := range []string{"node", "npm"} {
		if _, err := exec.LookPath(tool); err != nil {
			missing(tb, "Node.js 20 or later with npm (apt-get install nodejs npm)")
		}
	}
	lock, err := os.Open(filepath.Join(dir, "package-lock.json"))
	if err != nil {
		tb.Fatal(err)
	}
	defer lock.Close()
	// Tests of several packages may come here at once.
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		tb.Fatalf("lock %s: %v", lock.Name(), err)
	}
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "oidc-provider", "package.json")); err == nil {
		return script
	}
	ctx, cancel := context.WithTimeout(context.Background(), installLimit)
	defer cancel()
	npm := exec.CommandContext(ctx, "npm", "ci", "--no-audit", "--no-fund")
	npm.Dir = dir
	if out, err := npm.CombinedOutput(); err != nil {
		missing(tb, fmt.Sprintf("what (cd %s && npm ci) installs: %v\n%s", dir, err, out))
	}
	return script
}

// missing skips the test, naming what to install, or fails it in CI.
func missing(tb testing.TB, what string) {
	tb.Helper()
	if os.Getenv("CI") == "true" {
		tb.Fatalf("missing: %s", what)
	}
	tb.Skipf("missing: %s", what)
}

// do sends a command to the control port.
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

// Requests returns how often an endpoint was asked: "discovery", "jwks",
// "token", "userinfo", "revocation", or "token:" and a grant type; and with
// "token:reused" how often it saw a refresh token that it had rotated away.
func (s *Server) Requests(endpoint string) int {
	s.tb.Helper()
	counts := map[string]int{}
	s.do("counts", nil, &counts)
	return counts[endpoint]
}

// LiveRefreshTokens returns how many refresh tokens of a person the provider
// would take.
func (s *Server) LiveRefreshTokens(name string) int {
	s.tb.Helper()
	tokens := map[string]int{}
	s.do("liveRefreshTokens", nil, &tokens)
	return tokens[name]
}

// Reset sets all counts to zero.
func (s *Server) Reset() { s.tb.Helper(); s.do("reset", nil, nil) }

// SetUser adds a person, or puts u in the place of whoever has that name.
func (s *Server) SetUser(u User) { s.tb.Helper(); s.do("user", u, nil) }

// Disable takes a person's account away, and Enable gives it back.
func (s *Server) Disable(name string) {
	s.tb.Helper()
	s.do("user", map[string]any{"name": name, "disabled": true}, nil)
}

// Enable gives a person's account back.
func (s *Server) Enable(name string) {
	s.tb.Helper()
	s.do("user", map[string]any{"name": name, "disabled": false}, nil)
}

// SetGroups changes the groups of a person.
func (s *Server) SetGroups(name string, groups ...string) {
	s.tb.Helper()
	s.do("user", map[string]any{"name": name, "groups": append([]string{}, groups...)}, nil)
}

// Remove deletes a person.
func (s *Server) Remove(name string) {
	s.tb.Helper()
	s.do("remove", map[string]any{"name": name}, nil)
}

// RotateKeys makes a new signing key; the old ones are still published.
func (s *Server) RotateKeys() { s.tb.Helper(); s.do("rotate", nil, nil) }

// WithdrawOldKeys publishes the newest key alone.
func (s *Server) WithdrawOldKeys() { s.tb.Helper(); s.do("withdraw", nil, nil) }

// Hang lets requests to an endpoint wait until Release.
func (s *Server) Hang(endpoint string) {
	s.tb.Helper()
	s.do("fault", map[string]any{"endpoint": endpoint, "hang": true}, nil)
}

// Slow lets an endpoint do at once what it is asked to, and answer only after
// delay, until Release. Whoever goes away meanwhile has a token rotated and
// does not know it.
func (s *Server) Slow(endpoint string, delay time.Duration) {
	s.tb.Helper()
	s.do("fault", map[string]any{"endpoint": endpoint, "slow": delay.Milliseconds()}, nil)
}

// Fail answers the next requests to an endpoint with a status and a body; times
// 0 means all until Release.
func (s *Server) Fail(endpoint string, status int, body string, times int) {
	s.tb.Helper()
	fault := map[string]any{"endpoint": endpoint, "status": status, "body": body}
	if times > 0 {
		fault["times"] = times
	}
	s.do("fault", fault, nil)
}

// Release ends what Hang and Fail began.
func (s *Server) Release() { s.tb.Helper(); s.do("release", nil, nil) }

// Down closes the provider's port, and Up opens it again. What the provider
// knows it keeps.
func (s *Server) Down() { s.tb.Helper(); s.do("down", nil, nil) }

// Up opens the port that Down closed.
func (s *Server) Up() { s.tb.Helper(); s.do("up", nil, nil) }

// Tokens is an answer of the token endpoint.
type Tokens struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	ID      string `json:"id_token"`
}

// Tokens logs a person in at the provider itself, as another program of that
// person would, and returns what it gets.
func (s *Server) Tokens(client Client, user, password string) Tokens {
	s.tb.Helper()
	form := url.Values{
		"grant_type": {"password"}, "username": {user}, "password": {password},
		"scope": {"openid profile email offline_access"},
	}
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
		s.tb.Fatalf("log %s in at the OpenID provider: %s %v", user, resp.Status, err)
	}
	return tokens
}
