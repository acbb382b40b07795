package file

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"shorepass/internal/secret"
	"shorepass/providers"
	"shorepass/providers/providertest"
)

// Parts of hashes in tests.
const (
	salt        = "c29tZXNhbHQ"                                 // "somesalt"
	key         = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE" // any 32 bytes
	unknownHash = "$2y$05$abcdefghijklmnopqrstuuWBHoKG0YWYtLCUSK3R7MlTVw/1xNCIG"
)

// cheapHash returns a bcrypt hash of the lowest cost.
func cheapHash(t *testing.T, password string) string {
	t.Helper()
	line, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(line)
}

func TestConfigValidate(t *testing.T) {
	good := User{Name: "bob", Password: secret.New(unknownHash)}
	named := func(name string) User { u := good; u.Name = name; return u }
	for _, test := range []struct {
		name string
		cfg  Config
		want string
	}{
		{"good", Config{Users: []User{good}}, ""},
		{"htpasswd alone", Config{Htpasswd: "x"}, ""},
		{"no users", Config{}, "user: the provider has no users"},
		{"groups without htpasswd", Config{Users: []User{good}, HtpasswdGroups: "x"}, "htpasswd_groups: names the groups of the users in htpasswd, which is missing"},
		{"no name", Config{Users: []User{named(" ")}}, "user[0].name: is required"},
		{"reserved name", Config{Users: []User{named("$refresh")}}, `user[0].name: "$refresh" is reserved, since tools log in with it; write`},
		{"control character", Config{Users: []User{named("a\tb")}}, `user[0].name: "a\tb" cannot be a user`},
		{"twice", Config{Users: []User{good, named("BOB")}}, `user[1].name: "BOB" is the name of user[0] too`},
		{"no password", Config{Users: []User{{Name: "bob"}}}, "user[0].password: is required"},
		{"the password itself", Config{Users: []User{{Name: "bob", Password: secret.New("hunter2")}}}, "user[0].password: is neither"},
		{"a name with an invisible character", Config{Users: []User{{Name: "b\ufe0fob", Password: secret.New(unknownHash)}}}, "user[0].name: \"b\ufe0fob\" cannot be a user"},
		{"a name that folds to another's", Config{Users: []User{{Name: "\u212aevin", Password: secret.New(unknownHash)}}}, "user[0].name: \"\u212aevin\" cannot be a user"},
		{"a group with an invisible character", Config{Users: []User{{Name: "bob", Password: secret.New(unknownHash), Groups: []string{"a\u200b"}}}}, "user[0].groups[0]: \"a\\u200b\" cannot be a group"},
		{"empty group", Config{Users: []User{{Name: "bob", Password: good.Password, Groups: []string{"a", ""}}}}, "user[0].groups[1]: \"\" cannot be a group"},
		{"two e-mails", Config{Users: []User{{Name: "bob", Password: good.Password, Email: "a@b", Claims: map[string]any{"email": "c@d"}}}}, "user[0].claims.email: duplicates email"},
	} {
		var faults []string
		test.cfg.WithDefaults().Validate(func(key, problem string) { faults = append(faults, key+": "+problem) })
		got := strings.Join(faults, "; ")
		if test.want == "" && got != "" || !strings.HasPrefix(got, test.want) || len(faults) > 1 {
			t.Errorf("%s: Validate reports %q, want %q", test.name, got, test.want)
		}
	}
}

func TestIdentityAndRevalidate(t *testing.T) {
	user := User{
		Name: "José", Password: secret.New(cheapHash(t, "right")), Groups: []string{"devs"},
		Email: "jose@corp.example", Claims: map[string]any{"team": "a"},
	}
	open := func(users ...User) *Provider {
		p, err := New(Config{Users: users})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	p := open(user)
	login, _ := providers.ParseLogin("JOSE\u0301")
	id, err := providertest.Authenticate(t.Context(), p, login, typed("right"))
	if err != nil {
		t.Fatal(err)
	}
	if id.User != "josé" || id.Claims["email"] != "jose@corp.example" || id.Claims["team"] != "a" || id.Stamp == "" {
		t.Errorf("Authenticate = %+v, want josé with both claims and a stamp", id)
	}
	if again, err := p.Revalidate(t.Context(), id); err != nil || again.Stamp != id.Stamp || again.User != "josé" {
		t.Errorf("Revalidate = %+v, %v, want the same", again, err)
	}
	disabled, changed := user, user
	disabled.Disabled = true
	changed.Password = secret.New(cheapHash(t, "right")) // another salt
	if _, err := open(disabled).Revalidate(t.Context(), id); !errors.Is(err, providers.ErrRejected) || !errors.Is(err, providers.ErrEnded) {
		t.Errorf("Revalidate of a disabled user = %v, want ErrRejected and ErrEnded", err)
	}
	if again, err := open(changed).Revalidate(t.Context(), id); err != nil || again.Stamp == id.Stamp {
		t.Errorf("Revalidate after another password = %+v, %v, want another stamp", again, err)
	}
	other := user
	other.Name = "other"
	if _, err := open(other).Revalidate(t.Context(), id); !errors.Is(err, providers.ErrGone) || errors.Is(err, providers.ErrEnded) {
		t.Errorf("Revalidate of a deleted user = %v, want ErrGone", err)
	}
	if _, ok := any(p).(providers.IDTokenVerifier); ok {
		t.Error("the file provider verifies ID tokens")
	}
}

// typed is a password.
func typed(password string) providers.LoginPassword {
	return providers.LoginPassword{Secret: secret.New(password)}
}

// TestState: State changes with the hash and with disabled, so that a wrong
// password is compared again.
func TestState(t *testing.T) {
	state := func(u User) string {
		t.Helper()
		p, err := New(Config{Users: []User{u}})
		if err != nil {
			t.Fatal(err)
		}
		a, err := p.Lookup(t.Context(), "bob")
		if err != nil || a.State == "" {
			t.Fatalf("Lookup = %v, %v, want an account with its state", a, err)
		}
		return a.State
	}
	bob := User{Name: "bob", Password: secret.New(cheapHash(t, "one"))}
	before := state(bob)
	disabled, changed := bob, bob
	disabled.Disabled, changed.Password = true, secret.New(cheapHash(t, "two"))
	if state(bob) != before || state(disabled) == before || state(changed) == before {
		t.Errorf("State = %q, disabled %q, with another password %q, want three different ones", before, state(disabled), state(changed))
	}
}
