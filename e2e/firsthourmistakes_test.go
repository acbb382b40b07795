package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// firstHourMistakes are the mistakes, by the side on which they are made.
func firstHourMistakes() []mistake {
	all := []mistake{{name: "no mistake", key: "Login Succeeded"}}
	return slices.Concat(all, serverMistakes, directoryMistakes, openIDMistakes, registryMistakes, commandMistakes)
}

var serverMistakes = []mistake{
	{name: "http public URL beside tls", key: "public_urls", change: replacing(`"https://localhost`, `"http://localhost`)},
	{name: "no public URL", key: "public_urls", change: func(t *testing.T, h *firstHour) {
		_, line, _ := strings.Cut(h.config, "public_urls")
		line, _, _ = strings.Cut(line, "\n")
		h.replace(t, "public_urls"+line+"\n", "")
	}},
	{name: "port out of range", key: "server.listen", change: func(t *testing.T, h *firstHour) { h.replace(t, `listen      = ":`, `listen      = ":9`) }},
	{name: "F1 public URL of another port", key: "public_urls", change: func(t *testing.T, h *firstHour) {
		h.replace(t, fmt.Sprintf("https://localhost:%d", h.port), "https://localhost")
	}},
	{name: "F6 certificate that has ended", key: "server.tls", change: func(t *testing.T, h *firstHour) {
		must(t, writeCertificate(h.dir, "server", time.Now().AddDate(-1, 0, 0), time.Now().Add(-time.Hour)))
	}},
	{name: "F6 certificate that ends soon", key: "server.tls", run: commands("check"), change: func(t *testing.T, h *firstHour) {
		must(t, writeCertificate(h.dir, "server", time.Now().AddDate(-1, 0, 0), time.Now().Add(130*time.Hour)))
	}},
	{name: "misspelt key", key: "bind_password", change: replacing("bind_password", "bind_pasword")},
	{name: "no environment variable", key: "bind_password", change: replacing("LDAP_PASSWORD", "LDAP_PASWORD")},
	{name: "certificate and key swapped", key: "tls", change: replacing(`certificate = "server.crt", key = "server.key"`, `certificate = "server.key", key = "server.crt"`)},
	{name: "no certificate", key: "tls.certificate", change: func(t *testing.T, h *firstHour) { must(t, os.Remove(filepath.Join(h.dir, "server.crt"))) }},
	{name: "E5 key file of a service missing", key: "root_certificate", change: func(_ *testing.T, h *firstHour) {
		h.config += "\n[[service]]\nname = \"registry.corp.example\"\nroot_certificate = \"other.crt\"\nroot_key = \"other.key\"\n"
	}},
	{name: "rule without a group", key: "groups", change: replacing(`groups       = ["devs"]`, `group        = ["devs"]`)},
}

var directoryMistakes = []mistake{
	{name: "wrong host", key: "urls", change: func(t *testing.T, h *firstHour) { h.replace(t, h.ldap.LDAPS, "ldaps://dc1.invalid") }},
	{name: "wrong port", key: "urls", change: func(t *testing.T, h *firstHour) {
		h.replace(t, h.ldap.LDAPS, "ldaps://"+unusedAddress(t))
	}},
	{name: "plain port for ldaps", key: "urls", change: func(t *testing.T, h *firstHour) {
		h.replace(t, h.ldap.LDAPS, strings.Replace(h.ldap.URL, "ldap://", "ldaps://", 1))
	}},
	{name: "password in the clear", key: "insecure", change: func(t *testing.T, h *firstHour) { h.replace(t, h.ldap.LDAPS, h.ldap.URL) }},
	{name: "untrusted CA", key: "tls.ca", change: func(t *testing.T, h *firstHour) {
		h.replace(t, "tls    = { ca = ", "#tls    = { ca = ")
	}},
	{name: "wrong service password", key: "bind_password", change: replacing(`{ env = "LDAP_PASSWORD" }`, `"not-it"`)},
	{name: "wrong service account", key: "bind_dn", change: replacing("uid=svc,", "uid=srv,")},
	{name: "wrong people base", key: "users.base", change: replacing("ou=people,", "ou=persons,")},
	{name: "people base of groups", key: "users.base", change: func(t *testing.T, h *firstHour) { h.replace(t, h.ldap.People, h.ldap.Groups) }},
	{name: "wrong group base", key: "groups.base", change: replacing("ou=groups,", "ou=group,")},
	{name: "wrong people filter", key: "users.filter", change: replacing(`users  = { `, `users  = { filter = "(sAMAccountName={user})", `)},
	{name: "wrong group filter", key: "groups.filter", change: replacing(`groups = { `, `groups = { filter = "(uniqueMember={login})", `)},
	{name: "wrong name attribute", key: "users.name", change: replacing(`users  = { `, `users  = { name = "sAMAccountName", filter = "(uid={user})", `)},
	{name: "wrong subject attribute", key: "users.subject", change: replacing(`users  = { `, `users  = { subject = "objectGUID", `)},
	{name: "wrong group attribute", key: "groups.attribute", change: replacing(`groups = { `, `groups = { attribute = "groupMembership", `)},
	{name: "wrong preset", key: "preset", change: replacing(`preset = "openldap"`, `preset = "activedirectory"`)},
	{name: "group of a rule missing", key: "groups", change: replacing(`groups       = ["devs"]`, `groups       = ["developers"]`)},
	{name: "wrong password of the person", key: "password", change: func(_ *testing.T, h *firstHour) {
		h.password = secrets.add("wrong password", "alice-is-not-her")
	}},
}

// useSSO replaces the directory with an OpenID provider. change changes its table.
func useSSO(change func(table string) string) func(*testing.T, *firstHour) {
	return func(t *testing.T, h *firstHour) {
		t.Helper()
		o := newSSO(t)
		h.password = o.alice.Password
		h.names[o.Issuer] = "ISSUER"
		before, rest, _ := strings.Cut(h.config, "[[provider]]")
		_, rules, _ := strings.Cut(rest, "[[rule]]")
		table := o.toml()
		if changed := change(table); changed != table {
			table = changed
		} else {
			t.Fatalf("the mistake changes nothing in\n%s", table)
		}
		h.config = before + strings.TrimSpace(table) + "\n\n[[rule]]" + rules
	}
}

// ssoReplacing is a change of the OpenID provider's table.
func ssoReplacing(old, new string) func(*testing.T, *firstHour) {
	return useSSO(func(table string) string { return strings.Replace(table, old, new, 1) })
}

var openIDMistakes = []mistake{
	{name: "D18 wrong client secret", key: "client_secret", change: ssoReplacing(ssoClient.Secret, "not-the-secret")},
	{name: "wrong client", key: "client_id", change: ssoReplacing(`client_id = "registry"`, `client_id = "registri"`)},
	{name: "wrong issuer path", key: "issuer", change: useSSO(func(table string) string {
		first, rest, _ := strings.Cut(table, "\nclient_id")
		return strings.TrimSuffix(first, `"`) + `/realms/none"` + "\nclient_id" + rest
	})},
	{name: "wrong issuer host", key: "issuer", change: useSSO(func(table string) string {
		first, rest, _ := strings.Cut(table, "issuer = ")
		_, rest, _ = strings.Cut(rest, "\n")
		return first + "issuer = \"https://sso.invalid\"\n" + rest
	})},
	{name: "wrong groups claim", key: "groups", change: ssoReplacing(`claim = "groups"`, `claim = "roles"`)},
	{name: "wrong users claim", key: "users", change: ssoReplacing(`groups = {`, "users = { claim = \"upn\" }\ngroups = {")},
	{name: "ID tokens without an audience", key: "audience", change: ssoReplacing(`grants = ["password", "refresh_token"]`, `grants = ["id_token"]`)},
}

// registryReplacing is a change of the registry's block.
func registryReplacing(old, new string) func(*testing.T, *firstHour) {
	return func(t *testing.T, h *firstHour) {
		h.registry = func(block string) string {
			changed := strings.Replace(block, old, new, 1)
			if changed == block {
				t.Fatalf("the mistake changes nothing in\n%s", block)
			}
			return changed
		}
	}
}

var registryMistakes = []mistake{
	{name: "registry without a mistake", key: "good", run: pullAtRegistry},
	{name: "E7 wrong realm path", key: "realm", change: registryReplacing("/jwt/auth", "/auth"), run: pullAtRegistry},
	{name: "wrong realm host", key: "realm", change: registryReplacing("https://localhost", "https://auth.invalid"), run: pullAtRegistry},
	{name: "http realm", key: "realm", change: registryReplacing("https://localhost", "http://localhost"), run: pullAtRegistry},
	{name: "wrong service at the registry", key: "service", change: registryReplacing(`service: "registry.corp.example"`, `service: "registry"`), run: pullAtRegistry},
	{name: "F9 wrong issuer at the registry", key: "issuer", change: registryReplacing(`issuer: "shorepass"`, `issuer: "shorepas"`), run: pullAtRegistry},
	{name: "F9 old root at the registry", key: "rootcertbundle", change: func(t *testing.T, h *firstHour) {
		h.registry = func(block string) string {
			return regexp.MustCompile(`rootcertbundle: .*`).ReplaceAllString(block, "rootcertbundle: "+filepath.Join(rootCA, "RootCA.crt"))
		}
	}, run: pullAtRegistry},
	{name: "check --registry of another port", key: "--registry", run: func(t *testing.T, h *firstHour) string {
		return h.shorepass(t, "keys init") + h.shorepass(t, "check --registry http://"+unusedAddress(t))
	}},
}

// commands runs one command after another.
func commands(lines ...string) func(*testing.T, *firstHour) string {
	return func(t *testing.T, h *firstHour) string {
		t.Helper()
		var all strings.Builder
		for _, line := range lines {
			all.WriteString(h.shorepass(t, line))
		}
		return all.String()
	}
}

var commandMistakes = []mistake{
	{name: "F11 unknown subcommands", key: "revoke", run: commands("sessions end", "keys foo", "serv", "check --liv")},
	{name: "F11 check --json of a fault", key: "server.listen", change: func(t *testing.T, h *firstHour) { h.replace(t, `listen      = ":`, `listen      = ":9`) }, run: commands("check --json")},
	{name: "F11 explain of a denial", key: "exit", run: commands("explain --user alice --group others --scope repository:devs/app:pull", "explain --exit-code --user alice --group others --scope repository:devs/app:pull", "explain --exit-code --user alice --group devs --scope repository:devs/app:pull")},
	{name: "F4 what the directory says of a person", key: "devs", run: commands("explain --live --user alice --scope repository:devs/app:pull", "explain --live --user nobody")},
	{name: "E6 keys in a fresh folder", key: "RootCA.crt", run: commands("keys init", "keys show")},
	{name: "E1 E4 zot with a bundle and a short lifetime", key: "lifetime", run: func(t *testing.T, h *firstHour) string {
		text := h.shorepass(t, "registry-config --registry zot") + h.shorepass(t, "keys init")
		h.config += "\n[[service]]\nname = \"registry.corp.example\"\nsigning = \"kid\"\nroot_certificate = \"data/RootCA.crt\"\nroot_key = \"data/RootCA.key\"\n"
		text += h.shorepass(t, "registry-config --registry zot")
		path := filepath.Join(h.dir, "data", "RootCA.crt")
		one, err := os.ReadFile(path)
		must(t, err)
		other, err := os.ReadFile(filepath.Join(rootCA, "RootCA.crt"))
		must(t, err)
		must(t, os.WriteFile(path, slices.Concat(one, other), 0o600))
		return text + h.shorepass(t, "registry-config --registry zot")
	}},
	{name: "registry-config before the first start", key: "keys init", run: commands("registry-config")},
	{name: "no configuration", key: "--config", run: commands("check --config nowhere.toml")},
}
