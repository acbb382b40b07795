package providers

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestAdopt(t *testing.T) {
	for _, test := range []struct {
		name   string
		edit   func(*Config)
		method Method
		found  Identity
		groups string
		unsure string
		user   string
	}{
		{"as found", nil, MethodPassword, in("ops", "devs", "ops"), "authenticated devs ops", "", "bob"},
		{"groups that no rule could name", nil, MethodPassword, in("a\nb", "café"), "authenticated café", "*", "bob"},
		{"groups that are not UTF-8", nil, MethodPassword, in("caf\xe9", "café"), "authenticated café", "*", "bob"},
		{"a group without a name", nil, MethodPassword, in("", "devs"), "authenticated devs", "*", "bob"},
		{"prefix", prefixed("gh:"), MethodPassword, in("devs"), "authenticated gh:devs", "", "gh:bob"},
		{"prefix before what is unsure", prefixed("gh:"), MethodPassword, Identity{Groups: []string{"devs"}, Unsure: []string{"ops", "devs", "ops"}}, "authenticated gh:devs", "gh:ops", "gh:bob"},
		{"no prefix before what is not known at all", prefixed("gh:"), MethodPassword, Identity{Unsure: []string{"ops", UnsureAll}}, "authenticated", "*", "gh:bob"},
		{"groups of our names", nil, MethodPassword, in("anonymous", "authenticated", "Anonymous", "anonymous2"), "anonymous2 authenticated", "", "bob"},
		{"unsure groups of our names", nil, MethodPassword, Identity{Unsure: []string{"anonymous", "Authenticated"}}, "authenticated", "", "bob"},
		{"groups of our names with a prefix", prefixed("x-"), MethodPassword, in("anonymous", "devs"), "authenticated x-devs", "", "x-bob"},
		{"groups of our names by a prefix", prefixed("anony"), MethodPassword, in("mous", "x"), "anonyx authenticated", "", "anonybob"},
		{"an ID token does not authenticate", nil, MethodIDToken, in("authenticated", "devs"), "devs", "", "bob"},
		{"an ID token authenticates if configured", func(c *Config) { c.IDTokensAuthenticated = true }, MethodIDToken, in(), "authenticated", "", "bob"},
		{"a refresh token authenticates", nil, MethodRefresh, in(), "authenticated", "", "bob"},
		{"case-sensitive", nil, MethodPassword, Identity{User: "Bob", Groups: []string{"Devs", "devs"}, Unsure: []string{"DEVS"}}, "Devs authenticated devs", "DEVS", "Bob"},
		{"not case-sensitive", nil, MethodPassword, Identity{User: "Bob", FoldsCase: true, Groups: []string{"Devs", "devs"}, Unsure: []string{"DEVS"}}, "Devs authenticated", "", "bob"},
		{"required", func(c *Config) { c.RequireGroups = []string{"ops", "d*"} }, MethodPassword, in("devs"), "authenticated devs", "", "bob"},
		{"required, without case", func(c *Config) { c.RequireGroups = []string{"DEVS"} }, MethodPassword, Identity{FoldsCase: true, Groups: []string{"Devs"}}, "Devs authenticated", "", "bob"},
	} {
		cfg := Config{Name: "corp"}
		if test.edit != nil {
			test.edit(&cfg)
		}
		found := test.found
		found.Subject, found.User = "1", cmp.Or(found.User, "bob")
		found.Groups, found.Unsure = slices.Clone(found.Groups), slices.Clone(found.Unsure)
		id, err := newMember(&directory{}, cfg).adopt(&found, test.method)
		if err != nil {
			t.Errorf("%s: adopt = %v, want an identity", test.name, err)
			continue
		}
		if id.User != test.user || id.Provider != "corp" || id.AuthTime.IsZero() || id.Method != test.method {
			t.Errorf("%s: adopt gave %q by %q, want %q", test.name, id.User, id.Method, test.user)
		}
		if groups, unsure := strings.Join(id.Groups, " "), strings.Join(id.Unsure, " "); groups != test.groups || unsure != test.unsure {
			t.Errorf("%s: adopt gave the groups %q and %q, want %q and %q", test.name, groups, unsure, test.groups, test.unsure)
		}
		if !slices.Equal(found.Groups, test.found.Groups) || !slices.Equal(found.Unsure, test.found.Unsure) {
			t.Errorf("%s: adopt changed the identity of the provider", test.name)
		}
	}
	for _, refused := range []struct {
		name string
		edit func(*Config)
		id   Identity
	}{
		{"not in a required group", func(c *Config) { c.RequireGroups = []string{"ops"} }, in("devs", "OPS")},
		{"perhaps in a required group", func(c *Config) { c.RequireGroups = []string{"ops"} }, Identity{Unsure: []string{"ops"}}},
		{"perhaps in any group", func(c *Config) { c.RequireGroups = []string{"*"} }, Identity{Unsure: []string{UnsureAll}}},
	} {
		cfg := Config{Name: "corp"}
		refused.edit(&cfg)
		refused.id.Subject, refused.id.User = "1", "bob"
		if _, err := newMember(&directory{}, cfg).adopt(&refused.id, MethodPassword); !errors.Is(err, ErrRejected) || ReasonOf(err) != RefusedByConfig {
			t.Errorf("%s: adopt = %v, want ErrRejected by the configuration", refused.name, err)
		}
	}
	for _, invalid := range []*Identity{{User: "bob"}, {Subject: "1"}, {Subject: "1", User: "bob\xe9"}, {Subject: "1", User: "bob\x1b[2J"}, {Subject: "\xe9", User: "bob"}} {
		if _, err := newMember(&directory{}, Config{}).adopt(invalid, MethodPassword); !errors.Is(err, ErrRejected) || ReasonOf(err) != RefusedByConfig {
			t.Errorf("adopt(%v) = %v, want ErrRejected", invalid, err)
		}
	}
	if _, err := newMember(&directory{}, Config{}).adopt(nil, MethodPassword); err == nil || errors.Is(err, ErrRejected) {
		t.Errorf("adopt(nil) = %v, want an error that means unavailable", err)
	}
}

func in(groups ...string) Identity { return Identity{Groups: groups} }

func prefixed(prefix string) func(*Config) { return func(c *Config) { c.Prefix = &prefix } }

// loginChecker is a file with local users.
type loginChecker struct {
	directory
	users []string
}

func (k *loginChecker) HasLogin(login Login) bool {
	return slices.ContainsFunc(k.users, func(name string) bool { return FoldCase(name) == FoldCase(string(login)) })
}

// TestNamesOfLocalUsers: an account of another provider with the name of a local user is
// refused, unless one of the two has a prefix.
func TestNamesOfLocalUsers(t *testing.T) {
	for _, test := range []struct {
		name, prefix, filePrefix string
		user, want               string // want empty: rejected
	}{
		{"another name", "", "", "bob", "bob"},
		{"the name", "", "", "admin", ""},
		{"the name in another case", "", "", "Admin", ""},
		{"the name in another form", "", "", "ａdmin", ""},
		{"after a prefix", "sso:", "", "admin", "sso:admin"},
		{"of a file with a prefix", "", "local:", "admin", "admin"},
		{"with the prefix of the file", "", "local:", "local:admin", ""},
	} {
		d := &directory{accounts: map[Login]fakeAccount{"x": account("right", "uuid-1", test.user)}}
		d.again = func(*Identity) (*Identity, error) { return &Identity{Subject: "uuid-1", User: test.user}, nil }
		file := Config{Name: "local", Kind: "file", Match: []string{"nobody"}}
		if test.filePrefix != "" {
			file.Prefix = &test.filePrefix
		}
		c := chainOf(t, newThrottle(t),
			Member{d, Config{Name: "sso", Kind: "oidc", Prefix: &test.prefix}}, Member{&loginChecker{users: []string{"admin"}}, file})
		login, err := c.Authenticate(t.Context(), typed("x", "right", home))
		again, errAgain := c.Revalidate(t.Context(), &Identity{Provider: "sso", Subject: "uuid-1"})
		for _, got := range []struct {
			id  *Identity
			err error
		}{{login, err}, {again, errAgain}} {
			switch {
			case test.want == "" && (!errors.Is(got.err, ErrRejected) || ReasonOf(got.err) != RefusedByConfig):
				t.Errorf("%s: %v, %v, want ErrRejected by the configuration", test.name, got.id, got.err)
			case test.want != "" && (got.err != nil || got.id.User != test.want):
				t.Errorf("%s: %v, %v, want %q", test.name, got.id, got.err, test.want)
			}
		}
	}
}

// TestNamesWithAnotherPrefix: a name that begins with another provider's prefix is refused,
// and a group of such a name dropped.
func TestNamesWithAnotherPrefix(t *testing.T) {
	for _, test := range []struct {
		name           string
		kind           string
		own, other     string // prefixes
		user           string
		groups         []string
		wantUser, want string // wantUser empty: rejected
	}{
		{"a prefix in a name", "oidc", "", "gh:", "gh:bob", nil, "", ""},
		{"a prefix in a group", "oidc", "", "gh:", "bob", []string{"gh:admins", "gh", "x-gh:admins"}, "bob", "authenticated gh x-gh:admins"},
		{"a prefix that ends in the name", "oidc", "g", "gh:", "h:bob", []string{"h:admins", "hh:a"}, "", ""},
		{"the same prefix on purpose", "oidc", "gh:", "gh:", "bob", []string{"admins"}, "gh:bob", "authenticated gh:admins"},
		{"a longer prefix", "oidc", "gh:x:", "gh:", "bob", []string{"admins"}, "gh:x:bob", "authenticated gh:x:admins"},
		{"none elsewhere", "oidc", "", "", "gh:bob", []string{"gh:admins"}, "gh:bob", "authenticated gh:admins"},
		{"in a file, which the operator writes", "file", "", "gh:", "gh:bob", []string{"gh:admins"}, "gh:bob", "authenticated gh:admins"},
	} {
		d := &directory{accounts: map[Login]fakeAccount{"bob": account("right", "uuid-1", test.user, test.groups...)}}
		d.again = func(*Identity) (*Identity, error) {
			return &Identity{Subject: "uuid-1", User: test.user, Groups: test.groups}, nil
		}
		c := chainOf(t, newThrottle(t),
			Member{d, Config{Name: "own", Kind: test.kind, Prefix: &test.own}},
			Member{&directory{}, Config{Name: "other", Kind: "oidc", Prefix: &test.other}})
		login, err := c.Authenticate(t.Context(), typed("bob", "right", home))
		again, errAgain := c.Revalidate(t.Context(), &Identity{Provider: "own", Subject: "uuid-1"})
		for _, got := range []struct {
			id  *Identity
			err error
		}{{login, err}, {again, errAgain}} {
			switch {
			case test.wantUser == "" && !errors.Is(got.err, ErrRejected):
				t.Errorf("%s: %v, %v, want ErrRejected", test.name, got.id, got.err)
			case test.wantUser != "" && (got.err != nil || got.id.User != test.wantUser || strings.Join(got.id.Groups, " ") != test.want):
				t.Errorf("%s: %v, %v, want %q in %q", test.name, got.id, got.err, test.wantUser, test.want)
			}
		}
	}
}

// TestNamesWithAnotherPrefixInAnyCase: rules fold the names of a provider that ignores case,
// so that "GH:admins" would be "gh:admins".
func TestNamesWithAnotherPrefixInAnyCase(t *testing.T) {
	for _, test := range []struct {
		name       string
		folds      bool
		own, other string // prefixes
		user       string
		group      string
		want       string // groups; empty: rejected
	}{
		{"a group", true, "", "gh:", "bob", "GH:admins", "authenticated"},
		{"a group of a case-sensitive provider", false, "", "gh:", "bob", "GH:admins", "GH:admins authenticated"},
		{"a prefix with capitals", true, "", "GH:", "gh:bob", "x", ""},
		{"with one before it", true, "g", "GH:", "bob", "h:admins", "authenticated"},
	} {
		d := &directory{again: func(*Identity) (*Identity, error) {
			return &Identity{Subject: "uuid-1", User: test.user, Groups: []string{test.group}, FoldsCase: test.folds}, nil
		}}
		c := chainOf(t, newThrottle(t),
			Member{d, Config{Name: "own", Kind: "ldap", Prefix: &test.own}},
			Member{&directory{}, Config{Name: "other", Kind: "oidc", Prefix: &test.other}})
		id, err := c.Revalidate(t.Context(), &Identity{Provider: "own", Subject: "uuid-1"})
		if test.want == "" && !errors.Is(err, ErrRejected) || test.want != "" && (err != nil || strings.Join(id.Groups, " ") != test.want) {
			t.Errorf("%s: %v, %v, want %q", test.name, id, err, test.want)
		}
	}
}
