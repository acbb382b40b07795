package throttle

import (
	"log/slog"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
)

// TestStats: each refusal without a provider is counted by its limit, each window that
// fills once, and the store's calls, failures and circuit.
func TestStats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDirectory()
		store := &farStore{MemoryStore: NewMemoryStore()}
		throttle := New(store, make([]byte, 32), Config{AddressFailures: 6}, slog.New(slog.DiscardHandler))
		defer throttle.Close()
		for _, try := range []struct{ login, password, want string }{
			{"bob", "w1", "401 wrong password"},
			{"bob", "w1", "401 wrong password"}, // repeated, without the provider
			{"bob", "w2", "401 wrong password"},
			{"bob", "w3", "401 wrong password"}, // fills the windows of the name and of the account
			{"bob", "w4", "429 name 31m0s"},
			{"bob@mail", "w5", "401 full"}, // the account's window
			{"mallory", "m1", "401 no such account"},
			{"mallory", "m2", "401 no such account"}, // the sixth failure at the address
			{"alice", "a1", "429 address 10m0s"},
		} {
			if got := d.login(t.Context(), throttle, try.login, try.password, stranger); got != try.want {
				t.Errorf("login(%q, %q) = %s, want %s", try.login, try.password, got, try.want)
			}
			synctest.Wait()
		}
		got := throttle.Stats()
		if diff := cmp.Diff(map[string]uint64{"name": 1, "address": 1, "account": 1, "repeat": 1, "unanswered": 0}, got.Refusals); diff != "" {
			t.Errorf("Refusals (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(map[string]uint64{"name": 1, "account": 1}, got.Filled); diff != "" {
			t.Errorf("Filled (-want +got):\n%s", diff)
		}
		if got.Local || got.Fallbacks != 0 || got.Store[storeRead].Failures != 0 || got.Store[storeRead].Count == 0 || got.Store[storeWrite].Count == 0 {
			t.Errorf("the store answers, and Stats = %+v", got)
		}

		store.setDown(true)
		d.login(t.Context(), throttle, "alice", "right", home)
		synctest.Wait()
		if got = throttle.Stats(); !got.Local || got.Fallbacks != 1 || got.Store[storeRead].Failures != 1 {
			t.Errorf("the store is down, and Stats = %+v", got)
		}
	})
}
