package chart

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestValuesRefused: wrong values are refused before anything is installed, with a
// message that names the value and its cure. Each row changes a good installation.
func TestValuesRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		example string
		values  string // added to the example; "OLD => NEW" in the example where it has an arrow
		want    string
	}{
		// Types, by the schema.
		{"an unknown value", sqliteExample, `replicaCount: 2`, "additional properties 'replicaCount' not allowed"},
		{"an unknown value below", sqliteExample, `service: {nodePort: 3}`, "at '/service': additional properties 'nodePort' not allowed"},
		{"replicas as text", sqliteExample, `replicas: "1"`, "at '/replicas': got string, want integer"},
		{"half a replica", sqliteExample, `replicas: 1.5`, "at '/replicas': got number, want integer"},
		{"https as text", sqliteExample, `https: "yes"`, "at '/https': got string, want boolean"},
		{"config as a table", sqliteExample, `config: {server: {listen: ":5001"}}`, "at '/config': got object, want string"},
		{"another store", postgresExample, `store: mysql`, "at '/store': value must be one of 'sqlite', 'postgres'"},
		{"a port that is none", sqliteExample, `service: {port: 65536}`, "at '/service/port': maximum: got 65,536, want 65,535"},
		{"root", sqliteExample, `user: 0`, "at '/user': minimum: got 0, want 1"},
		{"a digest that is none", sqliteExample, `image: {digest: latest}`, "at '/image/digest': 'latest' does not match pattern"},
		{"a file in another folder", sqliteExample, `files: {"../../bin/x": {secret: s}}`, "does not match pattern"},
		{"a file's content in values", sqliteExample, `files: {ldap.password: hunter2}`, "at '/files/ldap.password': got string, want object"},
		{"a mount that never changes", sqliteExample, `extraVolumeMounts: [{name: ca, mountPath: /ca.crt, subPath: ca.crt}]`, "at '/extraVolumeMounts/0/subPath'"},
		{"a URL that is none", sqliteExample, `test: {registry: registry.corp.example}`, "at '/test/registry'"},

		{"an authority without a key", postgresExample, `serviceMonitor: {ca: {secret: corp-ca}}`, "at '/serviceMonitor/ca'"},
		{"a tag with a blank", sqliteExample, `image: {tag: "a b"}`, "at '/image/tag'"},

		// No secret in values.
		{"a password in env", sqliteExample, `env: [{name: LDAP_PASSWORD, value: hunter2}]`, "at '/env/0"},
		{"a password in config", sqliteExample, `{ file = "ldap.password" } => "hunter2"`, "config: bind_password is a secret in place"},
		{"a password under a key in quotes", sqliteExample, `bind_password = { file = "ldap.password" } => "bind_password" = "hunter2"`, "config: bind_password is a secret in place"},
		{"a client secret", postgresExample, `{ file = "sso.secret" } => 'hunter2'`, "config: client_secret is a secret in place"},
		{"a sealing key", postgresExample, `seal_key = { file = "seal.key" } => seal_key="c2VhbA=="`, "config: seal_key is a secret in place"},
		{"a password's hash", sqliteExample, `bind_dn => password = "$2y$10$abc"  # bind_dn`, "config: password is a secret in place (a password's hash too"},
		{"the database's password", postgresExample, `store = { file = "store.url" } => store = "postgres://shorepass:hunter2@db.corp.example/shorepass"`, "config: session.store holds a password"},
		{"a database's password with a quote", postgresExample, `store = { file = "store.url" } => store = "postgres://shorepass:hun'ter2@db.corp.example/shorepass"`, "config: session.store holds a password"},
		{"the database's password as a parameter", postgresExample, `store = { file = "store.url" } => store = "postgres://db.corp.example/shorepass?sslmode=require&password=hunter2"`, "config: session.store holds a password"},
		{"a proxy's password", sqliteExample, `env: [{name: HTTPS_PROXY, value: "http://shorepass:hunter2@proxy.corp.example:3128"}]`, "a value holds a URL with a password"},
		{"a private key", sqliteExample, `podAnnotations: {key: "-----BEGIN EC PRIVATE KEY-----"}`, "a value holds a private key"},
		{"a token of ours", sqliteExample, `podAnnotations: {token: sp_r_AbCdEfGhIjKlMnOpQrSt}`, "a value holds a token of shorepass"},

		// What contradicts.
		{"no image", sqliteExample, `image: {repository: ""}`, "image.repository is missing: name the repository that you pushed the image to"},
		{"no configuration", sqliteExample, `config: ""`, `config is missing: --set-file config=shorepass.toml takes the file that "shorepass check" checked`},
		{"two configurations", sqliteExample, `files: {shorepass.toml: {secret: s}}`, `config and files."shorepass.toml" are both set; leave one of the two out`},
		{"a file from nowhere", sqliteExample, `files: {other: {key: k}}`, `files."other": name either a secret or a configMap`},
		{"a file from both", sqliteExample, `files: {ldap.password: {configMap: c}}`, `files."ldap.password": name either a secret or a configMap`},
		{"replicas on SQLite", sqliteExample, `replicas: 2`, "replicas is 2, but a SQLite file has one process; set store: postgres and put session.store on PostgreSQL, or replicas: 1"},
		{"SQLite in config", postgresExample, `store = { file = "store.url" } => store = "sqlite:data/shorepass.db"`, "store is postgres, but session.store in config is a SQLite file"},
		{"no store in config", postgresExample, `store = { file = "store.url" } => # `, "store is postgres, but session.store in config is a SQLite file"},
		{"PostgreSQL in config", postgresExample, `{replicas: 1, store: sqlite}`, "store is sqlite, but session.store in config is none; set store: postgres"},
		{"no root", sqliteExample, `root_certificate = "RootCA.crt" => `, "config: root_certificate is missing: make the root"},
		{"no sealing key", postgresExample, `seal_key = { file = "seal.key" } => `, "config: seal_key is missing: make the root"},
		{"listen on loopback", sqliteExample, `listen = ":5001" => listen = "127.0.0.1:5001"`, `config: write listen = ":5001" under [server]`},
		{"listen left out", sqliteExample, `listen = ":5001" => `, `config: write listen = ":5001" under [server]`},
		{"another host", sqliteExample, `hosts: [auth.corp.example]`, "hosts: auth.corp.example is in no URL of server.public_urls"},
		{"a host that is part of another", sqliteExample, `hosts: [corp.example]`, "hosts: corp.example is in no URL of server.public_urls"},
		{"no host", sqliteExample, `hosts: []`, "hosts is missing: list the hosts of server.public_urls"},
		{"no gateway", postgresExample, `httpRoute: {parentRefs: []}`, "httpRoute.parentRefs is missing: name the Gateway"},
		{"no proxies", sqliteExample, `trusted_proxies = ["10.244.3.0/24"] => `, "config: server.trusted_proxies is missing"},
		{"no network may read metrics", postgresExample, `metrics_from = ["10.244.7.0/24"] => `, "config: server.metrics_from is missing"},
		{"a file that is not there", sqliteExample, `"ldap.password" => "ldap.passwd"`, "config names the file ldap.passwd (file), which is not in files"},
		{"a CA that is not there", sqliteExample, `ca = "corp-ca.crt" => ca = "ca.crt"`, "config names the file ca.crt (ca), which is not in files"},
		{"a variable that is not there", postgresExample, `env: []`, "config reads the environment variable LDAP_PASSWORD, which is not in env"},
		{"policy with another table", postgresExample, "policy: \"[[rule]]\\nname = 'a'\\n[server]\\nlisten = ':1'\"", "policy holds [[rule]] tables and nothing else; move [server] to config"},
		{"policy with a provider", postgresExample, "policy: \"[[rule]]\\nname = 'a'\\n [[provider]]\\nname = 'b'\"", "policy holds [[rule]] tables and nothing else; move [[provider]] to config"},
		{"policy that goes on with the last table", postgresExample, "policy: \"# mine\\ninsecure = true\\n[[rule]]\\nname = 'a'\"", "policy must begin with [[rule]]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			args := change(t, tt.example, tt.values)
			out, err := render(t, args...)
			if err == nil {
				t.Fatalf("the chart takes it:\n%s", out)
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("the error is\n%v\nwant in it\n%s", err, tt.want)
			}
			if strings.Contains(err.Error(), "hunter2") && !strings.Contains(tt.want, "got string") {
				t.Errorf("the error repeats the secret: %v", err)
			}
		})
	}
}

// TestEverySecretIsRefused: the chart knows each key of the configuration that is a
// secret.
func TestEverySecretIsRefused(t *testing.T) {
	t.Parallel()
	reference, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	keys := regexp.MustCompile("(?m)^\\| `([a-z_.]+)` \\| secret \\|").FindAllStringSubmatch(string(reference), -1)
	if len(keys) < 5 {
		t.Fatalf("docs/configuration.md has %d secrets", len(keys))
	}
	for _, key := range keys {
		// a.b.key = "…" is one of the forms, and a = { b = { key = "…" } } another.
		path := strings.Split(key[1], ".")
		value := `"hunter2"`
		if key[1] == "store" {
			value = `"postgres://shorepass:hunter2@db.corp.example/shorepass"`
		}
		inline := path[len(path)-1] + " = " + value
		for i := len(path) - 2; i >= 0; i-- {
			inline = path[i] + " = { " + inline + " }"
		}
		for _, text := range []string{key[1] + " = " + value, inline} {
			_, err := render(t, change(t, sqliteExample, "listen = \":5001\" => listen = \":5001\"\n  "+text)...)
			if err == nil || !strings.Contains(err.Error(), "Helm stores values in the cluster") || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%s in values: %v", text, err)
			}
		}
	}
}

// TestSecretInEnvironmentIsRefused: config reads nothing but secrets from variables, so
// one that it reads must be from a Secret, however it is called.
func TestSecretInEnvironmentIsRefused(t *testing.T) {
	t.Parallel()
	config := change(t, postgresExample, `store = { file = "store.url" } => store = { env = "STORE" }`)
	env := change(t, postgresExample, `env: [{name: STORE, value: hunter2}, {name: LDAP_PASSWORD, valueFrom: {secretKeyRef: {name: ldap, key: password}}}]`)
	_, err := render(t, append(config, env[2:]...)...)
	if err == nil || !strings.Contains(err.Error(), "env: config reads a secret from STORE") || strings.Contains(err.Error(), "hunter2") {
		t.Error(err)
	}
}

// change returns the arguments of helm for an example with a change: further values, or
// "OLD => NEW" in its text.
func change(t *testing.T, example, values string) []string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "values.yaml")
	if old, changed, ok := strings.Cut(values, " => "); ok {
		text, err := os.ReadFile(example)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Count(string(text), old) != 1 {
			t.Fatalf("%s has %q %d times, want it once", example, old, strings.Count(string(text), old))
		}
		writeFile(t, name, strings.Replace(string(text), old, changed, 1))
		return []string{"-f", name}
	}
	writeFile(t, name, values)
	return []string{"-f", example, "-f", name}
}

func writeFile(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
