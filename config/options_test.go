package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"shorepass/internal/durable"
	"shorepass/internal/secret"
	"shorepass/internal/tlsconf"
	"shorepass/providers"
)

// pathOptions is a table with a path of every form.
type pathOptions struct {
	Read     string         `toml:"read" path:"read"`
	Write    string         `toml:"write" path:"write"`
	Reread   string         `toml:"reread" path:"reread"`
	To       string         `toml:"to" path:"write,file:"`
	Store    secret.Text    `toml:"store" path:"write,sqlite:"`
	List     []string       `toml:"list" path:"read"`
	Plain    string         `toml:"plain"`
	TLS      tlsconf.Config `toml:"tls"`
	Optional *string        `toml:"optional" path:"read"`
	Tables   []struct {
		File string `toml:"file" path:"read"`
	} `toml:"table"`
}

func TestPaths(t *testing.T) {
	t.Setenv("CREDENTIALS_DIRECTORY", "/run/credentials/shorepass.service")
	var o pathOptions
	l := newLoader("shorepass.toml", "/etc/shorepass", nil)
	decodeText(t, l, "x", `
read     = "a.pem"
write    = "out.log"
reread   = "sub/../leaf.pem"
to       = "file:audit.log"
store    = "sqlite:shorepass.db"
list     = ["b.pem", "/abs/c.pem"]
plain    = "plain"
optional = "optional.pem"
tls      = { ca = "ca.pem", key = "$CREDENTIALS_DIRECTORY/key", server_name = "name" }
table    = [{ file = "d.pem" }]
`, &o)
	if err := l.faults.err(); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{
		"read": o.Read, "write": o.Write, "reread": o.Reread, "to": o.To, "store": o.Store.Reveal(),
		"list": strings.Join(o.List, " "), "plain": o.Plain, "optional": *o.Optional, "table": o.Tables[0].File,
		"ca": o.TLS.CA, "key": o.TLS.Key, "certificate": o.TLS.Certificate, "server_name": o.TLS.ServerName,
	}
	want := map[string]string{
		"read": "/etc/shorepass/a.pem", "write": "/var/lib/shorepass/out.log", "reread": "/etc/shorepass/leaf.pem",
		"to": "file:/var/lib/shorepass/audit.log", "store": "sqlite:/var/lib/shorepass/shorepass.db",
		"list": "/etc/shorepass/b.pem /abs/c.pem", "plain": "plain", "optional": "/etc/shorepass/optional.pem", "table": "/etc/shorepass/d.pem",
		"ca": "/etc/shorepass/ca.pem", "key": "/run/credentials/shorepass.service/key", "certificate": "", "server_name": "name",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("decode (-want +got):\n%s", diff)
	}
	var files []string
	for name := range l.states {
		files = append(files, name)
	}
	slices.Sort(files)
	wantFiles := []string{"/abs/c.pem", "/etc/shorepass/a.pem", "/etc/shorepass/b.pem", "/etc/shorepass/ca.pem",
		"/etc/shorepass/d.pem", "/etc/shorepass/optional.pem", "/run/credentials/shorepass.service/key"}
	if diff := cmp.Diff(wantFiles, files); diff != "" {
		t.Errorf("files to watch (-want +got):\n%s", diff)
	}
}

func TestDataFolder(t *testing.T) {
	for _, tt := range []struct{ configuration, want string }{
		{"/etc/shorepass", "/var/lib/shorepass"},
		{"/etc/shorepass/staging", "/var/lib/shorepass/staging"},
		{"/etc/shorepass-old", "/etc/shorepass-old"},
		{"/etc", "/etc"},
		{"/home/ann/shorepass", "/home/ann/shorepass"},
		{"/mnt/etc/shorepass", "/mnt/etc/shorepass"},
	} {
		if got := dataFolder(tt.configuration); got != tt.want {
			t.Errorf("dataFolder(%q) = %q, want %q", tt.configuration, got, tt.want)
		}
	}
}

// TestCheckMoved: a file that an earlier version wrote beside the configuration is not
// silently replaced by a new one in the data folder.
func TestCheckMoved(t *testing.T) {
	folder := t.TempDir()
	there, missing := filepath.Join(folder, "there"), filepath.Join(folder, "missing")
	if err := os.WriteFile(there, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		before, now string
		fault       bool
	}{
		{there, missing, true},
		{missing, missing, false}, // a first start
		{missing, there, false},
		{there, there, false}, // an absolute path
		{there, folder, false},
	} {
		if err := checkMoved(tt.before, tt.now); (err != nil) != tt.fault {
			t.Errorf("checkMoved(%q, %q) = %v", tt.before, tt.now, err)
		}
	}
}

// TestDefaultStoreMeansWhatItSays: the default, written out, names the same file.
func TestDefaultStoreMeansWhatItSays(t *testing.T) {
	for folder, want := range map[string]string{
		"/etc/shorepass": "sqlite:/var/lib/shorepass/data/shorepass.db",
		"/srv/registry":  "sqlite:/srv/registry/data/shorepass.db",
	} {
		for _, text := range []string{minimal, minimal + "[session]\nstore = \"sqlite:data/shorepass.db\"\n"} {
			l := newLoader("shorepass.toml", folder, kinds)
			l.text.data = []byte(text)
			cfg, err := l.load()
			if err != nil {
				t.Fatal(err)
			}
			if got := cfg.Session.Store.Reveal(); got != want {
				t.Errorf("the store of a configuration in %s is %s, want %s", folder, got, want)
			}
		}
	}
}

// TestValuesWithoutSchemeAreNoPaths: they are left unchanged.
func TestValuesWithoutSchemeAreNoPaths(t *testing.T) {
	for _, text := range []string{"", "stdout", "syslog", "postgres://u:p@h/d", "sqlite:", "file"} {
		var o pathOptions
		l := newLoader("shorepass.toml", "/etc/shorepass", nil)
		decodeText(t, l, "", fmt.Sprintf("to = %[1]q\nstore = %[1]q", text), &o)
		if o.To != text || o.Store.Reveal() != text {
			t.Errorf("decode of %q = %q, %q; want it as it was", text, o.To, o.Store.Reveal())
		}
	}
}

const minimal = "[token]\nissuer = \"x\"\nservices = [\"r\"]\n"

const demo = `[[provider]]
name = "local"
kind = "file"
[[provider.user]]
name = "demo"
password = "$2y$10$abcdefghijklmnopqrstuuzVsAVGXNo9L1R65wVwiUYQGUVvXxxxW"
claims = { department = "harbour" }
`

const rule = "[[rule]]\nname = \"r\"\ngroups = [\"g\"]\nrepositories = [\"a/b\"]\nactions = [\"pull\"]\n"

func loadText(t *testing.T, text string, mode os.FileMode) (*Config, error) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "shorepass.toml")
	if err := os.WriteFile(name, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(name, mode); err != nil {
		t.Fatal(err)
	}
	return Load(name, kinds)
}

func TestWarnings(t *testing.T) {
	oidc := "[[provider]]\nname = \"sso\"\nkind = \"oidc\"\nissuer = \"https://sso.corp.example\"\nclient_id = \"r\"\ngrants = [\"password\"]\nclient_secret = \"s\"\ngroups = { claim = \"groups\" }\n"
	for _, tt := range []struct {
		name, text string
		mode       os.FileMode
		want       string // part of the one warning; "" for none
	}{
		{"none", minimal + demo + rule, 0o644, ""},
		{"no provider", minimal + rule, 0o600, "there is no [[provider]], so nobody can log in"},
		{"no rule", minimal + demo, 0o600, "there is no [[rule]], so nobody may do anything"},
		{"claim in a condition", minimal + demo + rule + `when = 'claims.department == "harbour"'`, 0o600, ""},
		{"claim in a repository name", minimal + demo + strings.Replace(rule, "a/b", "{claims.department}/*", 1), 0o600, ""},
		{"email of a user", minimal + demo + rule + `when = 'claims.email.endsWith("@corp.example")'`, 0o600, ""},
		{"part of a claim", minimal + oidc + "claims = [\"realm_access\"]\n" + rule + `when = '"x" in claims.realm_access.roles'`, 0o600, ""},
		{"a network of more hosts than proxies", minimal + "[server]\ntrusted_proxies = [\"192.168.0.0/16\"]\n" + demo + rule, 0o600, `server.trusted_proxies[0]: every host in 192.168.0.0/16 can claim any client address`},
		{"ACME at another port than 443", minimal + "[server]\nlisten = \":8443\"\npublic_urls = [\"https://a.example:8443\"]\nacme = { terms_agreed = true }\n" + demo + rule, 0o600, `server.acme: the directory validates at port 443 of each name, and the server listens on port 8443: right only where 443 is forwarded to it; else write listen = ":443", or listen_http = ":80" in acme`},
		{"ACME at another port than 80", minimal + "[server]\nlisten = \":8443\"\npublic_urls = [\"https://a.example:8443\"]\nacme = { terms_agreed = true, listen_http = \":8080\" }\n" + demo + rule, 0o600, `server.acme.listen_http: the directory validates at port 80 of each name, and this is port 8080`},
		{"ACME at its ports", minimal + "[server]\nlisten = \":443\"\npublic_urls = [\"https://a.example\"]\nacme = { terms_agreed = true }\n" + demo + rule, 0o600, ""},
		{"no public URL for every address (E7)", minimal + "[server]\nlisten = \":5001\"\n" + demo + rule, 0o600, `server.public_urls: is missing: with listen = ":5001" the realm is http://localhost:5001/jwt/auth, where a client on another machine reaches only itself; write the URL of this server, such as "http://registry-auth.corp.example:5001"`},
		{"no public URL for 0.0.0.0", minimal + "[server]\nlisten = \"0.0.0.0:5001\"\n" + demo + rule, 0o600, `server.public_urls: is missing`},
		{"no public URL for [::]", minimal + "[server]\nlisten = \"[::]:5001\"\n" + demo + rule, 0o600, `server.public_urls: is missing`},
		{"a public URL for every address", minimal + "[server]\nlisten = \":5001\"\npublic_urls = [\"http://localhost:5001\"]\n" + demo + rule, 0o600, ""},
		{"no public URL for loopback", minimal + "[server]\nlisten = \"127.0.0.1:5001\"\n" + demo + rule, 0o600, ""},
		{"no public URL for one address", minimal + "[server]\nlisten = \"192.0.2.7:5001\"\n" + demo + rule, 0o600, ""},
		{"one proxy", minimal + "[server]\ntrusted_proxies = [\"192.168.0.1\", \"192.168.7.0/24\", \"2001:db8::/64\"]\n" + demo + rule, 0o600, ""},
		{"metrics for a proxy", minimal + "[server]\ntrusted_proxies = [\"127.0.0.1\"]\n" + demo + rule, 0o600, `server.metrics_from[0]: 127.0.0.0/8 contains a trusted proxy`},
		{"metrics for others", minimal + "[server]\ntrusted_proxies = [\"127.0.0.1\"]\nmetrics_from = [\"192.168.0.9\"]\n" + demo + rule, 0o600, ""},
		{"secret in a world-readable file", minimal + oidc + rule, 0o644, "everybody on this machine can read this file, and it contains a secret; chmod 600 it"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg, err := loadText(t, tt.text, tt.mode)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Trim(fmt.Sprint(cfg.Warnings), "[]"); len(cfg.Warnings) > 1 || (tt.want == "") != (got == "") || !strings.Contains(got, tt.want) {
				t.Errorf("warnings = %q, want one with %q", got, tt.want)
			}
		})
	}
}

// TestWorldWritable: a configuration that every account of the machine can write is
// refused, since any of them could make itself an operator.
func TestWorldWritable(t *testing.T) {
	if _, err := loadText(t, minimal+demo+rule, 0o666); !errors.Is(err, durable.ErrWorldWritable) {
		t.Errorf("Load of a file that everybody can change = %v, want durable.ErrWorldWritable", err)
	}
}

func TestLoadedOptions(t *testing.T) {
	cfg, err := loadText(t, minimal+"lifetime = \"1d\"\n"+demo+rule+"[session]\nidle = \"30d\"\n", 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Token.Lifetime != 24*time.Hour || cfg.Session.Idle != 30*24*time.Hour {
		t.Errorf("token.lifetime = %v, session.idle = %v; want 24h, 720h", cfg.Token.Lifetime, cfg.Session.Idle)
	}
	if store, want := cfg.Session.Store.Reveal(), "sqlite:"+filepath.Join(filepath.Dir(cfg.Files[0]), "data", "shorepass.db"); store != want {
		t.Errorf("session.store = %q, want its default in the folder of the configuration, %q", store, want)
	}
	if r := cfg.Providers[0].Remember; r == nil || *r != time.Minute {
		t.Errorf("provider.remember = %v, want its default", r)
	}
	if types := cfg.Rules[0].Types; !slices.Equal(types, []string{"repository"}) {
		t.Errorf("rule.types = %q, want its default", types)
	}
}

func TestLoadByteOrderMark(t *testing.T) {
	if _, err := loadText(t, "\uFEFF"+strings.ReplaceAll(minimal+demo+rule, "\n", "\r\n"), 0o600); err != nil {
		t.Errorf("Load of a file from Windows: %v", err)
	}
	_, err := loadText(t, "\uFEFF"+strings.ReplaceAll(minimal+demo+rule, "\n", "\r\n")+"x = 1\r\n", 0o600)
	if list := Faults(err); len(list) != 1 || list[0].Line != 16 || list[0].Key != "rule[0].x" {
		t.Errorf("Load of a file from Windows: %v, want one fault on line 16", err)
	}
}

func TestLoadOfMissingFile(t *testing.T) {
	_, err := Load("testdata/nowhere.toml", kinds)
	if !errors.Is(err, os.ErrNotExist) || len(Faults(err)) != 0 {
		t.Errorf("Load of a missing file: %v, want os.ErrNotExist and no fault", err)
	}
}

type failingOptions struct {
	providers.Config
	Fail bool `toml:"fail"`
}

func (o failingOptions) WithDefaults() failingOptions       { return o }
func (o failingOptions) Validate(func(key, problem string)) {}
func (o failingOptions) ClaimNames() []string               { return nil }
func (o failingOptions) FoldsCase() bool                    { return false }
func (o failingOptions) Methods() []providers.Method        { return nil }
func (o failingOptions) ReadsGroups() bool                  { return true }
func (o failingOptions) GroupNames() providers.GroupNames   { return providers.GroupNames{} }

type kindProvider struct{ providers.Provider }

var errBuild = errors.New("cannot be built")

func TestBuild(t *testing.T) {
	built := Kinds{"kind": Kind(func(o failingOptions) (*kindProvider, error) {
		if o.Fail {
			return nil, errBuild
		}
		return &kindProvider{}, nil
	})}
	for _, fail := range []bool{false, true} {
		l := newLoader("shorepass.toml", "/", built)
		l.text.data = []byte(minimal + "[[provider]]\nname = \"p\"\nkind = \"kind\"\nfail = " + map[bool]string{false: "false", true: "true"}[fail])
		cfg, err := l.load()
		if err != nil {
			t.Fatal(err)
		}
		p, err := cfg.Providers[0].Build()
		if fail && (p != nil || !errors.Is(err, errBuild)) || !fail && (p == nil || err != nil) {
			t.Errorf("Build() with fail = %v: %v, %v", fail, p, err)
		}
	}
}

func TestLoadNamesTheCommandForASealKey(t *testing.T) {
	_, err := loadText(t, minimal+demo+rule+"[session]\nseal_key = { file = \"seal.key\" }\n", 0o600)
	list := Faults(err)
	if len(list) != 1 || list[0].Key != "session.seal_key" || !strings.HasSuffix(list[0].Problem, "seal.key; make it with: shorepass keys init --seal-key "+filepath.Join(filepath.Dir(list[0].File), "seal.key")) {
		t.Errorf("Load without its seal key: %v, want the command that makes it", err)
	}
}
