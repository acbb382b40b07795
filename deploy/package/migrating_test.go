package packaging

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// docker is Debian's 20.10, whose login needs no engine.
var docker = filepath.Join(top, ".tools/docker-20.10/docker")

// What docs/migrating.md moves: a docker_auth with a user in its file, and a registry that
// trusts its pair by libtrust's key id.
const (
	movedConfig = `
server:
  addr: ":5001"
  certificate: server.crt
  key: server.key
token:
  issuer: "Harbour office"
  expiration: 900
  certificate: token.pem
  key: token.key
`
	movedRules = `users:
  marit: {password: "$2y$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2"}
acl:
  - match: {account: marit, name: "ships/*"}
    actions: [pull, push]
`
	movedRegistry = `version: 0.1
storage: {filesystem: {rootdirectory: /var/lib/docker-registry}}
http: {addr: ":443", tls: {certificate: /etc/registry/server.crt, key: /etc/registry/server.key}}
`
	// oldServer has another shorepass stand in for docker_auth, which is on no module
	// proxy: with the same pair, issuer and path, and a store of its own. In
	// TestMigratingBothServers (e2e) registries take tokens of shorepass and tokens that
	// are made as docker_auth makes them.
	oldServer = `[server]
listen      = "127.0.0.2:5001"
public_urls = ["https://docker-auth.corp.example:5001"]
paths       = ["/auth"]
tls         = { certificate = "../server.crt", key = "../server.key" }
[token]
issuer           = "Harbour office"
services         = ["registry.corp.example"]
root_certificate = "../token.pem"
root_key         = "../token.key"
signing          = "libtrust"
[[provider]]
name = "old"
kind = "file"
[[provider.user]]
name     = "marit"
password = "$2y$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2"
[[rule]]
users        = ["marit"]
repositories = ["ships/*"]
actions      = ["pull", "push"]
`
	makeCertificates = `openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=docker_auth -out token.pem -keyout token.key
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=registry.corp.example -out server.crt -keyout server.key \
  -addext subjectAltName=DNS:registry.corp.example,DNS:registry-auth.corp.example,DNS:docker-auth.corp.example
cp server.crt /usr/local/share/ca-certificates/corp.crt
update-ca-certificates
install -D --mode=644 --target-directory=/etc/registry token.pem server.crt
install --mode=640 --group=docker-registry server.key /etc/registry
chown -R platform: .`
)

// TestMigratingPage walks docs/migrating.md in a fresh Debian: from docker_auth in front of
// distribution 2.8 to shorepass, to a leaf that signs, and back. TestMigrating (e2e) has
// distribution 3 and an old server that is written for it.
func TestMigratingPage(t *testing.T) {
	t.Parallel()
	need(t, "nfpm", docker)
	page, err := os.ReadFile(filepath.Join(top, "docs/migrating.md"))
	if err != nil {
		t.Fatal(err)
	}
	all := blocks(t, string(page))
	w := newMoved(t)
	before := strings.Replace(registryBlock(t, all), "registry-auth.corp.example", "docker-auth.corp.example", 1)
	w.restartRegistry(t, before)
	w.logIn(t)
	for _, b := range all {
		w.move(t, b)
	}
	w.restartRegistry(t, before) // going back
	w.logIn(t)
}

// move does what the page says of a block.
func (w *walk) move(t *testing.T, b block) {
	t.Helper()
	const config, compare = walkerHome + "/shorepass.toml", "shorepass check --registry https://registry.corp.example\n"
	switch first, _, _ := strings.Cut(b.text, "\n"); {
	case strings.HasPrefix(first, "shorepass import "):
		w.do(t, b)
		w.edit(t, config, `":5001"`, `"127.0.0.1:5001"`) // docker_auth has the port at another address
		w.edit(t, config, "#public_urls", "public_urls")
	case strings.HasPrefix(first, "shorepass check "):
		w.do(t, b)
		if strings.Contains(b.text, "explain") && strings.Count(w.printed, `granted by "acl 1"`) != 2 {
			t.Errorf("explain does not grant pull and push:\n%s", w.printed)
		}
	case strings.HasPrefix(first, "shorepass serve "):
		w.serve(t, "new", b.text, "registry-auth.corp.example:5001")
	case first == "auth:":
		w.restartRegistry(t, b.text)
	case strings.HasPrefix(first, "signing = "):
		w.edit(t, config, `signing          = "libtrust"`, strings.TrimSpace(b.text))
		w.m.until(t, "journalctl --unit=new --output=cat", "the configuration was reloaded")
		w.do(t, block{kind: commands, line: b.line, text: compare})
	case strings.HasPrefix(first, "mongoexport "): // its files are there
		_, text, _ := strings.Cut(b.text, "users.json\n")
		w.do(t, block{kind: commands, line: b.line, text: "cd mongo\n" + text})
	default:
		t.Fatalf("line %d: the walk does not know this block:\n%s", b.line, b.text)
	}
}

// newMoved boots a machine with a user's files of docker_auth, which serves.
func newMoved(t *testing.T) *walk {
	t.Helper()
	w := newWalk(t, map[string]string{"Username": "marit", "assword": "correct horse"})
	w.m.run(t, "dpkg --install "+w.m.put(t, first.deb(t)))
	w.m.run(t, "install "+w.m.put(t, docker)+" /usr/local/bin")
	for name, text := range map[string]string{
		"auth_config.yml":       movedConfig + movedRules,
		"old/shorepass.toml":    oldServer,
		"mongo/auth_config.yml": movedConfig,
		"mongo/acl.json":        `{"seq":10,"match":{"account":"marit","name":"ships/*"},"actions":["pull","push"]}` + "\n",
		"mongo/users.json":      `{"username":"marit","password":"$2y$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2"}` + "\n",
	} {
		w.m.write(t, walkerHome+"/"+name, text)
	}
	w.m.write(t, "/etc/systemd/system/docker-registry.service.d/port.conf", "[Service]\nAmbientCapabilities=CAP_NET_BIND_SERVICE\n")
	w.m.run(t, "systemctl daemon-reload; cd "+walkerHome+"\n"+makeCertificates)
	w.m.run(t, "printf '127.0.0.1 registry-auth.corp.example registry.corp.example\n127.0.0.2 docker-auth.corp.example\n' >>/etc/hosts")
	w.serve(t, "old", "cd old\nshorepass serve\n", "docker-auth.corp.example:5001")
	return w
}

// registryBlock returns the block of the page for the registry.
func registryBlock(t *testing.T, all []block) string {
	t.Helper()
	at := slices.IndexFunc(all, func(b block) bool { return strings.HasPrefix(b.text, "auth:\n") })
	if at < 0 {
		t.Fatal("the page has no block for the registry")
	}
	return all[at].text
}

// logIn logs marit in by docker.
func (w *walk) logIn(t *testing.T) {
	t.Helper()
	w.do(t, block{kind: commands, text: "docker login registry.corp.example\n"})
}

// serve runs commands that do not end, until a server answers at an address.
func (w *walk) serve(t *testing.T, unit, script, address string) {
	t.Helper()
	file := walkerHome + "/" + unit + ".serve"
	w.m.write(t, file, script)
	w.m.run(t, "chmod 644 "+file+"; systemd-run --quiet --unit="+unit+" --uid="+walker+" --working-directory="+walkerHome+" bash -e "+file)
	w.m.until(t, "curl --silent https://"+address+"/healthz || journalctl --unit="+unit+" --output=cat", `"alive":true`)
}

// restartRegistry gives the registry a block of its configuration.
func (w *walk) restartRegistry(t *testing.T, auth string) {
	t.Helper()
	w.m.write(t, "/etc/docker/registry/config.yml", movedRegistry+auth)
	w.m.run(t, "systemctl restart docker-registry")
	w.m.until(t, "curl --silent --include https://registry.corp.example/v2/ || true", " 401 ")
}

// edit replaces a text that a file must have.
func (w *walk) edit(t *testing.T, file, old, text string) {
	t.Helper()
	now := w.m.run(t, "cat "+file)
	if !strings.Contains(now, old) {
		t.Fatalf("%s has no %q:\n%s", file, old, now)
	}
	w.m.write(t, file, strings.ReplaceAll(now, old, text)+"\n")
}
