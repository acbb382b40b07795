package e2e

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// service is the name of the registries in tokens (aud).
const service = "container_registry"

// options configure a server. The zero options are testUsers in a file, and
// testRules.
type options struct {
	providers string // TOML: [[provider]] tables
	rules     string // TOML: [[rule]] tables
	server    string // TOML: further keys of [server]
	token     string // TOML: further keys of [token]
	session   string // TOML: further keys of [session]
	more      string // TOML: further tables
	scheme    string // default: http
	root      string // folder of RootCA.crt and RootCA.key, which registries trust; default: rootCA
	ownRoot   bool   // configure no root, so that the server makes one where it needs it
}

// server is one running shorepass and its configuration.
type server struct {
	dir     string // working directory, with shorepass.toml and data
	port    int
	url     string // http://localhost:PORT
	root    string // folder of RootCA.crt and RootCA.key
	config  string // path of shorepass.toml
	program string // path of the shorepass that runs; default: binary
	process *process
}

// newServer starts a shorepass and stops it at the end of the test, where it
// must exit with 0.
func newServer(t *testing.T, o options) *server {
	t.Helper()
	s := &server{dir: t.TempDir(), port: freePort(t), root: o.root}
	if s.root == "" && !o.ownRoot {
		s.root = rootCA
	}
	if o.providers == "" {
		o.providers = testUsers().toml()
	}
	if o.rules == "" {
		o.rules = testRules
	}
	if o.ownRoot && o.root == "" {
		s.root = filepath.Join(s.dir, "data")
	}
	if o.scheme == "" {
		o.scheme = "http"
	}
	s.url = fmt.Sprintf("%s://localhost:%d", o.scheme, s.port)
	s.config = filepath.Join(s.dir, "shorepass.toml")
	s.writeConfig(t, o)
	s.start(t)
	return s
}

// writeConfig writes or overwrites the server's configuration.
func (s *server) writeConfig(t *testing.T, o options) {
	t.Helper()
	if !o.ownRoot {
		o.token += fmt.Sprintf("root_certificate = %q\nroot_key = %q\n", filepath.Join(s.root, "RootCA.crt"), filepath.Join(s.root, "RootCA.key"))
	}
	if !strings.Contains(o.token, "services") {
		o.token += fmt.Sprintf("services = [%q]\n", service)
	}
	text := fmt.Sprintf(`
[server]
listen = "127.0.0.1:%d"
public_urls = [%q]
log_level = "debug"
%s
[token]
issuer = "gitlab-issuer"
%s
[session]
%s
%s
%s
%s`, s.port, s.url, o.server, o.token, o.session, o.providers, o.rules, o.more)
	if err := os.WriteFile(s.config, []byte(text), 0o600); err != nil {
		t.Fatalf("write the configuration: %v", err)
	}
}

// start starts the server and waits until it answers.
func (s *server) start(t *testing.T) {
	t.Helper()
	s.launch(t)
	s.awaitOpen(t)
}

// awaitOpen waits until the server's store is open: before that it answers 503.
func (s *server) awaitOpen(t *testing.T) {
	t.Helper()
	client := http.Client{Timeout: 5 * time.Second}
	s.process.await(t, 30*time.Second, func() error {
		res, err := client.Get(s.url + "/v2/")
		if err != nil {
			return err
		}
		res.Body.Close()
		if res.StatusCode != http.StatusUnauthorized {
			return fmt.Errorf("GET /v2/: %s, want 401", res.Status)
		}
		return nil
	})
}

// stop stores the metrics for the search for secrets, then stops the server, which
// must exit with 0. It may be called again.
func (s *server) stop(t *testing.T) {
	select {
	case <-s.process.done:
	default:
		if metrics, err := get(s.url + "/metrics"); err == nil {
			os.WriteFile(s.process.log+".metrics", metrics, 0o644)
		}
	}
	if err := s.process.stop(); err != nil {
		t.Errorf("shorepass serve, stopped with SIGTERM: %v, want exit 0", err)
	}
}

// cli runs a subcommand of shorepass with the server's configuration.
func (s *server) cli(t *testing.T, stdin string, args ...string) result {
	t.Helper()
	return execute(t, nil, stdin, cmp.Or(s.program, binary), append(args, "--config", s.config)...)
}

// logLines returns the log lines so far that contain every part. Audit lines are
// among them unless they go to a file.
func (s *server) logLines(parts ...string) []string {
	var lines []string
next:
	for line := range strings.Lines(s.process.output()) {
		if !strings.HasPrefix(line, "{") {
			continue
		}
		for _, part := range parts {
			if !strings.Contains(line, part) {
				continue next
			}
		}
		lines = append(lines, line)
	}
	return lines
}

// checkOK returns an error unless a GET of the URL is answered 200.
func checkOK(url string) error {
	_, err := get(url)
	return err
}

// get returns the body of a GET that is answered 200.
func get(url string) ([]byte, error) {
	client := http.Client{Timeout: 5 * time.Second}
	res, err := client.Get(url)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", url, res.Status)
	}
	return body, nil
}

// localUser is a user of the file provider.
type localUser struct {
	name, password string
	hash           string
	groups         []string
}

// localUsers maps user names to users.
type localUsers map[string]localUser

// testUsers are the users of most tests. By testRules root may do everything,
// alice owns team-alpha, bob reads it, and eve is in no group.
var testUsers = sync.OnceValue(func() localUsers {
	users := localUsers{}
	for name, groups := range map[string][]string{
		"root":  {"admins"},
		"alice": {"team-alpha"},
		"bob":   {"readers"},
		"eve":   nil,
	} {
		password := secrets.newPassword(name)
		hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
		if err != nil {
			panic(err) // only for passwords over 72 bytes
		}
		users[name] = localUser{name: name, password: password, hash: string(hash), groups: groups}
	}
	return users
})

// toml returns a file provider with these users.
func (u localUsers) toml() string {
	var b bytes.Buffer
	b.WriteString("[[provider]]\nname = \"local\"\nkind = \"file\"\n")
	for _, user := range u {
		fmt.Fprintf(&b, "[[provider.user]]\nname = %q\npassword = %q\n", user.name, user.hash)
		if len(user.groups) > 0 {
			fmt.Fprintf(&b, "groups = [\"%s\"]\n", strings.Join(user.groups, `", "`))
		}
	}
	return b.String()
}

// testRules are the rules of most tests.
const testRules = `
[[rule]]
name = "administrators"
groups = ["admins"]
repositories = ["**"]
actions = ["*"]

[[rule]]
name = "administrators list repositories"
groups = ["admins"]
types = ["registry"]
repositories = ["catalog"]
actions = ["*"]

[[rule]]
name = "a team owns its folder"
groups = ["team-*"]
repositories = ["{group}/**"]
actions = ["pull", "push", "delete"]

[[rule]]
name = "readers read"
groups = ["readers"]
repositories = ["team-alpha/**"]
actions = ["pull"]

[[rule]]
name = "everyone reads public"
groups = ["anonymous", "authenticated"]
repositories = ["public/**"]
actions = ["pull"]
`
