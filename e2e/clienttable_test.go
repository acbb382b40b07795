package e2e

import (
	"encoding/base64"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// printers are the clients of the page, in its order.
func printers(running map[string]*engine) []client {
	var all []client
	for _, name := range slices.Sorted(maps.Keys(running)) {
		all = append(all, running[name].client(name))
	}
	return append(all, podman("podman"), podman("buildah"), skopeo(), crane(), oras(), regctl(),
		running["docker 20.10"].ctr(), containerd())
}

// situation is a table of the page: the requests of one person at one registry.
type situation struct {
	heading  string
	registry *registry
	login    [2]string             // name and password at a login; no login where empty
	home     func(*testing.T) home // the credentials of a pull and a push
	pull     string                // repository; no pull where empty
	push     string                // repository; no push where empty
	stores   bool                  // what a login stores is recorded, not what it prints
	works    *regexp.Regexp        // matches what clients without a fault print, who have no row
}

// TestClientMessages runs each client in each situation and compares what it prints with
// the tables of docs/clients.md; -update writes them. Rows of clients that this machine
// lacks (docker 28) are not compared.
func TestClientMessages(t *testing.T) {
	t.Parallel()
	situations := clientSituations(t)
	printed := &messages{rows: map[string]map[string][]string{}}
	running := engines(t)
	all := printers(running)
	t.Run("run", func(t *testing.T) {
		for _, c := range all {
			for _, s := range situations {
				t.Run(c.name+"/"+s.heading, func(t *testing.T) {
					t.Parallel() // oras waits between its tries
					s.run(t, c, printed)
				})
			}
		}
	})
	if t.Failed() {
		return
	}
	page, err := os.ReadFile(clientsPage)
	must(t, err)
	want := string(page)
	// A client that is missing was skipped, and printed nothing.
	all = slices.DeleteFunc(all, func(c client) bool { return !printed.has(c.name) })
	for _, s := range situations {
		want, err = replaceTable(want, s.heading, printed.rows[s.heading], all)
		must(t, err)
	}
	switch {
	case want == string(page):
	case *update:
		must(t, os.WriteFile(clientsPage, []byte(want), 0o644))
	default:
		t.Errorf("the tables of docs/clients.md are not what the clients print; see the difference after\ncd e2e && go test -run TestClientMessages -update .\n%s", difference(string(page), want))
	}
}

// clientSituations starts the servers and registries of the page's situations.
func clientSituations(t *testing.T) []situation {
	s := newServer(t, options{})
	r := s.registry(t, distributions[1])
	auth := func(realm, service, root string) *registry {
		return s.registryWith(t, distributions[1], fmt.Sprintf("auth: {token: {realm: %s, service: %s, issuer: gitlab-issuer, rootcertbundle: %s}}",
			realm, service, filepath.Join(root, "RootCA.crt")))
	}
	otherRoot := t.TempDir()
	if out, err := makeRoot(otherRoot).CombinedOutput(); err != nil {
		t.Fatalf("make another root: %v\n%s", err, out)
	}
	down := newServer(t, options{providers: lostDirectory(unusedAddress(t))}).registry(t, distributions[1])

	alice, bob, eve := testUsers()["alice"], testUsers()["bob"], testUsers()["eve"]
	wrong := secrets.add("wrong password", "bob-is-not-bob")
	for n := range 4 {
		s.get(t, "service="+service, basic("locked", secrets.add("guess", fmt.Sprintf("guess-of-%d", n))))
	}
	ended := s.login(t, "bob", bob.password)
	if revoked := s.cli(t, "", "sessions", "revoke", "--user", "bob"); !revoked.ok {
		t.Fatalf("shorepass sessions revoke: %v", revoked)
	}
	kept := s.login(t, "alice", alice.password)
	const private = "team-alpha/app"
	wrongService := auth(s.url+"/jwt/auth", "another", s.root)
	wrongRealm := auth(s.url+"/jwt/token", service, s.root)
	wrongRoot := auth(s.url+"/jwt/auth", service, otherRoot)
	address := auth(strings.Replace(s.url, "localhost", "127.0.0.1", 1)+"/jwt/auth", service, s.root)
	return []situation{
		{heading: "A wrong password", registry: r, login: [2]string{"bob", wrong}, home: homeWith(r, "bob", wrong), pull: private, push: private},
		{heading: "An ended login", registry: r, home: homeWithToken(r, "bob", ended), pull: private, push: private},
		{heading: "Not logged in", registry: r, home: loggedOut, pull: private, push: private},
		{heading: "No rights", registry: r, home: homeWith(r, "eve", eve.password), pull: private, push: private},
		{heading: "Too many wrong passwords", registry: r, login: [2]string{"locked", wrong}, home: homeWith(r, "locked", wrong), pull: private},
		{heading: "The provider or the store is down", registry: down, login: [2]string{"alice", alice.password}, home: homeWith(down, "alice", alice.password), pull: private},
		{heading: "An unknown service", registry: wrongService, login: [2]string{"alice", alice.password}, home: homeWith(wrongService, "alice", alice.password), pull: private},
		{heading: "A wrong path in the realm", registry: wrongRealm, login: [2]string{"alice", alice.password}, home: homeWith(wrongRealm, "alice", alice.password), pull: private},
		{heading: "The registry does not trust the token", registry: wrongRoot, login: [2]string{"alice", alice.password}, home: homeWith(wrongRoot, "alice", alice.password), pull: private},
		{heading: "An IP address in the realm", registry: address, home: homeWith(address, "alice", alice.password), pull: private, works: regexp.MustCompile(`(?i)not found|manifest unknown`)},
		{heading: "A second login after docker login", registry: r, login: [2]string{"alice", alice.password}, home: homeWithToken(r, "alice", kept)},
		{heading: "What a login stores", registry: r, login: [2]string{"alice", alice.password}, stores: true},
	}
}

// homeWith returns a function that makes a home with a password.
func homeWith(r *registry, user, password string) func(*testing.T) home {
	return func(t *testing.T) home {
		h := newHome(t)
		h.store(t, r.host, user, password)
		return h
	}
}

// homeWithToken returns a function that makes a home with a refresh token, as docker
// login stores it.
func homeWithToken(r *registry, user, token string) func(*testing.T) home {
	return func(t *testing.T) home {
		h := newHome(t)
		stored := credentials{Auth: base64.StdEncoding.EncodeToString([]byte(user + ":")), IdentityToken: token}
		must(t, os.WriteFile(h.config(), encode(t, map[string]any{"auths": map[string]any{r.host: stored}}), 0o600))
		return h
	}
}

// run runs a client and records what it prints.
func (s situation) run(t *testing.T, c client, printed *messages) {
	t.Helper()
	record := func(at string, got result) {
		text := normalize(got.text, s.registry.host)
		if got.ok && text == "" {
			text = "(it succeeds)"
		}
		if s.works == nil || !s.works.MatchString(text) {
			printed.add(s.heading, c.name, at, text)
		}
		if got.ok && at != "login" {
			t.Errorf("%s: %s of %s succeeded, want a failure", s.heading, at, c.name)
		}
	}
	switch {
	case s.stores && (c.proves || c.name == "crane"):
		h := newHome(t)
		if got := c.login(t, h, s.registry.host, s.login[0], s.login[1]); !got.ok {
			t.Fatalf("login as %s with %s: %v", s.login[0], c.name, got)
		}
		printed.add(s.heading, c.name, "login", h.kept(t, s.registry.host, s.login[0], s.login[1]))
	case s.login[0] != "" && c.proves:
		h := newHome(t)
		if s.pull == "" { // a login over what another login stored
			h = s.home(t)
		}
		record("login", c.login(t, h, s.registry.host, s.login[0], s.login[1]))
	}
	if s.pull != "" {
		record("pull", c.pull(t, s.home(t), s.registry.host+"/"+s.pull+":1"))
	}
	if s.push != "" {
		record("push", c.push(t, s.home(t), ociImage(t), s.registry.host+"/"+s.push+":1"))
	}
}

// kept says what a login stored.
func (h home) kept(t *testing.T, host, user, password string) string {
	t.Helper()
	if h.stored(t, host).IdentityToken != "" {
		return "a refresh token"
	}
	inBase64 := base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
	for _, file := range []string{h.config(), filepath.Join(string(h), "regctl.json")} {
		text, err := os.ReadFile(file)
		if err == nil && (strings.Contains(string(text), password) || strings.Contains(string(text), inBase64)) {
			return "the password"
		}
	}
	return "nothing"
}

// loggedOut returns a home without credentials. It has the file, without which podman
// and buildah do not run where REGISTRY_AUTH_FILE names it.
func loggedOut(t *testing.T) home {
	h := newHome(t)
	must(t, os.WriteFile(h.config(), []byte(`{"auths":{}}`), 0o600))
	return h
}

// TestLogInAfterDockerLogin: podman, buildah and skopeo refuse to log in over what docker
// login stored, until docker logout (E8). Until then they pull with it.
func TestLogInAfterDockerLogin(t *testing.T) {
	t.Parallel()
	s := newServer(t, options{})
	r := s.registry(t, distributions[1])
	r.seed(t, dockerImage(t), "team-alpha/app:1")
	alice := testUsers()["alice"]
	for _, c := range []client{podman("podman"), podman("buildah"), skopeo()} {
		h := newHome(t)
		if got := dockers()[0].login(t, h, r.host, alice.name, alice.password); !got.ok {
			t.Fatalf("docker login: %v", got)
		}
		h.stored(t, r.host)
		if got := c.login(t, h, r.host, alice.name, alice.password); got.ok || !strings.Contains(got.text, "auth file contains an Identity token") {
			t.Errorf("%s login after docker login: %v\nwant a failure that names the identity token", c.name, got)
		}
		if got := c.pull(t, h, r.host+"/team-alpha/app:1"); !got.ok {
			t.Errorf("%s pull after docker login: %v", c.name, got)
		}
		if got := execute(t, h.env(), "", docker20, "--config", string(h), "logout", r.host); !got.ok {
			t.Fatalf("docker logout: %v", got)
		}
		if got := c.login(t, h, r.host, alice.name, alice.password); !got.ok {
			t.Errorf("%s login after docker logout: %v", c.name, got)
		}
	}
}

// TestContainerdReadsWhatItMounts: containerd 1.6 pushes no layer that it has from a
// repository which the person may not read (E8); containerd 2 sends it again.
func TestContainerdReadsWhatItMounts(t *testing.T) {
	t.Parallel()
	s := newServer(t, options{})
	r := s.registry(t, distributions[1])
	i := ociImage(t)
	r.seed(t, i, "team-beta/app:1")
	from, to := r.host+"/team-beta/app:1", r.host+"/team-alpha/app:1"
	root, alice, h := testUsers()["root"], testUsers()["alice"], newHome(t)

	old := startEngine(t, docker20, filepath.Join(filepath.Dir(docker20), "dockerd"), "--storage-driver=vfs").ctr()
	h.store(t, r.host, root.name, root.password)
	if got := old.pull(t, h, from); !got.ok {
		t.Fatalf("pull as root: %v", got)
	}
	h.store(t, r.host, alice.name, alice.password)
	page, err := os.ReadFile(clientsPage)
	must(t, err)
	if got := old.copy(t, h, from, to); got.ok || !strings.Contains(string(page), "`"+normalize(got.text, r.host)+"`") {
		t.Errorf("push as alice what root pulled: %v\nwant a failure whose message docs/clients.md has", got)
	}
	if err := upload(t, resolver(t, h), i, to, strings.TrimSuffix(from, ":1")); err != nil {
		t.Errorf("the same with containerd 2: %v", err)
	}
}
