// Package providertest tests the contract of a provider: it plays the four
// outcomes, and what lies between them, on any provider.
//
// A provider's package writes one function that sets up its peer and says who
// has an account there, and gives it to [Run]:
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
//				Unknown:  providers.ErrNotMine,
//				SubjectAtLookup: true,
//				PasswordsSent: directory.Binds,
//				Stop:     directory.Stop,
//				Disable:  func(t *testing.T, a providertest.Account) { directory.Disable(a.User) },
//				// …
//			}
//		})
//	}
//
// The function is called for each test anew; what is slow to start can be
// shared between its calls. Fields that are left out leave out what they are
// for, and nothing else.
package providertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"shorepass/internal/secret"
	"shorepass/providers"
)

// Account is somebody at the provider's peer.
type Account struct {
	Logins   []string // each way to type the name, at least one
	Password string   // the right one; at least four characters
	User     string   // the user name to be found
	Groups   []string // the groups to be found, in any order
}

// Harness is a provider and who has an account there.
type Harness struct {
	Provider providers.Provider

	// Accounts can log in. The first serves where one is enough; the others
	// are there for their odd names.
	Accounts []Account

	// Disabled has a right password and may not log in. Optional.
	Disabled *Account

	// Unknown is what the provider says to a name that nobody has:
	// providers.ErrNotMine where it can know, else providers.ErrRejected.
	Unknown error

	// SubjectAtLookup says that Lookup returns the account's Subject. A provider
	// that learns it only from the proof leaves it empty.
	SubjectAtLookup bool

	// PasswordsSent returns how many passwords were sent to the peer, or checked,
	// since its start. Optional.
	PasswordsSent func() int

	// Stop makes the peer unreachable for the rest of the test. Optional, for
	// providers that depend on nobody.
	Stop func(t *testing.T)

	// What happens to the first account between two revalidations. Optional,
	// and only for a [providers.Revalidator].
	Disable        func(t *testing.T, a Account)
	Delete         func(t *testing.T, a Account)
	ChangePassword func(t *testing.T, a Account)
	ChangeGroups   func(t *testing.T, a Account) (groups []string)
}

// notRight is nobody's password, and no word of any error.
const notRight = "Xq7-nobodys-Zw3"

// limit is what one answer may take here: three times that of the whole chain,
// since the machine may have other things to do.
const limit = 30 * time.Second

// Run plays the contract on the provider that start returns.
func Run(t *testing.T, start func(t *testing.T) Harness) {
	for _, test := range []struct {
		name string
		play func(t *testing.T, h Harness)
	}{
		{"right", testRight},
		{"wrong", testWrong},
		{"unknown", testUnknown},
		{"hostile names", testHostile},
		{"empty", testEmpty},
		{"disabled", testDisabled},
		{"found and not proved", testNotProved},
		{"canceled", testCanceled},
		{"at once", testAtOnce},
		{"stopped", testStopped},
		{"revalidate", testRevalidate},
		{"revalidate disabled", testRevalidateDisabled},
		{"revalidate deleted", testRevalidateDeleted},
		{"revalidate another password", testRevalidatePassword},
		{"revalidate other groups", testRevalidateGroups},
		{"fingerprint", testFingerprint},
	} {
		t.Run(test.name, func(t *testing.T) { test.play(t, start(t)) })
	}
}

// Authenticate looks an account up and proves its password, as a chain of one
// provider would without a throttle.
func Authenticate(ctx context.Context, p providers.Provider, login providers.Login, proof providers.Proof) (*providers.Identity, error) {
	account, err := p.Lookup(ctx, login)
	if err != nil {
		return nil, err
	}
	return account.Prove(ctx, proof)
}

// parse returns the normal form of a login name.
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

// lookup looks an account up, and checks that there is either one or an error.
func (h Harness) lookup(t *testing.T, ctx context.Context, login string) (*providers.Account, error) {
	t.Helper()
	account, err := h.Provider.Lookup(ctx, parse(t, login))
	if (account == nil) == (err == nil) || account != nil && account.Prove == nil {
		t.Fatalf("Lookup(%q) = %v, %v, want either an account or an error", login, account, err)
	}
	return account, err
}

// login looks an account up and proves the password. It checks that there is
// either an identity or an error, and that the error holds no password.
func (h Harness) login(t *testing.T, ctx context.Context, login string, proof providers.Proof) (*providers.Identity, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	account, err := h.lookup(t, ctx, login)
	if err != nil {
		return nil, err
	}
	id, err := account.Prove(ctx, proof)
	if (id == nil) == (err == nil) {
		t.Fatalf("Prove(%q) = %v, %v, want either an identity or an error", login, id, err)
	}
	// Short ones are words that an error may well use.
	if password := proof.Secret.Reveal(); err != nil && len(password) > 12 && strings.Contains(err.Error(), password) {
		t.Errorf("the error of Prove(%q) holds the password", login)
	}
	return id, err
}

// typed returns the proof of a password.
func typed(password string) providers.Proof { return providers.Proof{Secret: secret.New(password)} }

// mustLogin logs the first account in.
func (h Harness) mustLogin(t *testing.T, offline bool) *providers.Identity {
	t.Helper()
	a := h.Accounts[0]
	id, err := h.login(t, t.Context(), a.Logins[0], providers.Proof{Secret: secret.New(a.Password), Offline: offline})
	if err != nil {
		t.Fatalf("Authenticate(%q) = %v, want an identity", a.Logins[0], err)
	}
	return id
}

// wants holds an error against one of the four outcomes; nil is "cannot tell".
func wants(t *testing.T, what string, err, want error) {
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

func testRight(t *testing.T, h Harness) {
	if len(h.Accounts) == 0 {
		t.Fatal("the harness has no accounts")
	}
	for _, a := range h.Accounts {
		subjects := make(map[string]bool)
		for _, login := range a.Logins {
			account, err := h.lookup(t, t.Context(), login)
			if err != nil {
				t.Errorf("Lookup(%q) = %v, want an account", login, err)
				continue
			}
			id, err := h.login(t, t.Context(), login, typed(a.Password))
			if err != nil {
				t.Errorf("Authenticate(%q) = %v, want an identity", login, err)
				continue
			}
			h.checkIdentity(t, login, id, a)
			subjects[id.Subject] = true
			want := ""
			if h.SubjectAtLookup {
				want = id.Subject
			}
			if account.Subject != want {
				t.Errorf("Lookup(%q).Subject = %q, want %q", login, account.Subject, want)
			}
		}
		if len(subjects) > 1 {
			t.Errorf("the logins %q have %d subjects, want one", a.Logins, len(subjects))
		}
	}
}

func testWrong(t *testing.T, h Harness) {
	for _, a := range h.Accounts {
		for _, wrong := range []string{a.Password + "x", a.Password[:len(a.Password)-1], strings.ToUpper(a.Password) + "?", "\xff\xfe", strings.Repeat("a", 4<<10)} {
			if _, err := h.lookup(t, t.Context(), a.Logins[0]); err != nil {
				t.Errorf("Lookup(%q) = %v, want an account, before any password is known", a.Logins[0], err)
			}
			_, err := h.login(t, t.Context(), a.Logins[0], typed(wrong))
			wants(t, fmt.Sprintf("Authenticate(%q) with a wrong password", a.Logins[0]), err, providers.ErrRejected)
		}
	}
}

func (h Harness) checkUnknown(t *testing.T, login string) {
	t.Helper()
	if account, err := h.lookup(t, t.Context(), login); err == nil && account.Subject != "" {
		t.Errorf("Lookup(%q), a name of no account, gave the subject %q", login, account.Subject)
	}
	_, err := h.login(t, t.Context(), login, typed(notRight))
	wants(t, fmt.Sprintf("Authenticate(%q), a name of no account,", login), err, h.Unknown)
}

func testUnknown(t *testing.T, h Harness) {
	h.checkUnknown(t, "nobody-is-called-so")
	h.checkUnknown(t, "nobody@nowhere.example")
}

// testHostile types what means something in a filter, a DN, a path or a form.
// Each of these is a name that nobody has, and no more than that.
func testHostile(t *testing.T, h Harness) {
	for _, login := range []string{
		"*", "b*", "*)(uid=*", ")(objectClass=*", "(|(uid=*))", `\2a`, `a\`, "o(nobody", "x,ou=people", "x+uid=y", `"x"`, "#x", "x;y", "x=y",
		"x/../y", "x&grant_type=client_credentials", "x%2a", "{login}", "{{.}}", "a@b@c", "a b", "x\u0301y\u2044", strings.Repeat("n", 512),
	} {
		h.checkUnknown(t, login)
	}
}

func testEmpty(t *testing.T, h Harness) {
	before := h.passwordsSent()
	for _, login := range []string{h.Accounts[0].Logins[0], "nobody-is-called-so"} {
		id, err := h.login(t, t.Context(), login, typed(""))
		if id != nil || err == nil {
			t.Errorf("Authenticate(%q) with an empty password = %v, %v, want an error", login, id, err)
		}
	}
	if sent := h.passwordsSent() - before; sent != 0 {
		t.Errorf("an empty password was sent %d times, want never", sent)
	}
}

func testDisabled(t *testing.T, h Harness) {
	if h.Disabled == nil {
		return
	}
	for _, login := range h.Disabled.Logins {
		for _, password := range []string{h.Disabled.Password, h.Disabled.Password + "x"} {
			_, err := h.login(t, t.Context(), login, typed(password))
			wants(t, fmt.Sprintf("Authenticate(%q), which is disabled,", login), err, providers.ErrRejected)
		}
	}
}

// testNotProved drops many accounts that were found: no secret was sent, and
// they hold no connection that a login would have to wait for.
func testNotProved(t *testing.T, h Harness) {
	before := h.passwordsSent()
	for range 50 {
		if _, err := h.lookup(t, t.Context(), h.Accounts[0].Logins[0]); err != nil {
			t.Fatalf("Lookup = %v, want an account", err)
		}
	}
	if sent := h.passwordsSent() - before; sent != 0 {
		t.Errorf("%d passwords were sent for accounts that were only looked up, want none", sent)
	}
	h.mustLogin(t, false)
}

func testCanceled(t *testing.T, h Harness) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, password := range []string{h.Accounts[0].Password, notRight} {
		_, err := h.login(t, ctx, h.Accounts[0].Logins[0], typed(password))
		wants(t, "Authenticate with a canceled context", err, nil)
	}
	h.mustLogin(t, false) // and nothing is broken by it
}

// testAtOnce logs everybody in at once, rightly and wrongly. An answer that
// went to another's question is the worst that a pool of connections can do.
func testAtOnce(t *testing.T, h Harness) {
	var everybody sync.WaitGroup
	for i := range 4 {
		for _, a := range h.Accounts {
			everybody.Go(func() {
				id, err := h.login(t, t.Context(), a.Logins[i%len(a.Logins)], typed(a.Password))
				if err != nil {
					t.Errorf("Authenticate(%q) = %v, want an identity", a.Logins, err)
					return
				}
				h.checkIdentity(t, a.Logins[0], id, a)
			})
			everybody.Go(func() {
				_, err := h.login(t, t.Context(), a.Logins[0], typed(notRight))
				wants(t, fmt.Sprintf("Authenticate(%q) with a wrong password", a.Logins[0]), err, providers.ErrRejected)
			})
		}
		everybody.Go(func() { h.checkUnknown(t, "nobody-is-called-so") })
	}
	everybody.Wait()
}

func testStopped(t *testing.T, h Harness) {
	if h.Stop == nil {
		return
	}
	id := h.mustLogin(t, true)
	h.Stop(t)
	for _, password := range []string{h.Accounts[0].Password, notRight} {
		_, err := h.login(t, t.Context(), h.Accounts[0].Logins[0], typed(password))
		wants(t, "Authenticate while the peer is down", err, nil)
	}
	_, err := h.login(t, t.Context(), "nobody-is-called-so", typed(notRight))
	wants(t, "Authenticate of nobody while the peer is down", err, nil)
	if r, ok := h.Provider.(providers.Revalidator); ok {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		_, err := r.Revalidate(ctx, id)
		wants(t, "Revalidate while the peer is down", err, nil)
	}
}

func testFingerprint(t *testing.T, h Harness) {
	first := h.Provider.Fingerprint()
	h.mustLogin(t, false)
	if again := h.Provider.Fingerprint(); first == "" || again != first {
		t.Errorf("Fingerprint() = %q, and after a login %q, want the same and not empty", first, again)
	}
}
