package providers

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"shorepass/internal/secret"
	"shorepass/throttle"
)

func pointer[T any](v T) *T { return &v }

// jwt is an unsigned token of that payload.
func jwt(payload string) string { return rawJWT(`{"alg":"RS256","typ":"JWT"}`, payload) }

func rawJWT(header, payload string) string {
	b := base64.RawURLEncoding
	return b.EncodeToString([]byte(header)) + "." + b.EncodeToString([]byte(payload)) + ".c2ln"
}

// TestRoute: the kind of a secret, and the providers that may see it.
func TestRoute(t *testing.T) {
	file := &fakeFile{directory{accounts: map[Login]fakeAccount{"local": account("right", "local", "local")}}}
	ldap := &directory{print: "ldap"}
	sso := &directory{print: "sso", takes: []Kind{Password, RefreshToken}, issuers: []string{"https://sso"}}
	ci := &directory{print: "ci", takes: []Kind{IDToken}, issuers: []string{"https://ci"}}
	mfa := &directory{print: "mfa", takes: []Kind{RefreshToken}, issuers: []string{"https://mfa"}}
	all := []Member{
		{file, Config{Name: "local", Kind: "file"}},
		{mfa, Config{Name: "Mfa", Kind: "oidc", Prefix: pointer("m:"), Match: []string{"*@MFA.example"}}},
		{sso, Config{Name: "sso", Kind: "oidc", Prefix: pointer("s:"), Match: []string{"*@partner.example", `PARTNER\*`}}},
		{ci, Config{Name: "ci", Kind: "oidc", Prefix: pointer("c:")}},
		{ldap, Config{Name: "corp", Kind: "ldap", Prefix: pointer("")}},
	}
	c := chainOf(t, newThrottle(t), all...)
	const jwe = "eyJhbGciOiJkaXIiLCJlbmMiOiJBMTI4R0NNIn0..aXY.Y2lwaGVy.dGFn"
	for _, test := range []struct {
		login  Login
		secret string
		kind   Kind
		to     string
	}{
		{"bob", "secret", Password, "local corp"},
		{"bob@partner.example", "secret", Password, "local sso corp"},
		{`partner\bob`, "secret", Password, "local sso corp"},
		{"bob", "a.b.c", Password, "local corp"},
		{"bob", "eeeee.b.c", Password, "local corp"},
		{"bob", "e.g..", Password, "local corp"},
		{"bob", "[1].b.c", Password, "local corp"},
		{"bob", "Bearer of good news", Password, "local corp"},
		{"bob", " " + rawJWT(`{"alg":"RS256"}`, `{"iss":"https://ci"}`), IDToken, "ci"},
		{"bob", rawJWT(`{"alg":"RS256"}`, `{"iss":"https://ci"}`) + "\n", IDToken, "ci"},
		{"bob", "Bearer " + rawJWT(`{"alg":"RS256"}`, `{"iss":"https://ci"}`), IDToken, "ci"},
		{"bob", rawJWT(` {"alg":"RS256"}`, `{"iss":"https://ci"}`), IDToken, "ci"},
		{"bob", "\t" + rawJWT(`{"alg":"RS256"}`, `{"iss":"https://nobody"}`), IDToken, ""},
		{"", "secret", Password, ""},
		{"<token>", "secret", Password, ""},
		{"$oidc", "secret", Password, ""},
		{"$refreshing", "secret", Password, ""},
		{"oauth2accesstoken", "secret", Password, ""},

		{"$refresh:sso", "opaque", RefreshToken, "sso"},
		{"$refresh:mfa", "opaque", RefreshToken, "Mfa"},
		{"$refresh", jwt(`{"iss":"https://sso"}`), RefreshToken, "sso"},
		{"$refresh:sso", jwt(`{"iss":"https://sso"}`), RefreshToken, "sso"},
		{"$refresh:sso", jwt(`{"jti":"1"}`), RefreshToken, "sso"},
		{"$refresh:sso", jwe, RefreshToken, "sso"},

		{"bob@mfa.example", "opaque", RefreshToken, "Mfa"},
		{"BOB@mfa.example", "opaque", RefreshToken, "Mfa"},
		{"bob@mfa.example", jwe, RefreshToken, "Mfa"},
		{"local", "opaque", Password, "local corp"},

		{"bob", jwt(`{"iss":"https://sso","typ":"Refresh"}`), RefreshToken, "sso"},
		{"bob", jwt(`{"iss":"https://sso","typ":"Offline"}`), RefreshToken, "sso"},
		{"bob", jwt(`{"iss":"https://ci","typ":"Refresh"}`), RefreshToken, ""},
		{"bob", jwt(`{"iss":"https://ci","typ":"refresh"}`), IDToken, "ci"},
		{"bob", jwt(`{"iss":"https://ci","typ":"ID"}`), IDToken, "ci"},
		{"bob", jwt(`{"iss":"https://ci","TYP":"Refresh"}`), IDToken, "ci"},
		{"oauth2accesstoken", jwt(`{"iss":"https://ci"}`), IDToken, "ci"},
		{"$oidc", jwt(`{"iss":"https://ci"}`), IDToken, "ci"},
		{"bob", jwt(`{"iss":"https://mfa"}`), IDToken, ""}, // its match does not have the name
		{"bob@mfa.example", jwt(`{"iss":"https://mfa"}`), RefreshToken, "Mfa"},
		{"bob@mfa.example", jwt(`{"iss":"https://sso"}`), IDToken, ""},
		{"bob@mfa.example", jwt(`{"iss":"https://sso","typ":"Refresh"}`), RefreshToken, "sso"},
		{"bob", jwt(`{"iss":"https://sso"}`), IDToken, ""}, // it accepts passwords, and no ID tokens
		{"bob", jwt(`{"iss":"https://ci/"}`), IDToken, ""},
		{"bob", jwt(`{"iss":"HTTPS://ci"}`), IDToken, ""},
		{"bob", jwt(`{"iss":"https://evil"}`), IDToken, ""},
		{"bob", jwt(`{"iss":""}`), IDToken, ""},
		{"bob", jwt(`{"iss":null}`), IDToken, ""},
		{"bob", jwt(`{"iss":["https://ci"]}`), IDToken, ""},
		{"bob", jwt(`{"ISS":"https://ci"}`), IDToken, ""},
		{"bob", jwt(`{"iſs":"https://ci"}`), IDToken, ""}, // U+017F folds to s
		{"bob", jwt(`{"iss":"https://ci","iss":"https://evil"}`), IDToken, ""},
		{"bob", jwt(`{"iss":"https://ci","\u0069ss":"https://ci"}`), IDToken, ""},
		{"bob", jwt(`{"iss":"https://ci"} `), IDToken, "ci"},
		{"bob", jwt(`{"iss":"https://ci"}{}`), IDToken, ""},
		{"bob", jwt(`{"iss":"https://ci","typ":1}`), IDToken, ""},
		{"bob", jwt(`{"iss":"https://ci`), IDToken, ""},
		{"bob", jwt(`["https://ci"]`), IDToken, ""},
		{"bob", jwt("{\"iss\":\"https://ci\xff\"}"), IDToken, ""},
		{"bob", jwt(""), IDToken, ""},
		{"bob", rawJWT("{\n \"alg\": \"none\"}", `{"iss":"https://ci"}`), IDToken, "ci"}, // the provider refuses it
		{"bob", rawJWT(`{"alg":"RS256","alg":"none"}`, `{"iss":"https://ci"}`), IDToken, ""},
		{"bob", jwe, IDToken, ""},
	} {
		r := c.route(test.login, test.secret)
		var names []string
		for _, m := range r.members {
			names = append(names, m.config.Name)
		}
		if got := strings.Join(names, " "); r.kind != test.kind || got != test.to {
			t.Errorf("route(%q, %q) = %v to %q, want %v to %q", test.login, test.secret, r.kind, got, test.kind, test.to)
		}
		if kind := c.Recognize(Credential{Login: test.login, Secret: secret.New(test.secret)}).Kind(); kind != test.kind {
			t.Errorf("Recognize(%q, %q) = %v, want %v", test.login, test.secret, kind, test.kind)
		}
	}
}

// fakeFile is a directory with a LoginChecker.
type fakeFile struct{ directory }

func (f *fakeFile) HasLogin(login Login) bool { _, ok := f.accounts[login]; return ok }

func FuzzReadUnverified(f *testing.F) {
	f.Add("a.b.c")
	f.Add(jwt(`{"iss":"https://ci","typ":"ID"}`))
	f.Add(jwt(`{"iss":"a","iss":"b"}`))
	f.Fuzz(func(t *testing.T, secret string) {
		got, isToken, err := readUnverified(secret)
		if err != nil && (!isToken || got != unverifiedJWT{}) {
			t.Errorf("readUnverified(%q) = %v, %v, %v: want no result with an error", secret, got, isToken, err)
		}
		if !isToken && (err != nil || got != unverifiedJWT{}) {
			t.Errorf("readUnverified(%q) = %v, %v: want no result for a secret that is no token", secret, got, err)
		}
	})
}

// TestCredentialsThatReachNoProvider: and the longest secrets that reach one.
func TestCredentialsThatReachNoProvider(t *testing.T) {
	d := &directory{accounts: bob(), catches: true, takes: []Kind{Password, IDToken}, issuers: []string{"https://ci"}}
	c := one(t, d, nil)
	long := strings.Repeat("x", maxPassword+1)
	for _, test := range []struct {
		login  Login
		secret string
	}{
		{"bob", ""}, {"bob", " "}, {"bob", "\t \n"}, {"bob", "\x00"}, {"bob", "\x00right"}, {"bob", "right\x00"},
		{"bob", long}, {"bob", strings.Repeat("x", 1<<20)},
		{"bob", jwt(`{"iss":"https://ci","pad":"` + strings.Repeat("x", maxToken) + `"}`)},
		{"bob", strings.Repeat("e.", maxToken)},
		{"bob", jwt(`{"iss":"https://evil"}`)},
		{"", "right"}, {"<token>", "right"}, {"$bob", "right"}, {"oauth2accesstoken", "right"},
		{"$refresh", "right"}, {"$refresh:corp", "right"},
	} {
		cred := Credential{Login: test.login, Secret: secret.New(test.secret), Address: home}
		if got := outcome(c.try(t, cred)); got != "401" {
			t.Errorf("Authenticate(%q, %d bytes) = %s, want 401", test.login, len(test.secret), got)
		}
	}
	if n := d.searches(); n != 0 {
		t.Errorf("the provider was asked %d times, want never", n)
	}
	for _, secret := range []string{strings.Repeat("x", maxPassword), jwt(`{"iss":"https://ci","pad":"` + strings.Repeat("x", 8<<10) + `"}`)} {
		cred := typed("carol", secret, home)
		c.try(t, cred)
	}
	if n := d.searches(); n != 2 {
		t.Errorf("secrets of the maximum length were sent %d times, want 2", n)
	}
}

// TestProvidersAreAskedInOrder: which answers end the chain, and which have it ask the next
// provider.
func TestProvidersAreAskedInOrder(t *testing.T) {
	gone, down := fmt.Errorf("x: %w", ErrGone), errors.New("connection refused")
	for _, test := range []struct {
		name          string
		first, second error // nil: the account is there and the password right
		want          string
		asked         int // providers that were asked
		user          string
	}{
		{"mine", nil, nil, "200", 1, "a:one"},
		{"not mine, mine", ErrNotMine, nil, "200", 2, "b:two"},
		{"not mine, not mine", ErrNotMine, ErrNotMine, "401", 2, ""},
		{"not mine, rejected", ErrNotMine, ErrRejected, "401", 2, ""},
		{"not mine, gone", ErrNotMine, gone, "401", 2, ""},
		{"not mine, down", ErrNotMine, down, "503", 2, ""},
		{"rejected", ErrRejected, nil, "401", 1, ""},
		{"gone", gone, nil, "401", 1, ""},
		{"down", down, nil, "503", 1, ""},
		{"canceled by the provider", context.Canceled, nil, "503", 1, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := &directory{accounts: map[Login]fakeAccount{"bob": account("right", "1", "one")}, broken: test.first}
			b := &directory{accounts: map[Login]fakeAccount{"bob": account("right", "2", "two")}, broken: test.second}
			c := chainOf(t, newThrottle(t),
				Member{a, Config{Name: "a", Kind: "ldap", Prefix: pointer("a:")}}, Member{b, Config{Name: "b", Kind: "ldap", Prefix: pointer("b:")}})
			id, err := c.Authenticate(t.Context(), typed("bob", "right", home))
			if got := outcome(err); got != test.want || a.searches()+b.searches() != test.asked {
				t.Errorf("Authenticate = %s (%v) after asking %d, want %s after %d", got, err, a.searches()+b.searches(), test.want, test.asked)
			}
			if id != nil && id.User != test.user {
				t.Errorf("Authenticate gave %q, want %q", id.User, test.user)
			}
		})
	}
}

// TestEveryKindInEveryState: in each state of the account and the provider, the answer is
// the same for every kind of credential.
func TestEveryKindInEveryState(t *testing.T) {
	id, refresh := jwt(`{"iss":"https://sso"}`), jwt(`{"iss":"https://sso","typ":"Refresh"}`)
	entries := []struct {
		name string
		cred Credential
	}{
		{"password", typed("bob", "right", home)},
		{"password for an offline token", func() Credential { c := typed("bob", "right", home); c.Offline = true; return c }()},
		{"$refresh", typed("$refresh", "opaque", home)},
		{"refresh token by typ", typed("bob", refresh, home)},
		{"id token", typed("bob", id, home)},
		{"id token under a tool's name", typed("<token>", id, home)},
	}
	for _, state := range []struct {
		name   string
		broken error
		edit   func(*Config)
		want   string
	}{
		{"good", nil, nil, "200"},
		{"disabled", fmt.Errorf("disabled: %w", ErrRejected), nil, "401"},
		{"deleted", ErrGone, nil, "401"},
		{"no account", ErrNotMine, nil, "401"},
		{"down", errors.New("no route to host"), nil, "503"},
		{"not in a required group", nil, func(c *Config) { c.RequireGroups = []string{"admins"} }, "401"},
		{"in a required group", nil, func(c *Config) { c.RequireGroups = []string{"x", "dev?"} }, "200"},
	} {
		for _, entry := range entries {
			a := account("right", "uuid-1", "bob", "devs")
			d := &directory{
				accounts: map[Login]fakeAccount{"bob": a, "opaque": a, Login(id): a, Login(refresh): a},
				takes:    []Kind{Password, RefreshToken, IDToken}, issuers: []string{"https://sso"}, broken: state.broken,
			}
			c := one(t, d, state.edit)
			cred := entry.cred
			if got := outcome(c.try(t, cred)); got != state.want {
				t.Errorf("%s, %s = %s, want %s", entry.name, state.name, got, state.want)
			}
			for _, asked := range d.asked {
				if asked.Reserved() {
					t.Errorf("%s: the provider was shown the name %q, want none", entry.name, asked)
				}
			}
		}
	}
}

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

// TestNamesOfLocalUsers: A3: an account of another provider with the name of a local user is
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

func TestPanicIsUnavailable(t *testing.T) {
	d := &directory{accounts: bob(), again: nil}
	c := chainOf(t, newThrottle(t), Member{panicking{d}, Config{Name: "corp", Kind: "ldap"}})
	if got := outcome(c.try(t, typed("bob", "right", home))); got != "503" {
		t.Errorf("Authenticate = %s, want 503", got)
	}
	if len(c.logins.calls) != 0 || c.logins.count != 0 {
		t.Error("a login is in progress for ever")
	}
}

type panicking struct{ *directory }

func (panicking) Lookup(context.Context, Login) (*Account, error) { panic("bug") }

func TestChainLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := one(t, &directory{accounts: bob(), slow: time.Hour}, nil)
		began := time.Now()
		err := c.try(t, typed("bob", "right", home))
		if took := time.Since(began); outcome(err) != "503" || took != chainLimit {
			t.Errorf("Authenticate at a directory that hangs = %s after %v, want 503 after %v", outcome(err), took, chainLimit)
		}
	})
}

// TestChainLimitOfEqualLogins: a login that has waited for an equal one has no more time for
// its own.
func TestChainLimitOfEqualLogins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := one(t, &directory{accounts: bob(), slow: 9 * time.Second}, nil)
		began := time.Now()
		var all sync.WaitGroup
		for range 2 {
			all.Go(func() {
				cred := typed("bob", "right", home)
				cred.Offline = true // each login asks for itself
				c.try(t, cred)
			})
			synctest.Wait()
		}
		all.Wait()
		if took := time.Since(began); took > chainLimit {
			t.Errorf("two equal logins took %v, want %v at most", took, chainLimit)
		}
	})
}

// TestRefusalByConfigIsCached: a right password that the configuration refuses reaches the
// provider once in half a minute. It takes an entry in the name window, and none in the
// account window.
func TestRefusalByConfigIsCached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &directory{accounts: bob()}
		c := chainOf(t, newThrottle(t), Member{d, Config{Name: "corp", Kind: "ldap", RequireGroups: []string{"registry-users"}}})
		for range 50 {
			if got := outcome(c.try(t, typed("bob", "right", home))); got != "401" {
				t.Errorf("a person in no required group = %s, want 401", got)
			}
		}
		if d.reached() != 1 {
			t.Errorf("the password reached the directory %d times, want once", d.reached())
		}
		for i := range strangers - 1 {
			if got := outcome(c.try(t, typed("bob", fmt.Sprint("w", i), home))); got != "401" {
				t.Errorf("a wrong password = %s, want 401", got)
			}
		}
		time.Sleep(refusalTTL)
		c.try(t, typed("bob", "right", home))
		if d.reached() != 1+strangers-1+1 {
			t.Errorf("passwords reached the directory %d times, want once more after half a minute and %d wrong ones", d.reached(), strangers-1)
		}
	})
}

// TestRefusalByConfigIsCachedForAnySpelling: the cached refusal holds for every spelling of
// the name. Another replica asks for itself, since a reload empties the cache of one
// process.
func TestRefusalByConfigIsCachedForAnySpelling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &directory{accounts: bob(), slow: time.Second}
		store, member := throttle.NewMemoryStore(), Member{d, Config{Name: "corp", Kind: "ldap", RequireGroups: []string{"registry-users"}}}
		c, replica := chainOf(t, newReplica(t, store), member), chainOf(t, newReplica(t, store), member)
		spellings := []Login{"bob", `corp\bob`, "bob@corp.example"}
		for _, when := range []string{"the first time", "again"} {
			for _, login := range spellings {
				if got := outcome(c.try(t, typed(login, "right", home))); got != "401" {
					t.Errorf("%s, as %q = %s, want 401", when, login, got)
				}
			}
			if d.reached() != 1 || d.searches() != len(spellings) {
				t.Errorf("%s: the password was sent %d times in %d searches, want once, and one search for each spelling", when, d.reached(), d.searches())
			}
		}
		if got := outcome(replica.try(t, typed("bob", "right", home))); got != "401" || d.reached() != 2 {
			t.Errorf("at a replica = %s with the password sent %d times more, want 401 with once", got, d.reached()-1)
		}
		time.Sleep(refusalTTL)
		if got := concurrently(t, c, len(spellings), func(i int) Credential { return typed(spellings[i], "right", home) }); got["401"] != len(spellings) || d.reached() != 3 {
			t.Errorf("under all of them concurrently = %v with the password sent %d times more, want 401 with once", got, d.reached()-2)
		}
	})
}

// TestIDTokensBypassTheThrottle: a good ID token is accepted from an address that has used up
// its budget, and bad ones take nothing from the budget.
func TestIDTokensBypassTheThrottle(t *testing.T) {
	d := &directory{takes: []Kind{Password, IDToken}, issuers: []string{"https://ci"}, accounts: bob()}
	c := one(t, d, nil)
	token := func(sub string) Credential {
		return typed("bob", jwt(fmt.Sprintf(`{"iss":"https://ci","sub":%q}`, sub)), home)
	}
	good := token("job")
	d.accounts[Login(good.Secret.Reveal())] = fakeAccount{subject: "job", user: "job"}
	for i := range addressFailures + 10 {
		if got := outcome(c.try(t, token(fmt.Sprint("bad", i)))); got != "401" {
			t.Errorf("bad token %d = %s, want 401", i, got)
		}
	}
	for i := range addressFailures + 1 {
		want := "401"
		if i == addressFailures {
			want = "429"
		}
		if got := outcome(c.try(t, typed(Login(fmt.Sprint("nobody", i)), "w", home))); got != want {
			t.Errorf("wrong password %d = %s, want %s", i, got, want)
		}
	}
	if got := outcome(c.try(t, good)); got != "200" {
		t.Errorf("a good token from that address = %s, want 200", got)
	}
}

// TestPadIsCalled: the chain calls Pad of the last provider where it refuses a login without
// Prove.
func TestPadIsCalled(t *testing.T) {
	f := &padding{}
	c := chainOf(t, newThrottle(t), Member{f, Config{Name: "local", Kind: "file"}})
	for range 2 {
		c.try(t, typed("nobody", "wrong", home))
	}
	c.try(t, typed("bob", "wrong", home))
	if f.times != 3 {
		t.Errorf("Pad was called %d times, want 3: twice for a name without an account, once for a rejection at Lookup", f.times)
	}
	f.times = 0
	c = chainOf(t, newThrottle(t), Member{f, Config{Name: "local", Kind: "file"}},
		Member{&directory{}, Config{Name: "corp", Kind: "ldap", Prefix: pointer("")}})
	c.try(t, typed("nobody", "wrong", home))
	if f.times != 0 {
		t.Errorf("Pad was called though a later provider answered last")
	}
}

type padding struct {
	directory
	times int
}

func (e *padding) Lookup(_ context.Context, login Login) (*Account, error) {
	if login == "bob" {
		return nil, ErrRejected
	}
	return nil, ErrNotMine
}
func (e *padding) Pad(context.Context, time.Time, Login, Proof) { e.times++ }

func TestNewChainRefuses(t *testing.T) {
	corp := Config{Name: "corp", Kind: "ldap"}
	for _, test := range []struct {
		name    string
		configs []Config
		want    string
	}{
		{"no name", []Config{{Kind: "ldap"}}, "provider[0].name: is required"},
		{"two of one name", []Config{{Name: "corp", Prefix: pointer("")}, {Name: "Corp", Kind: "ldap", Prefix: pointer("")}}, `provider[1].name: "Corp" is the name of provider[0] too`},
		{"no prefix", []Config{corp, {Name: "b", Kind: "oidc", Prefix: pointer("")}}, "provider[0].prefix: is required where there is more than one"},
		{"a file needs none", []Config{{Name: "f", Kind: "file"}, {Name: "corp", Kind: "ldap", Prefix: pointer("")}}, ""},
		{"A3: no prefix with a file", []Config{{Name: "f", Kind: "file"}, corp}, "provider[1].prefix: is required where there is more than one"},
		{"two files", []Config{{Name: "f", Kind: "file"}, {Name: "g", Kind: "file"}}, ""},
		{"remember too long", []Config{{Name: "corp", Remember: pointer(2 * time.Minute)}}, "provider[0].remember: 2m0s is not between"},
		{"wrong_passwords below 1", []Config{{Name: "corp", WrongPasswords: -1}}, "provider[0].wrong_passwords: -1 is not between 1 and 50"},
		{"empty match", []Config{{Name: "corp", Match: []string{}}}, "provider[0].match: an empty list"},
		{"invalid name", []Config{{Name: "a b"}}, `provider[0].name: "a b" is not made of`},
		{"control character in prefix", []Config{{Name: "a", Prefix: pointer("\n")}}, "provider[0].prefix: holds a control character"},
	} {
		members := make([]Member, len(test.configs))
		for i, cfg := range test.configs {
			members[i] = Member{&directory{}, cfg.WithDefaults()}
		}
		_, err := NewChain(members, newThrottle(t), Options{})
		if got := fmt.Sprint(err); test.want == "" && err != nil || !strings.HasPrefix(got, test.want) && test.want != "" {
			t.Errorf("%s: NewChain = %v, want %q", test.name, err, test.want)
		}
	}
}

func TestWarnings(t *testing.T) {
	grant := &directory{catches: true}
	search := &directory{}
	tokens := &directory{takes: []Kind{IDToken}}
	member := func(p Provider, name string, match ...string) Member {
		cfg := Config{Name: name, Kind: "ldap", Prefix: pointer("")}
		if len(match) > 0 {
			cfg.Match = match
		}
		return Member{p, cfg}
	}
	for _, test := range []struct {
		name    string
		members []Member
		want    int
	}{
		{"one", []Member{member(grant, "a")}, 0},
		{"a grant first", []Member{member(grant, "a"), member(search, "b")}, 1},
		{"a grant last", []Member{member(search, "a"), member(grant, "b")}, 0},
		{"a grant with match", []Member{member(grant, "a", "*@x"), member(search, "b")}, 0},
		{"a match of everything", []Member{member(grant, "a", "*"), member(search, "b", "*@x")}, 1},
		{"the same match", []Member{member(grant, "a", "*@x"), member(search, "b", "*@X")}, 1},
		{"a wider match", []Member{member(grant, "a", "*@*.x"), member(search, "b", "*@sub.x")}, 1},
		{"a match of one character", []Member{member(grant, "a", "?"), member(search, "b", "*")}, 0},
		{"no passwords after it", []Member{member(grant, "a"), member(tokens, "b")}, 0},
		{"one warning each", []Member{member(grant, "a"), member(grant, "b"), member(search, "c")}, 2},
	} {
		if got := chainOf(t, newThrottle(t), test.members...).Warnings(); len(got) != test.want {
			t.Errorf("%s: Warnings() = %q, want %d", test.name, got, test.want)
		}
	}
}

func TestRevalidate(t *testing.T) {
	d := &directory{takes: []Kind{IDToken}, catches: true}
	c := one(t, d, func(cfg *Config) { cfg.Prefix, cfg.RequireGroups = pointer("x:"), []string{"x:devs"} })
	then := time.Unix(1, 0)
	identity := func(method Method) *Identity {
		return &Identity{Provider: "corp", Subject: "1", User: "x:bob", Groups: []string{"x:old"}, Method: method, AuthTime: then, RefreshToken: secret.New("old")}
	}
	answer := func(subject string, groups ...string) func(*Identity) (*Identity, error) {
		return func(id *Identity) (*Identity, error) {
			if id.RefreshToken.Reveal() != "old" || id.Subject != "1" {
				t.Errorf("the provider was asked about %q with the refresh token %q", id.Subject, id.RefreshToken.Reveal())
			}
			return &Identity{Subject: subject, User: "robert", Groups: groups, Method: MethodRefresh, AuthTime: time.Now(), RefreshToken: secret.New("new"), Stamp: "2"}, nil
		}
	}
	for _, test := range []struct {
		name   string
		method Method
		again  func(*Identity) (*Identity, error)
		groups string
		want   string
	}{
		{"password", MethodPassword, answer("1", "devs", "authenticated"), "authenticated x:devs", "200"},
		{"id token", MethodIDToken, answer("1", "devs"), "x:devs", "200"},
		{"left the required group", MethodPassword, answer("1", "ops"), "", "401"},
		{"another subject", MethodPassword, answer("2", "devs"), "", "401"},
		{"ended", MethodPassword, func(*Identity) (*Identity, error) { return nil, errors.Join(ErrRejected, ErrEnded) }, "", "401"},
		{"down", MethodPassword, func(*Identity) (*Identity, error) { return nil, errors.New("down") }, "", "503"},
	} {
		d.again = test.again
		id, err := c.Revalidate(t.Context(), identity(test.method))
		if got := outcome(err); got != test.want || errors.Is(err, ErrEnded) != (test.name == "ended") {
			t.Errorf("%s: Revalidate = %v, want %s", test.name, err, test.want)
		}
		if err != nil {
			continue
		}
		if got := strings.Join(id.Groups, " "); got != test.groups || id.User != "x:robert" || id.Method != test.method || !id.AuthTime.Equal(then) || id.RefreshToken.Reveal() != "new" {
			t.Errorf("%s: Revalidate gave %+v, want x:robert in %q", test.name, id, test.groups)
		}
	}
	other := identity(MethodPassword)
	other.Provider = "gone"
	if _, err := c.Revalidate(t.Context(), other); !errors.Is(err, ErrRejected) || errors.Is(err, ErrEnded) {
		t.Errorf("Revalidate at a provider that is not configured = %v, want ErrRejected and not ErrEnded", err)
	}
	if c.Fingerprint("corp") == "" || c.Fingerprint("gone") != "" || !c.PerSession("corp") || c.PerSession("gone") {
		t.Error("Fingerprint and PerSession know a provider that is not configured, or not the one that is")
	}
	if d.one = true; c.PerSession("corp") || c.RevokeWhen("corp") != RevokeLast || c.RevokeWhen("gone") != RevokeSignIn {
		t.Error("PerSession and RevokeWhen do not return the options of the provider")
	}
	if err := c.RevokeRefreshToken(t.Context(), "corp", secret.New("r")); err != nil || len(d.revoked) != 1 {
		t.Errorf("RevokeRefreshToken = %v with %d revoked, want one", err, len(d.revoked))
	}
	if err := errors.Join(c.RevokeRefreshToken(t.Context(), "gone", secret.New("r")), c.RevokeRefreshToken(t.Context(), "corp", secret.Text{})); err != nil || len(d.revoked) != 1 {
		t.Errorf("RevokeRefreshToken without provider or token = %v with %d revoked, want one still", err, len(d.revoked))
	}
}

func TestCannotRevalidate(t *testing.T) {
	type onlyLogin struct{ Provider }
	c := chainOf(t, newThrottle(t), Member{onlyLogin{&directory{}}, Config{Name: "corp"}})
	if _, err := c.Revalidate(t.Context(), &Identity{Provider: "corp", Subject: "1"}); !errors.Is(err, ErrCannotRevalidate) {
		t.Errorf("Revalidate = %v, want ErrCannotRevalidate", err)
	}
}

// TestClosedChainIsUnavailable: a login that comes after Close is unavailable.
func TestClosedChainIsUnavailable(t *testing.T) {
	c := one(t, &directory{accounts: bob()}, nil)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if got := outcome(c.try(t, typed("bob", "right", home))); got != "503" {
		t.Errorf("Authenticate after Close = %s, want 503", got)
	}
}

// TestConcurrentRefreshTokenIsSentOnce: concurrent logins with one refresh token send it once,
// since it may rotate.
func TestConcurrentRefreshTokenIsSentOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &directory{accounts: map[Login]fakeAccount{"opaque": account("", "1", "bob")}, takes: []Kind{RefreshToken}, slow: time.Second}
		c := one(t, d, nil)
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				cred := typed("$refresh", "opaque", home)
				cred.Offline = true
				if err := c.try(t, cred); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if d.searches() != 1 {
			t.Errorf("the token was sent %d times, want once", d.searches())
		}
	})
}

// TestPasswordIsShownToOneProvider: the answer of a provider that has seen the password is
// final, even ErrNotMine.
func TestPasswordIsShownToOneProvider(t *testing.T) {
	next := &directory{accounts: bob()}
	c := chainOf(t, newThrottle(t),
		Member{disowning{}, Config{Name: "a", Kind: "ldap", Prefix: pointer("")}}, Member{next, Config{Name: "b", Kind: "ldap", Prefix: pointer("")}})
	if got := outcome(c.try(t, typed("bob", "right", home))); got != "401" || next.searches() != 0 {
		t.Errorf("Authenticate = %s with %d searches at the next provider, want 401 with none", got, next.searches())
	}
}

// disowning finds every account, and answers ErrNotMine to Prove.
type disowning struct{}

func (disowning) Fingerprint() string { return "disowning" }
func (disowning) Lookup(context.Context, Login) (*Account, error) {
	return &Account{Prove: func(context.Context, Proof) (*Identity, error) { return nil, ErrNotMine }}, nil
}
