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

// reload writes another configuration, has the server load it and waits until
// it is in force.
func (s *site) reload(t *testing.T, o options) {
	t.Helper()
	const loaded = `"the configuration was reloaded"`
	before := strings.Count(s.server.said(), loaded)
	s.write(t, o)
	s.server.cmd.Process.Signal(syscall.SIGHUP)
	s.server.await(t, 10*time.Second, func() error {
		if strings.Count(s.server.said(), loaded) == before {
			return fmt.Errorf("it was not reloaded")
		}
		return nil
	})
}

// TestProviderReloaded renames, removes and points elsewhere the provider that
// people logged in at: their sessions are refused and do not end, and live on
// when the provider is put back.
func TestProviderReloaded(t *testing.T) {
	t.Parallel()
	d, o, tenant := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{}), newSSO(t), newSSO(t)
	corp, partner := slapdTOML(d, "prefix = \"\"\n"+groupsIn(d.Groups, "")), o.toml()+"prefix = \"sso:\"\n"
	house := theHouse().toml()
	was := options{providers: house + corp + partner, rules: directoryRules + houseRules}
	s := newSite(t, was)
	upstream := secrets.keep("provider's refresh token", o.Tokens(ssoClient, "alice", o.alice.Password).Refresh)
	tokens := map[string]string{
		"corp": s.login(t, "o(brien", "o(brienpw"),
		"file": s.login(t, "eve", theHouse()["eve"].password),
		"sso":  s.get(t, "offline_token=true&service="+service, basic("$refresh:sso", upstream)).RefreshToken,
	}
	holds := func(t *testing.T, refused string) {
		t.Helper()
		for who, token := range tokens {
			want := http.StatusOK
			if who == refused {
				want = http.StatusUnauthorized
			}
			if a := s.redeem(t, token, teamScope); a.Status != want {
				t.Errorf("a session of %s = %v, want %d", who, a, want)
			}
		}
		if got := s.cli(t, "", "sessions", "list", "--ended", "--json"); !got.ok || strings.Contains(got.text, `"reason"`) {
			t.Errorf("shorepass sessions list --ended: %v\nwant that none has ended", got)
		}
	}
	holds(t, "")
	for _, tc := range []struct{ name, providers, refused string }{
		{"the directory is renamed", house + strings.Replace(corp, `name = "corp"`, `name = "company"`, 1) + partner, "corp"},
		{"the directory is removed", house + partner, "corp"},
		{"the directory is pointed elsewhere", house + strings.ReplaceAll(corp, d.People, "ou=elsewhere,"+d.Base) + partner, "corp"},
		{"the OpenID provider is renamed", house + corp + strings.Replace(partner, `name = "sso"`, `name = "idp"`, 1), "sso"},
		{"the OpenID provider is removed", house + corp, "sso"},
		{"the OpenID provider is another tenant", house + corp + strings.ReplaceAll(partner, o.Issuer, tenant.Issuer), "sso"},
		{"the OpenID provider has another client", house + corp + strings.ReplaceAll(partner, `"registry"`, `"registry2"`), "sso"},
		{"the file is renamed", strings.Replace(house, `name = "local"`, `name = "people"`, 1) + corp + partner, "file"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			changed := was
			changed.providers = tc.providers
			s.reload(t, changed)
			holds(t, tc.refused)
			s.reload(t, was)
			holds(t, "")
		})
	}
	if n := tenant.Requests("token"); n != 0 {
		t.Errorf("the other tenant was asked %d times for a token, want never", n)
	}
}
