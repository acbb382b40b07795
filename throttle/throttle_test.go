package throttle

import (
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"shorepass/internal/secret"
)

// TestBudget: the budget of an address counts distinct pairs of name and password, each
// for ten minutes by itself. A login with a proof is neither limited by it nor counted
// in it. Another ConfigHash has another budget.
func TestBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDirectory()
		throttle := newTest(t, NewMemoryStore())
		office, neighbour := netip.MustParseAddr("2001:db8:1:2::1"), netip.MustParseAddr("2001:db8:1:2:ffff::9")
		try := func(what, name, password string, from netip.Addr, want string) {
			t.Helper()
			if got := d.login(t.Context(), throttle, name, password, from); got != want {
				t.Errorf("%s = %s, want %s", what, got, want)
			}
		}
		try("bob's proof", "bob", "right", office, "200")
		try("a wrong password at a known address", "bob", "w", office, "401 wrong password")
		for i := range 30 {
			try("a failure", fmt.Sprint("nobody", i), "w", []netip.Addr{office, neighbour}[i%2], "401 no such account")
			if i == 0 {
				try("the same again", "nobody0", "w", office, "401 no such account")
				time.Sleep(time.Minute)
			}
		}
		try("one more", "nobody30", "w", neighbour, "429 address 9m0s")
		try("a newcomer", "alice", "right", neighbour, "429 address 9m0s")
		try("a person who logged in there", "bob", "right", office, "200")
		try("the newcomer elsewhere", "alice", "right", home, "200")
		time.Sleep(9 * time.Minute)
		try("when the first failure is over", "nobody30", "w", office, "401 no such account")
		try("one more", "nobody31", "w", office, "429 address 1m0s")
		throttle.Reload(Config{AddressFailures: 30, ConfigHash: []byte("corrected")})
		try("after another configuration", "alice", "right", neighbour, "200")
	})
}

// TestTokenCountsForAddressAlone: and the refusal of an equal token is cached.
func TestTokenCountsForAddressAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		throttle := newTest(t, NewMemoryStore())
		refuse := func(token string) string {
			a, err := throttle.Begin(t.Context(), Guess{Name: "$refresh", Text: "$refresh", Token: "refresh_token", Secret: secret.New(token), Address: home})
			if err != nil {
				return status(err)
			}
			defer a.End()
			a.Settle(Wrong, Cause{Reason: "invalid_grant"})
			return "asked"
		}
		for i := range 30 {
			if got := refuse(fmt.Sprint("token", i)); got != "asked" {
				t.Errorf("token %d = %s, want asked", i, got)
			}
			synctest.Wait()
			if got := refuse(fmt.Sprint("token", i)); got != "401 invalid_grant" {
				t.Errorf("token %d again = %s, want 401", i, got)
			}
		}
		if got := refuse("another"); got != "429 address 10m0s" {
			t.Errorf("one more = %s, want 429", got)
		}
		d := newDirectory()
		if got := d.login(t.Context(), throttle, "bob", "w", stranger); got != "401 wrong password" {
			t.Errorf("a password elsewhere = %s, want 401", got)
		}
	})
}

// TestReloadEmptiesRefusalCache: nor is the refusal of an attempt cached that began
// before the reload and is settled after it.
func TestReloadEmptiesRefusalCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDirectory()
		d.accounts["bob"].always = ProvedRefused
		throttle := newTest(t, NewMemoryStore())
		a, _ := throttle.Begin(t.Context(), d.guess("bob", "right", home))
		if _, err := a.Reserve(t.Context(), Account{Provider: "corp", Subject: "uuid-bob", State: "s1", Limit: d.limit}); err != nil {
			t.Fatal(err)
		}
		d.login(t.Context(), throttle, "alice", "w", home)
		throttle.Reload(Config{AddressFailures: 30})
		a.Settle(ProvedRefused, Cause{Reason: "configuration"})
		a.End()
		synctest.Wait()
		d.accounts["bob"].always = 0
		if got := d.login(t.Context(), throttle, "bob", "right", home); got != "200" {
			t.Errorf("after the reload = %s, want 200", got)
		}
	})
}

// TestNoteProof: a redeemed session writes a proof of the login name under which it was
// made, at most once an hour.
func TestNoteProof(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDirectory()
		store := &farStore{MemoryStore: NewMemoryStore()}
		throttle := newTest(t, store)
		hasProof := func() bool {
			a, err := throttle.Begin(t.Context(), d.guess("bob", "w", home))
			if err != nil {
				t.Fatal(err)
			}
			defer a.End()
			return a.HasProof()
		}
		if hasProof() {
			t.Error("HasProof before any, want none")
		}
		for range 10 {
			throttle.NoteProof("bob", home)
			throttle.NoteProof("bob", nowhere)
			synctest.Wait()
		}
		if !hasProof() {
			t.Error("no proof once a session was redeemed there")
		}
		if store.swaps != 1 {
			t.Errorf("%d writes of ten redemptions, want 1", store.swaps)
		}
		time.Sleep(23 * time.Hour)
		throttle.NoteProof("bob", home)
		time.Sleep(2 * time.Hour)
		if !hasProof() {
			t.Error("no proof two hours after the last redemption")
		}
		time.Sleep(22 * time.Hour)
		if hasProof() {
			t.Error("a proof a day after the last redemption")
		}
	})
}

// TestProofOfAnotherAccount: a proof does not hold for another account that got the
// login name since.
func TestProofOfAnotherAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDirectory()
		throttle := newTest(t, NewMemoryStore())
		d.login(t.Context(), throttle, "bob", "right", home)
		synctest.Wait()
		d.accounts["bob"] = &person{subject: "uuid-another", password: "other"}
		for i, want := range []string{"401 wrong password", "401 wrong password", "401 wrong password", "429 name 31m0s"} {
			if got := d.login(t.Context(), throttle, "bob", fmt.Sprint("w", i), home); got != want {
				t.Errorf("login %d = %s, want %s", i, got, want)
			}
			synctest.Wait()
		}
	})
}

func TestAddressKey(t *testing.T) {
	cfg := Config{Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")}}
	for _, test := range []struct{ address, want string }{
		{"192.0.2.7", "192.0.2.7"}, {"::ffff:192.0.2.7", "192.0.2.7"}, {"10.2.3.4", "10.0.0.0/8"},
		{"2001:db8:1::1", "2001:db8::/32"}, {"2001:db9:1:2:3::1", "2001:db9:1:2::/64"}, {"fe80::1%eth0", "fe80::/64"},
	} {
		if got := cfg.addressKey(netip.MustParseAddr(test.address)); got != test.want {
			t.Errorf("addressKey(%s) = %s, want %s", test.address, got, test.want)
		}
	}
	if got := cfg.addressKey(netip.Addr{}); got != "" {
		t.Errorf("addressKey of an unknown address = %q, want none", got)
	}
}
