package providers

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

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
func (e *padding) Pad(context.Context, time.Time, Login, LoginPassword) { e.times++ }

// TestRefusalTakesTheTimeOfAWrongPassword: a refusal without Prove takes as long as a wrong password,
// so that its time does not tell why.
func TestRefusalTakesTheTimeOfAWrongPassword(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &directory{accounts: bob(), slow: 70 * time.Millisecond}
		a := account("right", "uuid-3", "locked")
		a.refusal = Reject(Locked, errors.New("locked"))
		d.accounts["locked"] = a
		withState := account("right", "uuid-4", "carol")
		withState.state = "1"
		d.accounts["carol"] = withState
		c := one(t, d, nil)
		took := func(login Login, password string, from netip.Addr) time.Duration {
			began := time.Now()
			if got := outcome(c.try(t, typed(login, password, from))); got != "401" {
				t.Errorf("%s with %q = %s, want 401", login, password, got)
			}
			return time.Since(began)
		}
		wrong := took("alice", "wrong", home)
		for i := range strangers { // so that the account's window is full
			took([]Login{"bob", `corp\bob`, "bob@corp.example"}[i%3], fmt.Sprint("w", i), home)
		}
		for _, test := range []struct {
			name, password string
			login          Login
		}{
			{"a name without an account", "wrong", "nobody"},
			{"the same again", "wrong", "nobody"},
			{"a locked account", "right", "locked"},
			{"the same again", "right", "locked"},
			{"a wrong password", "wrong", "carol"},
			{"the same again, which only the account's state can change", "wrong", "carol"},
			{"the same again, which nothing can change", "wrong", "alice"},
			{"an account whose window is full", "right", "bob"},
		} {
			if got := took(test.login, test.password, stranger); got != wrong {
				t.Errorf("%s: %v, want %v as a wrong password takes", test.name, got, wrong)
			}
		}
	})
}
