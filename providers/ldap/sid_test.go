package ldap_test

import (
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	goldap "github.com/go-ldap/ldap/v3"

	"shorepass/internal/secret"
	"shorepass/providers/ldap"
	"shorepass/providers/ldap/ldaptest"
)

// TestTokenGroupsWithOwnRights: without a service account, a group that one person may not
// see is nevertheless found for the next (C3).
func TestTokenGroupsWithOwnRights(t *testing.T) {
	var last atomic.Value // the name of the last bind: one login at a time
	last.Store("")
	f := ldaptest.NewFake(t, func(r ldaptest.Request) ldaptest.Answer {
		var found []ldaptest.FakeEntry
		bound := last.Load().(string)
		switch {
		case r.Operation == goldap.ApplicationBindRequest:
			last.Store(r.DN)
		case slices.Equal(r.Attributes, []string{"tokenGroups"}):
			found = []ldaptest.FakeEntry{{DN: bound, Attributes: ldaptest.Attributes{"tokenGroups": {"sid of barred"}}}}
		case !strings.Contains(r.Filter, "objectSid"):
			found = []ldaptest.FakeEntry{{DN: bound, Attributes: ldaptest.Attributes{
				"sAMAccountName": {strings.TrimPrefix(strings.Split(bound, ",")[0], "cn=")}, "userAccountControl": {"512"}, "objectGUID": {"forest-guid-0001"},
			}}}
		case strings.HasPrefix(bound, "cn=bob"):
			found = []ldaptest.FakeEntry{{DN: "cn=barred,dc=x", Attributes: ldaptest.Attributes{"sAMAccountName": {"barred"}, "objectSid": {"sid of barred"}}}}
		}
		return ldaptest.Answer{Entries: found}
	})
	cfg := fakeConfig(f)
	cfg.Preset, cfg.BindDN, cfg.BindPassword = "activedirectory", "", secret.Text{}
	cfg.Users, cfg.Groups.Base = ldap.Users{DNTemplate: "cn={user},dc=x"}, new("dc=x")
	p := newProvider(t, cfg)
	mustLogin(t, p, "alice", "pw")
	if id := mustLogin(t, p, "bob", "pw"); !slices.Equal(id.Groups, []string{"barred"}) {
		t.Errorf("groups of bob after alice = %q, want barred", id.Groups)
	}
}
