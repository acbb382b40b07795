package e2e

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"shorepass/providers/ldap/ldaptest"
)

// branch is the directory of a company's branch. All branches have people and
// groups of the same names.
type branch struct {
	*ldaptest.Slapd
	name string
}

func newBranch(t *testing.T, name string) branch {
	b := branch{ldaptest.StartSlapd(t, ldaptest.SlapdOptions{}), name}
	for _, uid := range []string{"alice", "bob"} {
		b.SetPassword(t, b.Person(uid), b.password(uid))
		b.Set(t, b.Person(uid), "pwdReset") // else it must be changed first
	}
	return b
}

func (b branch) password(uid string) string {
	return secrets.add("password of "+uid, uid+"-of-"+b.name)
}

// toml returns the provider of the branch, whose match has its domain and
// further globs.
func (b branch) toml(more string, match ...string) string {
	domain := b.name + ".example"
	return fmt.Sprintf(`
[[provider]]
name = %q
kind = "ldap"
preset = "openldap"
prefix = "%s-"
match = %s
urls = [%q]
tls = { ca = %q }
bind_dn = %q
bind_password = %q
users = { base = %q, domains = [%q] }
groups = { base = %q }
%s
`, b.name, b.name, array(append(match, "*@"+domain)), b.LDAPS, b.CA, b.BindDN, b.Password, b.People, domain, b.Groups, more)
}

// requests returns the number of searches for accounts and of binds with
// passwords.
func (b branch) requests(t *testing.T) int { return b.Searches(t, b.People) + b.Binds(t, b.People) }

// TestTwoDirectories configures two directories: a name goes only to the
// directory whose match has it, groups of the same name are two groups, and an
// outage of one directory affects only its own people.
func TestTwoDirectories(t *testing.T) {
	t.Parallel()
	west, east := newBranch(t, "west"), newBranch(t, "east")
	// A rule of "devs" alone could never match, and would be refused.
	rules := ""
	for folder, groups := range map[string]string{"west": `"west-devs"`, "east": `"east-devs"`, "team-alpha": `"devs", "west-none"`} {
		rules += fmt.Sprintf("[[rule]]\ngroups = [%s]\nrepositories = [\"%s/**\"]\nactions = [\"pull\"]\n", groups, folder)
	}
	s := newServer(t, options{
		providers: west.toml("", "alice") + east.toml(`require_groups = ["east-devs"]`, "alice"),
		rules:     rules,
	})
	const scope = "&scope=repository:west/x:pull&scope=repository:east/x:pull&scope=repository:team-alpha/x:pull"
	login := func(user, password string) answer {
		return s.get(t, "offline_token=true&service="+service+scope, basic(user, password))
	}
	refused := s.get(t, "service="+service, basic("carol@north.example", "carolpw")).Raw

	for _, tc := range []struct {
		name           string
		user, password string
		subject        string // "" for a refusal
		granted        string
		west, east     int // binds; with 0 there is no search either
	}{
		{"in the west", "alice@west.example", west.password("alice"), "west-alice", "repository:west/x:pull", 1, 0},
		{"in the east", "alice@east.example", east.password("alice"), "east-alice", "repository:east/x:pull", 0, 1},
		{"in the west, in upper case", "Alice@WEST.example", west.password("alice"), "west-alice", "repository:west/x:pull", 1, 0},
		{"with the password of the same name in the east", "bob@west.example", east.password("bob"), "", "", 1, 0},
		{"in none of the groups that the east requires", "bob@east.example", east.password("bob"), "", "", 0, 1},
		{"in the same groups of the west, which requires none", "bob@west.example", west.password("bob"), "west-bob", "", 1, 0},
		{"in the match of both, found in the first", "alice", west.password("alice"), "west-alice", "repository:west/x:pull", 1, 0},
		{"in the match of both, with the password of the second", "alice", east.password("alice"), "", "", 1, 0},
		{"in the match of none", "bob", west.password("bob"), "", "", 0, 0},
		{"in an unknown domain", "alice@north.example", west.password("alice"), "", "", 0, 0},
	} {
		binds, requests := map[string]int{}, map[string]int{}
		for _, b := range []branch{west, east} {
			binds[b.name], requests[b.name] = b.Binds(t, b.People), b.requests(t)
		}
		a := login(tc.user, tc.password)
		switch {
		case tc.subject == "" && (a.Status != http.StatusUnauthorized || a.Raw != refused):
			t.Errorf("%s: login as %q = %v, want 401 and\n%s", tc.name, tc.user, a, refused)
		case tc.subject != "" && (a.Status != http.StatusOK || a.claims(t).Subject != tc.subject || a.granted(t) != tc.granted):
			t.Errorf("%s: login as %q = %v, want %q for %s", tc.name, tc.user, a, tc.granted, tc.subject)
		}
		for b, want := range map[branch]int{west: tc.west, east: tc.east} {
			if n := b.Binds(t, b.People) - binds[b.name]; n != want {
				t.Errorf("%s: login as %q made %d binds in the %s, want %d", tc.name, tc.user, n, b.name, want)
			}
			if n := b.requests(t) - requests[b.name]; want == 0 && n != 0 {
				t.Errorf("%s: the %s got %d requests about %q, want none", tc.name, b.name, n, tc.user)
			}
		}
	}

	west.Hang() // so that a login that waits for it shows
	defer west.Resume()
	for _, tc := range []struct {
		name           string
		user, password string
		status         int
	}{
		{"in the east only", "alice@east.example", east.password("alice"), http.StatusOK},
		{"in the west only", "alice@west.example", west.password("alice"), http.StatusServiceUnavailable},
		{"in the match of both", "alice", west.password("alice"), http.StatusServiceUnavailable},
		{"in the match of none", "alice@north.example", west.password("alice"), http.StatusUnauthorized},
	} {
		began := time.Now()
		a := login(tc.user, tc.password)
		if a.Status != tc.status || tc.status == http.StatusOK && a.granted(t) != "repository:east/x:pull" {
			t.Errorf("with the west down, a name %s = %v, want %d", tc.name, a, tc.status)
		}
		if took := time.Since(began); tc.status != http.StatusServiceUnavailable && took > 2*time.Second {
			t.Errorf("with the west down, a name %s took %v, want no wait for the west's three seconds", tc.name, took)
		}
	}
}
