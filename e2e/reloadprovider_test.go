package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"shorepass/providers/ldap/ldaptest"
)

// reload writes another configuration, reloads the server and waits until the
// reload succeeded.
func (s *server) reload(t *testing.T, o options) {
	t.Helper()
	const loaded = `"the configuration was reloaded"`
	before := strings.Count(s.process.output(), loaded)
	s.writeConfig(t, o)
	s.process.cmd.Process.Signal(syscall.SIGHUP)
	s.process.await(t, 10*time.Second, func() error {
		if strings.Count(s.process.output(), loaded) == before {
			return fmt.Errorf("the configuration was not reloaded")
		}
		return nil
	})
}

// TestProviderReloaded renames, removes or replaces the provider of a session
// by a reload: the session is refused and does not end, and is valid again when
// the old configuration is back.
func TestProviderReloaded(t *testing.T) {
	t.Parallel()
	d, o, tenant := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{}), newSSO(t), newSSO(t)
	directory, openID := slapdTOML(d, "prefix = \"\"\n"+groupsIn(d.Groups, "")), o.toml()+"prefix = \"sso:\"\n"
	file := testUsers().toml()
	original := options{providers: file + directory + openID, rules: directoryRules + testRules}
	s := newServer(t, original)
	refreshToken := secrets.add("provider's refresh token", o.Tokens(ssoClient, "alice", o.alice.Password).Refresh)
	tokens := map[string]string{
		"corp": s.login(t, "o(brien", "o(brienpw"),
		"file": s.login(t, "eve", testUsers()["eve"].password),
		"sso":  s.get(t, "offline_token=true&service="+service, basic("$refresh:sso", refreshToken)).RefreshToken,
	}
	checkSessions := func(t *testing.T, refused string) {
		t.Helper()
		for provider, token := range tokens {
			a := s.redeem(t, token, teamScope)
			if provider == refused && a.Status != http.StatusUnauthorized || provider != refused && !a.accepted() {
				t.Errorf("a session of %s, while that of %q is refused, = %v", provider, refused, a)
			}
		}
		if got := s.cli(t, "", "sessions", "list", "--ended", "--json"); !got.ok || strings.Contains(got.text, `"reason"`) {
			t.Errorf("shorepass sessions list --ended: %v\nwant no ended session", got)
		}
	}
	checkSessions(t, "")
	for _, tc := range []struct{ name, providers, refused string }{
		{"the directory is renamed", file + strings.Replace(directory, `name = "corp"`, `name = "company"`, 1) + openID, "corp"},
		{"the directory is removed", file + openID, "corp"},
		{"the directory has another base", file + strings.ReplaceAll(directory, d.People, "ou=elsewhere,"+d.Base) + openID, "corp"},
		{"the OpenID provider is renamed", file + directory + strings.Replace(openID, `name = "sso"`, `name = "idp"`, 1), "sso"},
		{"the OpenID provider is removed", file + directory, "sso"},
		{"the OpenID provider is another tenant", file + directory + strings.ReplaceAll(openID, o.Issuer, tenant.Issuer), "sso"},
		{"the OpenID provider has another client", file + directory + strings.ReplaceAll(openID, `"registry"`, `"registry2"`), "sso"},
		{"the file is renamed", strings.Replace(file, `name = "local"`, `name = "people"`, 1) + directory + openID, "file"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			changed := original
			changed.providers = tc.providers
			s.reload(t, changed)
			checkSessions(t, tc.refused)
			s.reload(t, original)
			checkSessions(t, "")
		})
	}
	if n := tenant.Requests("token"); n != 0 {
		t.Errorf("%d token requests at the other tenant, want none", n)
	}
}
