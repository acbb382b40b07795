package session_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"shorepass/session"
	"shorepass/session/sqlite"
)

// countingStore is a store that counts how often the sessions in it are counted.
type countingStore struct {
	*sqlite.Store
	counts *atomic.Int64
}

func (c countingStore) CountSessions(ctx context.Context) (map[session.Kind]int, error) {
	c.counts.Add(1)
	return c.Store.CountSessions(ctx)
}

// TestSessionsAreCountedOnce: the sessions are counted at the start and then with the
// sweep, once however many replicas there are, and every replica knows the number.
func TestSessionsAreCountedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 0, session.Config{})
		defer c.close()
		var counts atomic.Int64
		for range 3 {
			store, err := sqlite.Open(t.Context(), c.file)
			must(t, err)
			c.startOn(countingStore{store, &counts}, session.Config{})
			synctest.Wait()
		}
		live := func(what string, want map[session.Kind]int, wantCounts int64) {
			t.Helper()
			for i, r := range c.replicas {
				stats := r.Stats()
				if diff := cmp.Diff(want, stats.Live); diff != "" {
					t.Errorf("%s, replica %d (-want +got):\n%s", what, i, diff)
				}
				if age := time.Since(stats.Counted); age > 11*time.Minute {
					t.Errorf("%s, replica %d: the number is %v old", what, i, age)
				}
			}
			if n := counts.Load(); n != wantCounts {
				t.Errorf("%s: counted %d times, want %d", what, n, wantCounts)
			}
		}
		live("at the start", map[session.Kind]int{}, 1)
		c.issue("corp", "alice")
		c.issue("corp", "bob")
		time.Sleep(11 * time.Minute)
		live("after two sweeps", map[session.Kind]int{session.KindRefresh: 2}, 3)
	})
}

// TestStats: what Sessions ask of the store and of providers is counted.
func TestStats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 1, session.Config{})
		defer c.close()
		token := c.issue("corp", "alice")
		for range 3 {
			_, err := c.redeem(token)
			must(t, err)
		}
		time.Sleep(6 * time.Minute)
		_, err := c.redeem(token) // revalidates
		must(t, err)
		c.providers.setDown(true)
		time.Sleep(6 * time.Minute)
		_, err = c.redeem(token)
		must(t, err)
		synctest.Wait()

		got := c.replicas[0].Stats()
		want := map[string]map[string]uint64{"corp": {"vouched": 1, "unavailable": 1, "rejected": 0, "ended": 0, "gone": 0, "cannot": 0}}
		if diff := cmp.Diff(want, got.Answers); diff != "" {
			t.Errorf("answers (-want +got):\n%s", diff)
		}
		for operation, least := range map[string]uint64{"find": 5, "create": 1, "lease": 2, "answer": 2, "last_use": 1, "sweep": 1, "count": 1} {
			if one := got.Store[operation]; one.Count < least || one.Failures != 0 {
				t.Errorf("%s was counted %d times with %d failures, want %d at least and none", operation, one.Count, one.Failures, least)
			}
		}
		if s := got.Caches["identities"]; s.Hits < 4 || s.Misses != 1 || s.Entries != 1 {
			t.Errorf("the cache of identities = %+v, want one miss", s)
		}
		if w := got.Pools["writer"]; w.Max != 1 || w.InUse != 0 || w.Idle != 1 {
			t.Errorf("the pool of the writer = %+v, want one idle connection", w)
		}
		if got.Breakers["corp"].Open || got.ClockOffset != 0 || got.UnwrittenAnswers != 0 {
			t.Errorf("Stats = %+v, want a closed breaker, no clock offset and no unwritten answer", got)
		}
	})
}
