package providertest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"shorepass/providers"
)

func testRightPassword(t *testing.T, h Harness) {
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

func testWrongPassword(t *testing.T, h Harness) {
	for _, a := range h.Accounts {
		for _, wrong := range []string{a.Password + "x", a.Password[:len(a.Password)-1], strings.ToUpper(a.Password) + "?", "\xff\xfe", strings.Repeat("a", 4<<10)} {
			if _, err := h.lookup(t, t.Context(), a.Logins[0]); err != nil {
				t.Errorf("Lookup(%q) = %v, want an account", a.Logins[0], err)
			}
			_, err := h.login(t, t.Context(), a.Logins[0], typed(wrong))
			checkOutcome(t, fmt.Sprintf("Authenticate(%q) with a wrong password", a.Logins[0]), err, providers.ErrRejected)
		}
	}
}

func (h Harness) checkUnknown(t *testing.T, login string) {
	t.Helper()
	if account, err := h.lookup(t, t.Context(), login); err == nil && account.Subject != "" {
		t.Errorf("Lookup(%q), an unknown name, returned the subject %q", login, account.Subject)
	}
	_, err := h.login(t, t.Context(), login, typed(wrongPassword))
	checkOutcome(t, fmt.Sprintf("Authenticate(%q), an unknown name,", login), err, h.Unknown)
}

func testUnknownName(t *testing.T, h Harness) {
	h.checkUnknown(t, "no-such-name")
	h.checkUnknown(t, "nobody@nowhere.example")
}

// testInjection uses names with a meaning in a filter, a DN, a path or a form.
// Each must be an unknown name and nothing else.
func testInjection(t *testing.T, h Harness) {
	for _, login := range []string{
		"*", "b*", "*)(uid=*", ")(objectClass=*", "(|(uid=*))", `\2a`, `a\`, "o(nobody", "x,ou=people", "x+uid=y", `"x"`, "#x", "x;y", "x=y",
		"x/../y", "x&grant_type=client_credentials", "x%2a", "{login}", "{{.}}", "a@b@c", "a b", "x\u0301y\u2044", strings.Repeat("n", 512),
	} {
		h.checkUnknown(t, login)
	}
}

func testEmptyPassword(t *testing.T, h Harness) {
	before := h.passwordsSent()
	for _, login := range []string{h.Accounts[0].Logins[0], "no-such-name"} {
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
			checkOutcome(t, fmt.Sprintf("Authenticate(%q), a disabled account,", login), err, providers.ErrRejected)
		}
	}
}

// testLookupOnly checks that accounts which are not proved send no password,
// and hold no connection that a login would have to wait for.
func testLookupOnly(t *testing.T, h Harness) {
	before := h.passwordsSent()
	for range 50 {
		if _, err := h.lookup(t, t.Context(), h.Accounts[0].Logins[0]); err != nil {
			t.Fatalf("Lookup = %v, want an account", err)
		}
	}
	if sent := h.passwordsSent() - before; sent != 0 {
		t.Errorf("50 calls of Lookup sent %d passwords, want none", sent)
	}
	h.mustLogin(t, false)
}

func testCanceled(t *testing.T, h Harness) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, password := range []string{h.Accounts[0].Password, wrongPassword} {
		_, err := h.login(t, ctx, h.Accounts[0].Logins[0], typed(password))
		checkOutcome(t, "Authenticate with a canceled context", err, nil)
	}
	h.mustLogin(t, false) // the provider still works
}

// testConcurrent runs right, wrong and unknown logins concurrently: a
// connection pool must not confuse their answers.
func testConcurrent(t *testing.T, h Harness) {
	var wg sync.WaitGroup
	for i := range 4 {
		for _, a := range h.Accounts {
			wg.Go(func() {
				id, err := h.login(t, t.Context(), a.Logins[i%len(a.Logins)], typed(a.Password))
				if err != nil {
					t.Errorf("Authenticate(%q) = %v, want an identity", a.Logins, err)
					return
				}
				h.checkIdentity(t, a.Logins[0], id, a)
			})
			wg.Go(func() {
				_, err := h.login(t, t.Context(), a.Logins[0], typed(wrongPassword))
				checkOutcome(t, fmt.Sprintf("Authenticate(%q) with a wrong password", a.Logins[0]), err, providers.ErrRejected)
			})
		}
		wg.Go(func() { h.checkUnknown(t, "no-such-name") })
	}
	wg.Wait()
}

func testOutage(t *testing.T, h Harness) {
	if h.Stop == nil {
		return
	}
	id := h.mustLogin(t, true)
	h.Stop(t)
	for _, password := range []string{h.Accounts[0].Password, wrongPassword} {
		_, err := h.login(t, t.Context(), h.Accounts[0].Logins[0], typed(password))
		checkOutcome(t, "Authenticate while the peer is down", err, nil)
	}
	_, err := h.login(t, t.Context(), "no-such-name", typed(wrongPassword))
	checkOutcome(t, "Authenticate of an unknown name while the peer is down", err, nil)
	if r, ok := h.Provider.(providers.Revalidator); ok {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		_, err := r.Revalidate(ctx, id)
		checkOutcome(t, "Revalidate while the peer is down", err, nil)
	}
}

func testFingerprint(t *testing.T, h Harness) {
	first := h.Provider.Fingerprint()
	h.mustLogin(t, false)
	if again := h.Provider.Fingerprint(); first == "" || again != first {
		t.Errorf("Fingerprint() = %q, and after a login %q, want the same, not empty", first, again)
	}
}
