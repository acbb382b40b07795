package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// memoryBreakerStore is a BreakerStore in memory, which returns err while that is set.
type memoryBreakerStore struct {
	mu      sync.Mutex
	err     error
	rows    map[string]Breaker
	tallies map[[2]string][]byte // by provider and replica
	at      map[[2]string]time.Time
	writes  int
}

func newMemoryBreakerStore() *memoryBreakerStore {
	return &memoryBreakerStore{rows: make(map[string]Breaker), tallies: make(map[[2]string][]byte), at: make(map[[2]string]time.Time)}
}

func (s *memoryBreakerStore) Breakers(context.Context) (all []Breaker, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, row := range s.rows {
		all = append(all, row)
	}
	return all, s.err
}

func (s *memoryBreakerStore) SwapBreaker(_ context.Context, old, row Breaker) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now, ok := s.rows[row.Provider]; s.err != nil || ok && now != old || !ok && old != (Breaker{Provider: row.Provider}) {
		return false, s.err
	}
	s.rows[row.Provider] = row
	s.writes++
	return true, nil
}

func (s *memoryBreakerStore) WriteTally(_ context.Context, provider, replica string, at time.Time, body []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.tallies[[2]string{provider, replica}], s.at[[2]string{provider, replica}] = body, at
		s.writes++
	}
	return s.err
}

func (s *memoryBreakerStore) Tallies(_ context.Context, provider, replica string, since time.Time) (bodies [][]byte, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, body := range s.tallies {
		if key[0] == provider && key[1] != replica && s.at[key].After(since) {
			bodies = append(bodies, body)
		}
	}
	return bodies, s.err
}

func (s *memoryBreakerStore) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

// state returns the number of writes, and err.
func (s *memoryBreakerStore) state() (writes int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.writes, s.err
}

// lines is what a replica logs. It is safe for concurrent use.
type logBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// breakerCluster is replicas that share circuit breakers.
type breakerCluster struct {
	t        *testing.T
	store    *memoryBreakerStore
	replicas []*breakers
	log      *logBuffer // what the first replica logs
	began    time.Time
}

// newBreakerCluster starts one replica for each clock offset.
func newBreakerCluster(t *testing.T, grace time.Duration, ahead ...time.Duration) *breakerCluster {
	s := &breakerCluster{t: t, store: newMemoryBreakerStore(), log: new(logBuffer), began: time.Now()}
	cfg := new(atomic.Pointer[generation])
	cfg.Store(&generation{cfg: Config{Grace: grace}})
	ctx, stop := context.WithCancel(t.Context())
	var group sync.WaitGroup
	for i := range ahead {
		log := slog.New(slog.DiscardHandler)
		if i == 0 {
			log = slog.New(slog.NewTextHandler(s.log, nil))
		}
		clock := new(clock)
		clock.ahead.Store(int64(ahead[i]))
		b := newBreakers(s.store, clock, cfg, log)
		s.replicas = append(s.replicas, b)
		group.Go(func() { b.run(ctx) })
	}
	t.Cleanup(func() {
		stop()
		group.Wait()
	})
	return s
}

// end counts persons as newly ended, in turn on each replica.
func (s *breakerCluster) end(from, to int) {
	for i := from; i < to; i++ {
		s.count(countedAnswer{replica: i % len(s.replicas), what: "ended", person: int64(i)})
	}
}

func (s *breakerCluster) vouch(times int) {
	for i := range times {
		s.count(countedAnswer{replica: i % len(s.replicas), what: "vouched"})
	}
}

// count has a replica count an answer. It may fail while the store does.
func (s *breakerCluster) count(one countedAnswer) {
	kind := answerVouches
	if one.what == "ended" {
		kind = answerEnds
	}
	if err := s.replicas[one.replica].countAnswer(s.t.Context(), "corp", one.person, kind); err != nil {
		if _, failing := s.store.state(); failing == nil {
			s.t.Error(err)
		}
	}
}

// refuse counts logins as refused at addresses with a proof, in turn on each replica.
func (s *breakerCluster) refuse(from, to int) {
	for i := from; i < to; i++ {
		s.replicas[i%len(s.replicas)].countLogin("corp", fmt.Sprint("person ", i), true, false)
	}
}

// expect checks whether every replica doubts the provider.
func (s *breakerCluster) expect(when string, want bool) {
	s.t.Helper()
	for i, b := range s.replicas {
		until, err := b.doubtedUntil(s.t.Context(), "corp")
		if got := err == nil && !time.Now().After(until); got != want {
			s.t.Errorf("%s: replica %d doubts it until %v, %v, want doubted %v", when, i, until, err, want)
		}
	}
	time.Sleep(shareInterval)
	for i, b := range s.replicas {
		if got := b.isDoubted("corp"); got != want {
			s.t.Errorf("%s, and a second later: replica %d says doubted is %v, want %v", when, i, got, want)
		}
	}
}

// logged checks how often the first replica logged that the breaker opened and closed.
func (s *breakerCluster) logged(opened, closed int) {
	s.t.Helper()
	synctest.Wait()
	text := s.log.String()
	if o, c := strings.Count(text, "circuit breaker open"), strings.Count(text, "circuit breaker closed"); o != opened || c != closed {
		s.t.Errorf("logged %d openings and %d closings, want %d and %d:\n%s", o, c, opened, closed, text)
	}
}

func TestBreakers(t *testing.T) {
	const s, m = time.Second, time.Minute
	sleep := time.Sleep
	for _, tc := range []struct {
		name string
		play func(*breakerCluster)
	}{
		{"the tenth person opens it immediately, for every replica", func(b *breakerCluster) {
			sleep(2 * s)
			b.vouch(30)
			sleep(2 * s)
			b.end(0, 9)
			b.expect("after nine", false)
			b.end(9, 10)
			b.expect("after ten", true)
			sleep(2 * s)
			b.logged(1, 0)
			sleep(3 * m) // the ten are less than half within ten minutes
			b.expect("when the minute is over", false)
			b.logged(1, 1)
		}},
		{"answers of other replicas count once shared", func(b *breakerCluster) {
			b.vouch(40)
			sleep(2 * s)
			b.end(0, 10)
			b.expect("ten of fifty", false)
			sleep(11 * m)
			b.logged(0, 0)
		}},
		{"one person's many sessions are one person", func(b *breakerCluster) {
			for range 100 {
				b.end(0, 1)
			}
			sleep(2 * s)
			b.expect("a leaver", false)
		}},
		{"five persons and half within ten minutes keep it open", func(b *breakerCluster) {
			b.vouch(5)
			sleep(2 * s)
			b.end(0, 5)
			b.expect("five of ten", true)
			sleep(9 * m)
			b.expect("nine minutes later", true)
			sleep(3 * m)
			b.expect("twelve minutes later", false)
			b.logged(1, 1)
		}},
		{"a provider that goes on refusing is not doubted after grace, while it goes on", func(b *breakerCluster) {
			for i := range 90 {
				b.end(10*i, 10*i+10)
				sleep(m)
				if i < 59 {
					b.expect(fmt.Sprint("minute ", i), true)
				}
				if i > 60 {
					b.expect(fmt.Sprint("minute ", i), false)
				}
			}
			b.logged(1, 1)
			sleep(20*m + 10*s)
			b.end(5000, 5010)
			b.expect("ten minutes after it stopped", true)
			sleep(s)
			b.logged(2, 1)
		}},
		{"logins refused at addresses with a proof open it, of ten accounts", func(b *breakerCluster) {
			b.refuse(0, 9)
			sleep(2 * s)
			b.expect("nine", false)
			b.refuse(9, 10)
			sleep(2 * s)
			b.expect("ten", true)
			b.logged(1, 0)
			sleep(3 * m)
			b.expect("when the minute is over", false)
		}},
		{"a login accepted on any replica keeps it closed", func(b *breakerCluster) {
			b.replicas[2].countLogin("corp", "person 99", false, true)
			sleep(2 * s)
			b.refuse(0, 30)
			sleep(2 * s)
			b.expect("thirty", false)
		}},
		{"a login accepted closes it within a minute", func(b *breakerCluster) {
			b.refuse(0, 10)
			sleep(2 * s)
			b.expect("ten", true)
			b.replicas[1].countLogin("corp", "person 3", true, true)
			b.refuse(10, 30)
			sleep(m + 2*s)
			b.expect("a minute after one was accepted", false)
		}},
		{"a stranger cannot open it", func(b *breakerCluster) {
			for i := range 1000 {
				b.replicas[i%3].countLogin("corp", fmt.Sprint("person ", i), false, false)
			}
			sleep(2 * s)
			b.expect("a thousand guesses", false)
		}},
		{"nor a colleague with one account", func(b *breakerCluster) {
			for range 1000 {
				b.refuse(7, 8)
			}
			sleep(2 * s)
			b.expect("a thousand guesses", false)
		}},
		{"another provider is not doubted", func(b *breakerCluster) {
			b.end(0, 10)
			sleep(2 * s)
			if b.replicas[0].isDoubted("sso") {
				b.t.Error("sso is doubted")
			}
			if open := b.replicas[1].openProviders(); !slices.Equal(open, []string{"corp"}) {
				b.t.Errorf("open = %q, want corp", open)
			}
		}},
		{"a store that fails opens nothing, and the counts are shared when it is back", func(b *breakerCluster) {
			b.store.fail(errors.New("connection refused"))
			b.end(0, 12)
			sleep(5 * s)
			b.expect("while it fails", false)
			if _, err := b.replicas[0].currentRow(b.t.Context(), "corp"); err == nil {
				b.t.Error("the row could be read")
			}
			b.store.fail(nil)
			sleep(2 * s)
			b.expect("when it is back", true)
			synctest.Wait()
			if n := strings.Count(b.log.String(), "cannot be shared"); n != 1 {
				b.t.Errorf("the fault was logged %d times, want once:\n%s", n, b.log)
			}
		}},
		{"the tally of a replica that died counts", func(b *breakerCluster) {
			b.end(0, 9)
			sleep(2 * s)
			b.replicas = b.replicas[1:]
			b.end(9, 10)
			b.expect("the tenth", true)
		}},
		{"an unchanged tally is not written", func(b *breakerCluster) {
			b.vouch(3)
			sleep(2 * s)
			before, _ := b.store.state()
			sleep(time.Hour)
			if after, _ := b.store.state(); after != before {
				b.t.Errorf("%d writes in an hour without an answer", after-before)
			}
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				tc.play(newBreakerCluster(t, time.Hour, 0, 0, 0))
			})
		})
	}
}

// TestBreakersAtRandom has replicas whose clocks differ count at random, and compares
// with two naive readings of the history: the provider is doubted if a threshold is
// reached in the shortest windows, and not if none was in the longest.
func TestBreakersAtRandom(t *testing.T) {
	const margin = slotLength + 2*time.Second // the resolution, and what clocks differ
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				random := rand.New(rand.NewPCG(seed, 2))
				s := newBreakerCluster(t, 1000*time.Hour, -900*time.Millisecond, 0, 900*time.Millisecond)
				var all []countedAnswer
				var must, may []bool // by second: a threshold is reached
				rate := 1 + random.IntN(40)
				opened, closed := 0, 0
				for second := range 40 * 60 {
					if second%180 == 0 {
						rate = 1 + random.IntN(60) // of vouched answers to one person ended
					}
					for range random.IntN(3) {
						one := countedAnswer{time.Since(s.began), random.IntN(3), "vouched", random.Int64N(500)}
						if random.IntN(rate) == 0 {
							one.what = "ended"
						}
						all = append(all, one)
						s.count(one)
					}
					time.Sleep(time.Second)
					now := time.Since(s.began)
					for len(all) > 0 && now-all[0].at > 11*time.Minute { // longer than any window
						all = all[1:]
					}
					must = append(must, tripsNaively(all, now, -time.Second, margin, 0))
					may = append(may, tripsNaively(all, now, margin, -time.Second, 2*time.Second))
					got := s.replicas[second%3].isDoubted("corp")
					if allOfLast(must, 4, true) && !got {
						t.Fatalf("after %v a threshold is reached, and the provider is not doubted", now)
					}
					if allOfLast(may, 63, false) && got {
						t.Fatalf("after %v no threshold was reached within a minute, and the provider is doubted", now)
					}
					if got {
						opened++
					} else {
						closed++
					}
				}
				t.Logf("doubted for %d seconds of %d", opened, opened+closed)
			})
		})
	}
}

// tripsNaively computes trips from a list of answers. The windows are longer by
// longerEnded for persons ended and by longerVouched for answers that vouch, of
// which those younger than unknown are not shared yet.
func tripsNaively(all []countedAnswer, now, longerEnded, longerVouched, unknown time.Duration) bool {
	count := func(span time.Duration) (w window) {
		ended := make(map[int64]bool)
		for _, one := range all {
			switch {
			case one.what == "ended" && now-one.at <= span+longerEnded:
				ended[one.person] = true
			case one.what == "vouched" && unknown <= now-one.at && now-one.at <= span+longerVouched:
				w.vouched++
			}
		}
		w.ended = len(ended)
		return w
	}
	return trips(count(time.Minute), count(10*time.Minute))
}

// allOfLast reports whether the last n were all want.
func allOfLast(all []bool, n int, want bool) bool {
	if len(all) < n {
		return false
	}
	for _, one := range all[len(all)-n:] {
		if one != want {
			return false
		}
	}
	return true
}
