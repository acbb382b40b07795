package providers

import (
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"shorepass/throttle"
)

// outcome returns the HTTP status of an error.
func outcome(err error) string {
	var limited *throttle.RetryAfter
	switch {
	case err == nil:
		return "200"
	case errors.As(err, &limited):
		return "429"
	case errors.Is(err, ErrRejected), errors.Is(err, ErrGone):
		return "401"
	}
	return "503"
}

// step is a login in a story, and its outcome.
type step struct {
	wait     time.Duration // before it
	login    Login
	password string
	from     netip.Addr
	want     string // outcome
	reached  int    // secrets that have reached the directory after it
}

// TestThrottleStories plays logins one after another, and counts the secrets that reach the
// directory.
func TestThrottleStories(t *testing.T) {
	other := netip.MustParseAddr("203.0.113.9")
	domains := func(d *directory, _ *Config) { d.domains = []string{"CORP", "corp.example"} }
	for _, test := range []struct {
		name  string
		edit  func(*directory, *Config)
		steps []step
	}{
		{name: "a wrong password is sent once", steps: []step{
			{0, "bob", "wrong", home, "401", 1},
			{0, "bob", "wrong", home, "401", 1},
			{30 * time.Minute, "bob", "wrong", stranger, "401", 1},
			{time.Minute, "bob", "wrong", home, "401", 2},
		}},
		{name: "POST and then GET count once", steps: []step{
			{0, "bob", "w1", home, "401", 1}, {0, "bob", "w1", home, "401", 1},
			{0, "bob", "w2", home, "401", 2}, {0, "bob", "w2", home, "401", 2},
			{0, "bob", "right", home, "200", 3},
		}},
		{name: "three distinct ones without a proof, then none", steps: []step{
			{0, "bob", "w1", home, "401", 1},
			{time.Minute, "bob", "w2", home, "401", 2},
			{time.Minute, "bob", "w3", home, "401", 3},
			{0, "bob", "w4", home, "429", 3},
			{0, "bob", "right", home, "429", 3},
			{0, "bob", "w1", home, "401", 3}, // its entry is wrong, so that it is not sent
			{30 * time.Minute, "bob", "right", home, "429", 3},
			{time.Minute, "bob", "right", home, "200", 4},
		}},
		{name: "a fourth with a proof", steps: []step{
			{0, "bob", "right", home, "200", 1},
			{2 * time.Minute, "bob", "w1", home, "401", 2}, {0, "bob", "w2", home, "401", 3}, {0, "bob", "w3", home, "401", 4},
			{0, "bob", "w4", stranger, "429", 4},
			{0, "bob", "w4", home, "401", 5},
			{0, "bob", "w5", home, "429", 5},
			{0, "bob", "right", home, "429", 5},
			{window, "bob", "right", home, "200", 6},
		}},
		{name: "a window expires as a whole, a quiet period after the last new entry", steps: []step{
			{0, "bob", "w1", home, "401", 1},
			{20 * time.Minute, "bob", "w2", home, "401", 2},
			{20 * time.Minute, "bob", "w1", home, "401", 2},
			{0, "bob", "w3", home, "401", 3},
			{30 * time.Minute, "bob", "right", home, "429", 3},
			{time.Minute, "bob", "w1", home, "401", 4},
		}},
		{name: "a refused login does not extend the window", steps: []step{
			{0, "bob", "w1", home, "401", 1}, {0, "bob", "w2", home, "401", 2}, {0, "bob", "w3", home, "401", 3},
			{20 * time.Minute, "bob", "w4", home, "429", 3}, {0, "bob", "w1", home, "401", 3},
			{11 * time.Minute, "bob", "right", home, "200", 4},
		}},
		{name: "a right password takes no room, and removes only its own entry", steps: []step{
			{0, "bob", "w1", home, "401", 1}, {0, "bob", "w2", home, "401", 2},
			{0, "bob", "right", home, "200", 3},
			{2 * time.Minute, "bob", "right", stranger, "200", 4}, {2 * time.Minute, "bob", "right", other, "200", 5},
			{0, "bob", "w3", home, "401", 6}, {0, "bob", "w4", home, "401", 7},
			{0, "bob", "w5", home, "429", 7},
		}},
		{name: "names of one account share its window", steps: []step{
			{0, "bob", "w1", home, "401", 1},
			{0, `corp\bob`, "w2", home, "401", 2},
			{0, "bob@corp.example", "w3", home, "401", 3},
			{0, "bob", "w4", home, "401", 3}, // not 429, which would tell that the names are one account
			{0, "bob", "right", home, "401", 3},
			{0, `corp\bob`, "w1", home, "401", 3},
		}},
		{name: "a configured domain makes no other name window", edit: domains, steps: []step{
			{0, "bob", "w1", home, "401", 1}, {0, `corp\bob`, "w2", home, "401", 2}, {0, "bob@CORP.example", "w3", home, "401", 2},
			{0, "bob", "w4", home, "429", 2}, {0, `corp\bob`, "w4", home, "429", 2}, {0, `CORP\bob`, "w4", home, "429", 2},
		}},
		{name: "nor for a name without an account", edit: domains, steps: []step{
			{0, "nobody", "w1", home, "401", 0}, {0, `corp\nobody`, "w2", home, "401", 0}, {0, "nobody@CORP.example", "w3", home, "401", 0},
			{0, "nobody", "w4", home, "429", 0}, {0, `corp\nobody`, "w4", home, "429", 0}, {0, `CORP\nobody`, "w4", home, "429", 0},
		}},
		{name: "another account is not limited", steps: []step{
			{0, "bob", "w1", stranger, "401", 1}, {0, "bob", "w2", stranger, "401", 2}, {0, "bob", "w3", stranger, "401", 3},
			{0, "alice", "right", stranger, "200", 4},
		}},
		{name: "a name without an account has the same answers", steps: []step{
			{0, "nobody", "w1", home, "401", 0}, {0, "nobody", "w2", home, "401", 0}, {0, "nobody", "w3", home, "401", 0},
			{0, "nobody", "w4", home, "429", 0}, {0, "nobody", "w1", home, "401", 0},
			{window, "nobody", "w4", home, "401", 0},
		}},
		{name: "a name that no match has has the same answers", edit: func(_ *directory, c *Config) { c.Match = []string{"bob"} }, steps: []step{
			{0, "alice", "w1", home, "401", 0}, {0, "alice", "w2", home, "401", 0}, {0, "alice", "w3", home, "401", 0},
			{0, "alice", "w4", home, "429", 0},
		}},
		{name: "a stranger keeps the person out at new addresses, and not at known ones", edit: domains, steps: []step{
			{0, "bob", "right", home, "200", 1},
			{2 * time.Hour, "bob", "w1", stranger, "401", 2}, {0, "bob", "w2", stranger, "401", 3}, {0, "bob", "w3", stranger, "401", 4},
			{0, "bob", "w4", stranger, "429", 4},
			{0, "bob", "right", other, "429", 4},
			{0, "bob", "right", home, "200", 5},
		}},
		{name: "but leaves the person one mistake at a known address", steps: []step{
			{0, "bob", "right", home, "200", 1},
			{2 * time.Hour, "bob", "w1", stranger, "401", 2}, {0, "bob", "w2", stranger, "401", 3}, {0, "bob", "w3", stranger, "401", 4},
			{0, "bob", "mistake", home, "401", 5},
			{0, "bob", "right", home, "429", 5},
			{window, "bob", "right", home, "200", 6},
		}},
		{name: "a stranger at the known address keeps the person out everywhere", steps: []step{
			{0, "bob", "right", home, "200", 1},
			{2 * time.Hour, "bob", "w1", home, "401", 2}, {0, "bob", "w2", home, "401", 3}, {0, "bob", "w3", home, "401", 4}, {0, "bob", "w4", home, "401", 5},
			{0, "bob", "right", home, "429", 5},
			{0, "bob", "right", other, "429", 5},
		}},
		{name: "a proof lasts a day", steps: []step{
			{0, "bob", "right", home, "200", 1},
			{25 * time.Hour, "bob", "w1", stranger, "401", 2}, {0, "bob", "w2", stranger, "401", 3}, {0, "bob", "w3", stranger, "401", 4},
			{0, "bob", "right", home, "429", 4},
		}},
		{name: "the cache of right passwords answers no guess", steps: []step{
			{0, "bob", "right", home, "200", 1},
			{0, "bob", "w1", stranger, "401", 2}, {0, "bob", "w2", stranger, "401", 3}, {0, "bob", "w3", stranger, "401", 4},
			{0, "bob", "right", other, "429", 4},
			{0, "bob", "right", home, "200", 4},
		}},
		{name: "a limit of its own", edit: func(_ *directory, c *Config) { c.WrongPasswords = 1 }, steps: []step{
			{0, "bob", "w1", home, "401", 1}, {0, "bob", "w2", home, "429", 1},
		}},
		{name: "a window of its own", edit: func(_ *directory, c *Config) { c.WrongPasswordWindow = 2 * time.Minute }, steps: []step{
			{0, "bob", "w1", home, "401", 1},
			{2 * time.Minute, "bob", "w1", home, "401", 1},
			{time.Minute, "bob", "w1", home, "401", 2},
		}},
		{name: "an unknown address has no proofs", steps: []step{
			{0, "bob", "right", netip.Addr{}, "200", 1},
			{2 * time.Minute, "bob", "w1", netip.Addr{}, "401", 2}, {0, "bob", "w2", netip.Addr{}, "401", 3}, {0, "bob", "w3", netip.Addr{}, "401", 4},
			{0, "bob", "right", netip.Addr{}, "429", 4},
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &directory{accounts: bob()}
				c := one(t, d, func(cfg *Config) {
					if test.edit != nil {
						test.edit(d, cfg)
					}
				})
				for i, s := range test.steps {
					time.Sleep(s.wait)
					err := c.try(t, typed(s.login, s.password, s.from))
					if got := outcome(err); got != s.want || d.reached() != s.reached {
						t.Errorf("step %d: Authenticate(%q, %q) = %s (%v) with %d secrets sent, want %s with %d",
							i, s.login, s.password, got, err, d.reached(), s.want, s.reached)
					}
				}
			})
		})
	}
}
