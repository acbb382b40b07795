package providers

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"shorepass/internal/secret"
)

func pointer[T any](v T) *T { return &v }

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
		{"no prefix with a file", []Config{{Name: "f", Kind: "file"}, corp}, "provider[1].prefix: is required where there is more than one"},
		{"two files", []Config{{Name: "f", Kind: "file"}, {Name: "g", Kind: "file"}}, ""},
		{"remember too long", []Config{{Name: "corp", Remember: pointer(2 * time.Minute)}}, "provider[0].remember: 2m is not between"},
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
	refresh := &directory{takes: []Kind{RefreshToken}}
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
		{"refresh tokens first", []Member{member(refresh, "a"), member(search, "b")}, 1},
		{"refresh tokens last", []Member{member(search, "a"), member(refresh, "b")}, 0},
		{"refresh tokens with a match", []Member{member(refresh, "a", "*@x"), member(search, "b")}, 0},
		{"refresh tokens before ID tokens", []Member{member(refresh, "a"), member(tokens, "b")}, 0},
		{"one warning each", []Member{member(grant, "a"), member(grant, "b"), member(search, "c")}, 2},
	} {
		if got := chainOf(t, newThrottle(t), test.members...).Warnings(); len(got) != test.want {
			t.Errorf("%s: Warnings() = %q, want %d", test.name, got, test.want)
		}
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
	return &Account{Prove: func(context.Context, LoginPassword) (*Identity, error) { return nil, ErrNotMine }}, nil
}
