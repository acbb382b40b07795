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
	"syscall"
	"testing"
	"time"
)

// Options configure a [Server].
type Options struct {
	Clients        []Client       `json:"clients"`
	Users          []User         `json:"users"`
	Algorithm      string         `json:"algorithm,omitempty"`   // signature algorithm of ID tokens. Default RS256
	AuthMethods    []string       `json:"authMethods,omitempty"` // token_endpoint_auth_methods_supported. Default basic, post, none, and private_key_jwt if a client has it
	ThinIDToken    bool           `json:"thinIDToken"`           // the claims about the person are in userinfo alone
	OmitIDToken    bool           `json:"omitIDToken"`           // the token endpoint returns no ID token
	SignedUserinfo bool           `json:"signedUserinfo"`        // the userinfo endpoint returns a signed JWT
	Rotate         *bool          `json:"rotate,omitempty"`      // refresh tokens rotate, and reuse ends the grant. Default true
	TrustClients   bool           `json:"trustClients"`          // no consent page, and a refresh token without prompt=consent (Keycloak)
	RequirePAR     bool           `json:"requirePAR"`            // authorization requests must be pushed (RFC 9126)
	OmitIss        bool           `json:"omitIss"`               // no iss in the authorization response (RFC 9207)
	NoLogout       bool           `json:"noLogout"`              // no end_session_endpoint (Google)
	OneToken       bool           `json:"oneToken"`              // a new refresh token replaces the person's last one at the client (Dex)
	RevokeAll      bool           `json:"revokeAll"`             // a revocation ends all refresh tokens of the person at the client (Keycloak before 26.1)
	Metadata       map[string]any `json:"metadata,omitempty"`    // members of the discovery document that differ
	Port           int            `json:"port,omitempty"`        // Default: a free one
	State          string         `json:"state,omitempty"`       // state file of a killed provider. Optional
}

// Client is a registered client. All have the password, authorization code and refresh
// grants; PKCE is required.
type Client struct {
	ID                   string              `json:"id"`
	Secret               string              `json:"secret,omitempty"`
	Auth                 string              `json:"auth,omitempty"` // Default client_secret_basic
	Keys                 []map[string]string `json:"keys,omitempty"` // its JWKS, for private_key_jwt; the kid of each is what the client sends
	Redirects            []string            `json:"redirects,omitempty"`
	PostLogoutRedirects  []string            `json:"postLogoutRedirects,omitempty"`
	BackchannelLogoutURI string              `json:"backchannelLogoutURI,omitempty"` // gets logout tokens; only with it ID tokens have a sid
	NoRefreshToken       bool                `json:"noRefreshToken"`                 // offline_access is ignored
}

// User is an account at the provider.
type User struct {
	Name            string         `json:"name"` // login name and preferred_username
	Password        string         `json:"password"`
	Subject         string         `json:"sub"`
	Email           string         `json:"email"`
	EmailUnverified bool           `json:"emailUnverified"`
	Groups          []string       `json:"groups"` // the claim groups
	Roles           []string       `json:"roles"`  // the claim realm_access.roles
	Disabled        bool           `json:"disabled"`
	ACR             string         `json:"acr,omitempty"` // of a login with a browser
	AMR             []string       `json:"amr,omitempty"` // of a login with a browser
	AuthAge         int            `json:"authAge"`       // seconds by which auth_time is before the login with a browser
	Claims          map[string]any `json:"claims"`        // further claims; they override those above
}

// Server is a running oidc-provider.
type Server struct {
	Issuer  string
	tb      testing.TB
	opts    Options
	control string
	process *exec.Cmd
	stdin   io.Closer     // the process exits when it closes, even if the test is killed
	ended   chan struct{} // closed when process has ended
	log     lockedBuffer
}

// Time limits of a start: of node, which is killed and started again if it is
// late, and of npm if packages must be installed.
const (
	startLimit   = 30 * time.Second
	maxStarts    = 4
	installLimit = 3 * time.Minute
)

// Start runs an OpenID provider until the test ends. Without Node it skips the
// test, or fails it if the environment has CI=true.
func Start(tb testing.TB, opts Options) *Server {
	tb.Helper()
	s := &Server{tb: tb, opts: opts}
	tb.Cleanup(func() {
		s.end()
		if tb.Failed() {
			tb.Logf("output of the OpenID provider:\n%s", s.log.String())
		}
	})
	s.launch()
	return s
}

// launch starts the process and waits until it is ready, with retries: node was
// once seen to print nothing for a minute.
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

// start starts the process and reports whether it is ready within startLimit;
// if not, it ends the process.
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
		_ = json.Unmarshal(lines.Bytes(), &ready) // skip lines that are not JSON
	}
	go func(ended chan<- struct{}) {
		_, _ = io.Copy(io.Discard, stdout) // ends with the process
		_ = cmd.Wait()                     // ignore the exit status: it is killed
		close(ended)
	}(s.ended)
	s.Issuer, s.control = ready.Issuer, ready.Control
	if ready.Control == "" {
		s.end()
		return false
	}
	return true
}

// end kills the process, if it runs.
func (s *Server) end() {
	if s.process == nil {
		return
	}
	s.stdin.Close()
	s.process.Process.Kill()
	<-s.ended
}

// Kill ends the provider as kill -9 does, between two requests. StartAgain
// restores its stored data.
func (s *Server) Kill() {
	s.tb.Helper()
	s.opts.State = filepath.Join(s.tb.TempDir(), "state.json")
	text, err := json.Marshal(map[string]string{"state": s.opts.State})
	if err != nil {
		s.tb.Fatal(err)
	}
	if resp, err := http.Post(s.control+"/die", "application/json", bytes.NewReader(text)); err == nil {
		resp.Body.Close()
		s.tb.Fatalf("the OpenID provider is still running: %s", resp.Status)
	}
	s.end()
}

// StartAgain starts the provider after Kill, on the same port, without the
// effects of Hang, Slow and Fail.
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

// install installs the provider's packages if they are missing, and returns its
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
	// Tests of several packages may run concurrently.
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

// missing skips the test, or fails it in CI, and says what to install.
func missing(tb testing.TB, what string) {
	tb.Helper()
	if os.Getenv("CI") == "true" {
		tb.Fatalf("missing: %s", what)
	}
	tb.Skipf("missing: %s", what)
}
