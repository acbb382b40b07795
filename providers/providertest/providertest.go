// Package providertest is the contract test of a provider: a suite that
// provokes the four outcomes of Lookup and Prove, cancellation, concurrency,
// outages and revalidation.
//
// A provider's package passes [Run] a function that sets up the peer (a
// directory, an OpenID provider, a file) and describes its accounts:
//
//	func TestContract(t *testing.T) {
//		providertest.Run(t, func(t *testing.T) providertest.Harness {
//			directory := startDirectory(t)
//			return providertest.Harness{
//				Provider: newProvider(t, directory.URL),
//				Accounts: []providertest.Account{
//					{Logins: []string{"bob", `CORP\Bob`}, Password: "right", User: "bob", Groups: []string{"devs"}},
//					{Logins: []string{"josé"}, Password: "pässwörd", User: "josé"},
//				},
//				Disabled: &providertest.Account{Logins: []string{"left"}, Password: "right"},
//				Unknown: providers.ErrNotMine,
//				SubjectAtLookup: true,
//				PasswordsSent: directory.Binds,
//				Stop: directory.Stop,
//				Disable: func(t *testing.T, a providertest.Account) { directory.Disable(a.User) },
//				// …
//			}
//		})
//	}
//
// Each test calls the function again; its calls can share a peer that is slow to
// start. A field that is left out skips only the tests that need it.
package providertest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"shorepass/internal/secret"
	"shorepass/providers"
)

// Account is an account at the provider's peer.
type Account struct {
	Logins   []string // all spellings of the login name, at least one
	Password string   // the right password; at least four characters
	User     string   // the expected user name
	Groups   []string // the expected groups, in any order
}

// Harness is a provider and the accounts of its peer.
type Harness struct {
	Provider providers.Provider

	// Accounts can log in. Most tests use the first; the others are for unusual
	// names.
	Accounts []Account

	// Disabled is an account that may not log in, with its right password.
	// Optional.
	Disabled *Account

	// Unknown is the error for a name without an account: providers.ErrNotMine,
	// or providers.ErrRejected if the provider cannot know names.
	Unknown error

	// SubjectAtLookup says that Lookup returns the account's Subject, rather than
	// an empty one because only Prove shows it.
	SubjectAtLookup bool

	// PasswordsSent returns how many passwords the peer received, or the provider
	// checked, since the start. Optional.
	PasswordsSent func() int

	// Stop makes the peer unreachable for the rest of the test. Optional: a
	// provider may have no peer.
	Stop func(t *testing.T)

	// Changes of the first account between two revalidations. Optional, and only
	// for a [providers.Revalidator].
	Disable        func(t *testing.T, a Account)
	Delete         func(t *testing.T, a Account)
	ChangePassword func(t *testing.T, a Account)
	ChangeGroups   func(t *testing.T, a Account) (groups []string)
}

// wrongPassword is the password of no account, and not a word of any error.
const wrongPassword = "Xq7-nobodys-Zw3"

// limit is the time limit of one call: three times that of the whole chain, for a
// busy machine.
const limit = 30 * time.Second

// Run runs the contract test on the provider that start returns.
func Run(t *testing.T, start func(t *testing.T) Harness) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, h Harness)
	}{
		{"right password", testRightPassword},
		{"wrong password", testWrongPassword},
		{"unknown name", testUnknownName},
		{"injection in names", testInjection},
		{"empty password", testEmptyPassword},
		{"disabled account", testDisabled},
		{"lookup without Prove", testLookupOnly},
		{"canceled", testCanceled},
		{"concurrent logins", testConcurrent},
		{"outage", testOutage},
		{"revalidate", testRevalidate},
		{"revalidate a disabled account", testRevalidateDisabled},
		{"revalidate a deleted account", testRevalidateDeleted},
		{"revalidate after a password change", testRevalidatePassword},
		{"revalidate after a group change", testRevalidateGroups},
		{"fingerprint", testFingerprint},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, start(t)) })
	}
}

// Authenticate looks an account up and proves its password, as a chain of one
// provider without a throttle would.
func Authenticate(ctx context.Context, p providers.Provider, login providers.Login, password providers.LoginPassword) (*providers.Identity, error) {
	account, err := p.Lookup(ctx, login)
	if err != nil {
		return nil, err
	}
	return account.Prove(ctx, password)
}

// parse returns a login name in its normal form.
func parse(t *testing.T, login string) providers.Login {
	t.Helper()
	name, err := providers.ParseLogin(login)
	if err != nil {
		t.Fatalf("ParseLogin(%q) = %v", login, err)
	}
	return name
}

func (h Harness) passwordsSent() int {
	if h.PasswordsSent == nil {
		return 0
	}
	return h.PasswordsSent()
}

// lookup calls Lookup and checks that it returns either an account or an error.
func (h Harness) lookup(t *testing.T, ctx context.Context, login string) (*providers.Account, error) {
	t.Helper()
	account, err := h.Provider.Lookup(ctx, parse(t, login))
	if (account == nil) == (err == nil) || account != nil && account.Prove == nil {
		t.Fatalf("Lookup(%q) = %v, %v, want either an account or an error", login, account, err)
	}
	return account, err
}

// login calls Lookup and Prove. It checks that they return either an identity
// or an error, and that the error does not quote the password.
func (h Harness) login(t *testing.T, ctx context.Context, login string, password providers.LoginPassword) (*providers.Identity, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	account, err := h.lookup(t, ctx, login)
	if err != nil {
		return nil, err
	}
	id, err := account.Prove(ctx, password)
	if (id == nil) == (err == nil) {
		t.Fatalf("Prove(%q) = %v, %v, want either an identity or an error", login, id, err)
	}
	// A short password may be a word of an error.
	if password := password.Secret.Reveal(); err != nil && len(password) > 12 && strings.Contains(err.Error(), password) {
		t.Errorf("the error of Prove(%q) quotes the password", login)
	}
	return id, err
}

// typed returns a password without an offline login.
func typed(password string) providers.LoginPassword {
	return providers.LoginPassword{Secret: secret.New(password)}
}

// mustLogin logs the first account in, and fails the test if that fails.
func (h Harness) mustLogin(t *testing.T, offline bool) *providers.Identity {
	t.Helper()
	a := h.Accounts[0]
	id, err := h.login(t, t.Context(), a.Logins[0], providers.LoginPassword{Secret: secret.New(a.Password), Offline: offline})
	if err != nil {
		t.Fatalf("Authenticate(%q) = %v, want an identity", a.Logins[0], err)
	}
	return id
}

// checkOutcome checks that an error has one of the four outcomes; nil means
// unavailable.
func checkOutcome(t *testing.T, what string, err, want error) {
	t.Helper()
	for _, outcome := range []error{providers.ErrNotMine, providers.ErrRejected, providers.ErrGone} {
		if is := errors.Is(err, outcome); is != (outcome == want) {
			t.Errorf("%s = %v: is it %q: %v, want %v", what, err, outcome, is, outcome == want)
		}
	}
	if err == nil {
		t.Errorf("%s gave no error", what)
	}
}

func (h Harness) checkIdentity(t *testing.T, login string, id *providers.Identity, a Account) {
	t.Helper()
	if id.User != a.User {
		t.Errorf("Authenticate(%q).User = %q, want %q", login, id.User, a.User)
	}
	got, want := slices.Sorted(slices.Values(id.Groups)), slices.Sorted(slices.Values(a.Groups))
	if !slices.Equal(got, want) {
		t.Errorf("Authenticate(%q).Groups = %q, want %q", login, got, want)
	}
	if id.Subject == "" {
		t.Errorf("Authenticate(%q).Subject is empty", login)
	}
	if id.Method != "" {
		t.Errorf("Authenticate(%q).Method = %q, which is the chain's to set", login, id.Method)
	}
}
