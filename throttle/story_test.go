package throttle

import (
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

// step is a login in a story, and its outcome.
type step struct {
	wait     time.Duration // before it
	login    string
	password string
	from     netip.Addr
	want     string // status and reason
	arrived  int    // passwords that have reached the directory after it
}

// TestStories plays logins against a directory, and counts the passwords that reach it.
func TestStories(t *testing.T) {
	elsewhere := netip.MustParseAddr("203.0.113.9")
	bobIs := func(p person) func(*directory) {
		return func(d *directory) { *d.accounts["bob"] = p }
	}
	for _, test := range []struct {
		name  string
		edit  func(*directory)
		steps []step
		at    map[int]func(*directory) // before a step
	}{
		{name: "a wrong password is sent once a window", steps: []step{
			{0, "bob", "w", home, "401 wrong password", 1},
			{0, "bob", "w", home, "401 wrong password", 1},
			{30 * time.Minute, "bob", "w", elsewhere, "401 wrong password", 1},
			{time.Minute, "bob", "w", home, "401 wrong password", 2},
		}},
		{name: "three distinct ones from a new address, then none", steps: []step{
			{0, "bob", "w1", stranger, "401 wrong password", 1},
			{time.Minute, "bob", "w2", stranger, "401 wrong password", 2},
			{time.Minute, "bob", "w3", stranger, "401 wrong password", 3},
			{time.Minute, "bob", "w4", stranger, "429 name 30m0s", 3},
			{0, "bob", "right", stranger, "429 name 30m0s", 3},
			{0, "bob", "w1", stranger, "401 wrong password", 3},
			{30 * time.Minute, "bob", "right", stranger, "200", 4},
		}},
		{name: "a refused request does not extend the window", steps: []step{
			{0, "bob", "w1", stranger, "401 wrong password", 1}, {0, "bob", "w2", stranger, "401 wrong password", 2}, {0, "bob", "w3", stranger, "401 wrong password", 3},
			{30 * time.Minute, "bob", "w4", stranger, "429 name 1m0s", 3}, {0, "bob", "w1", stranger, "401 wrong password", 3},
			{time.Minute, "bob", "right", stranger, "200", 4},
		}},
		{name: "entries expire together, after the youngest", steps: []step{
			{0, "bob", "w1", stranger, "401 wrong password", 1},
			{20 * time.Minute, "bob", "w2", stranger, "401 wrong password", 2},
			{20 * time.Minute, "bob", "w1", stranger, "401 wrong password", 2}, // though its entry is 40 minutes old
			{0, "bob", "w3", stranger, "401 wrong password", 3},
			{30 * time.Minute, "bob", "w4", stranger, "429 name 1m0s", 3},
			{time.Minute, "bob", "w4", stranger, "401 wrong password", 4},
			{0, "bob", "w5", stranger, "401 wrong password", 5},
		}},
		{name: "the person has one more at a known address", steps: []step{
			{0, "bob", "right", home, "200", 1},
			{time.Hour, "bob", "w1", stranger, "401 wrong password", 2}, {0, "bob", "w2", stranger, "401 wrong password", 3}, {0, "bob", "w3", stranger, "401 wrong password", 4},
			{0, "bob", "right", elsewhere, "429 name 31m0s", 4},
			{0, "bob", "typo", home, "401 wrong password", 5},
			{0, "bob", "right", home, "429 name 31m0s", 5},
			{31 * time.Minute, "bob", "right", home, "200", 6},
		}},
		{name: "a right password removes only its own entry", steps: []step{
			{0, "bob", "w1", home, "401 wrong password", 1},
			{0, "bob", "right", home, "200", 2},
			{0, "bob", "w2", home, "401 wrong password", 3}, {0, "bob", "w3", home, "401 wrong password", 4}, {0, "bob", "w4", home, "401 wrong password", 5},
			{0, "bob", "right", home, "429 name 31m0s", 5},
		}},
		{name: "a proof lasts a day", steps: []step{
			{0, "bob", "right", home, "200", 1},
			{25 * time.Hour, "bob", "w1", stranger, "401 wrong password", 2}, {0, "bob", "w2", stranger, "401 wrong password", 3}, {0, "bob", "w3", stranger, "401 wrong password", 4},
			{0, "bob", "right", home, "429 name 31m0s", 4},
		}},
		{name: "a limit of one", edit: func(d *directory) { d.limit.Passwords = 1 }, steps: []step{
			{0, "bob", "w1", home, "401 wrong password", 1}, {0, "bob", "w2", home, "429 name 31m0s", 1},
		}},
		{name: "an unknown address has no proof", steps: []step{
			{0, "bob", "right", nowhere, "200", 1},
			{0, "bob", "w1", nowhere, "401 wrong password", 2}, {0, "bob", "w2", nowhere, "401 wrong password", 3}, {0, "bob", "w3", nowhere, "401 wrong password", 4},
			{0, "bob", "right", nowhere, "429 name 31m0s", 4},
		}},
		{name: "a name that does not exist has the same answers", steps: []step{
			{0, "nobody", "w1", stranger, "401 no such account", 0}, {0, "nobody", "w2", stranger, "401 no such account", 0}, {0, "nobody", "w3", stranger, "401 no such account", 0},
			{0, "nobody", "w4", stranger, "429 name 31m0s", 0}, {0, "nobody", "w1", stranger, "401 no such account", 0},
			{31 * time.Minute, "nobody", "w4", stranger, "401 no such account", 0},
		}},
		{name: "two names of one account share its window, and a full one answers as a wrong password", steps: []step{
			{0, "bob", "w1", stranger, "401 wrong password", 1}, {0, "bob", "w2", stranger, "401 wrong password", 2}, {0, "bob@mail", "w3", stranger, "401 wrong password", 3},
			{0, "bob@mail", "w1", stranger, "401 wrong password", 3}, // equal ones count once
			{0, "bob@mail", "w4", stranger, "401 full", 3},
			{0, "bob@mail", "w5", stranger, "429 name 31m0s", 3},
			{0, "bob", "right", stranger, "401 full", 3},
			{31 * time.Minute, "bob", "right", stranger, "200", 4},
		}},
		{name: "a wrong password is sent again in another state of the account", at: map[int]func(*directory){2: func(d *directory) {
			d.accounts["bob"].state, d.accounts["bob"].password = "s2", "w1"
		}}, steps: []step{
			{0, "bob", "w1", stranger, "401 wrong password", 1},
			{0, "bob", "w2", stranger, "401 wrong password", 2},
			{0, "bob", "w1", stranger, "200", 3},
			{0, "bob", "w2", stranger, "401 wrong password", 4},
			{0, "bob", "w2", stranger, "401 wrong password", 4},
			{0, "bob", "w3", stranger, "401 wrong password", 5},
			{0, "bob", "w4", stranger, "401 wrong password", 6}, {0, "bob", "w5", stranger, "401 wrong password", 7}, // the address has a proof since step 2
			{0, "bob", "w6", stranger, "429 name 31m0s", 7},
		}},
		{name: "an empty state never changes", edit: bobIs(person{subject: "", password: "right"}), steps: []step{
			{0, "bob", "w1", stranger, "401 wrong password", 1},
			{time.Minute, "bob", "w1", stranger, "401 wrong password", 1},
		}},
		{name: "without a subject each spelling with a password is a guess, all in one window", edit: func(d *directory) {
			d.accounts["bob"].subject, d.accounts["Bob"] = "", &person{password: "other"}
		}, steps: []step{
			{0, "bob", "other", stranger, "401 wrong password", 1},
			{0, "Bob", "other", stranger, "200", 2}, // which may be another account
			{0, "bob", "w1", stranger, "401 wrong password", 3},
			{0, "Bob", "w1", stranger, "401 wrong password", 4},
			{0, "bob", "w2", stranger, "401 wrong password", 5},
			{0, "bob", "w3", stranger, "401 full", 5},
		}},
		{name: "a password refused for another reason is sent again after 30 seconds", at: map[int]func(*directory){2: func(d *directory) { d.accounts["bob"].always = 0 }},
			edit: func(d *directory) { d.accounts["bob"].always = OtherRefusal }, steps: []step{
				{0, "bob", "right", stranger, "401 locked", 1},
				{0, "bob", "right", stranger, "401 locked", 1}, // with the first reason
				{31 * time.Second, "bob", "right", stranger, "200", 2},
			}},
		{name: "a lifted lock works immediately where the state shows it", at: map[int]func(*directory){1: func(d *directory) {
			d.accounts["bob"].always, d.accounts["bob"].state = 0, "s2"
		}}, edit: func(d *directory) { d.accounts["bob"].always = OtherRefusal }, steps: []step{
			{0, "bob", "right", stranger, "401 locked", 1},
			{0, "bob", "right", stranger, "200", 2},
		}},
		{name: "a refusal by the configuration leaves no entry in the account window",
			edit: func(d *directory) { d.accounts["bob"].fails["right"] = ProvedRefused }, at: map[int]func(*directory){3: func(d *directory) { delete(d.accounts["bob"].fails, "right") }}, steps: []step{
				{0, "bob", "right", stranger, "401 configuration", 1},
				{0, "bob", "right", stranger, "401 configuration", 1},
				{31 * time.Second, "bob", "right", stranger, "401 configuration", 2},
				{31 * time.Second, "bob", "right", stranger, "200", 3},
			}},
		{name: "a password that was not sent takes no entry", edit: func(d *directory) { d.accounts["bob"].always = NotCounted }, at: map[int]func(*directory){5: func(d *directory) { d.accounts["bob"].always = 0 }}, steps: []step{
			{0, "bob", "w1", stranger, "503", 0}, {0, "bob", "w2", stranger, "503", 0}, {0, "bob", "w3", stranger, "503", 0}, {0, "bob", "w4", stranger, "503", 0}, {0, "bob", "w4", stranger, "503", 0},
			{0, "bob", "w1", stranger, "401 wrong password", 1}, {0, "bob", "w2", stranger, "401 wrong password", 2}, {0, "bob", "w3", stranger, "401 wrong password", 3},
			{0, "bob", "w4", stranger, "429 name 31m0s", 3},
		}},
		{name: "a password that may have arrived counts each time, in the account window alone", edit: func(d *directory) { d.accounts["bob"].always = MayBeCounted }, at: map[int]func(*directory){5: func(d *directory) { d.accounts["bob"].always = 0 }}, steps: []step{
			{0, "bob", "right", stranger, "503", 1}, {0, "bob", "right", stranger, "503", 2}, {0, "bob", "w", stranger, "503", 3},
			{0, "bob", "right", stranger, "503 unanswered", 3}, {0, "bob", "w2", stranger, "503 unanswered", 3},
			{31 * time.Minute, "bob", "right", stranger, "200", 4},
		}},
		{name: "a wrong password after a lost answer counts twice", edit: func(d *directory) { d.accounts["bob"].always = MayBeCounted }, at: map[int]func(*directory){1: func(d *directory) { d.accounts["bob"].always = 0 }}, steps: []step{
			{0, "bob", "w1", stranger, "503", 1},
			{0, "bob", "w1", stranger, "401 wrong password", 2}, // which the directory may have counted twice
			{0, "bob", "w2", stranger, "401 wrong password", 3},
			{0, "bob", "w3", stranger, "401 full", 3},
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDirectory()
				if test.edit != nil {
					test.edit(d)
				}
				throttle := newTest(t, &farStore{MemoryStore: NewMemoryStore(), slow: time.Millisecond})
				for i, s := range test.steps {
					time.Sleep(s.wait)
					if change := test.at[i]; change != nil {
						change(d)
					}
					if got := d.login(t.Context(), throttle, s.login, s.password, s.from); got != s.want || d.arrived() != s.arrived {
						t.Errorf("step %d: login(%q, %q) = %s with %d passwords sent, want %s with %d", i, s.login, s.password, got, d.arrived(), s.want, s.arrived)
					}
				}
			})
		})
	}
}

// TestProvedAddressesShareOneLimit: a proof gives an address no limit of its own.
func TestProvedAddressesShareOneLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDirectory()
		throttle := newTest(t, NewMemoryStore())
		addresses := make([]netip.Addr, 4)
		for i := range addresses {
			addresses[i] = netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})
			if got := d.login(t.Context(), throttle, "bob", "right", addresses[i]); got != "200" {
				t.Fatalf("login from %v = %s, want 200", addresses[i], got)
			}
		}
		before := d.arrived()
		for i := range 15 {
			d.login(t.Context(), throttle, []string{"bob", "bob@mail"}[i%2], fmt.Sprint("w", i), addresses[i%4])
		}
		if n := d.arrived() - before; n != four.Passwords {
			t.Errorf("%d distinct wrong passwords from four addresses with a proof reached the directory, want %d", n, four.Passwords)
		}
	})
}
