package session

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// memoryBreakerStore is a BreakerStore in memory, which returns err while that
// is set.
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

// logBuffer is what a replica logs. It is safe for concurrent use.
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

// refuse counts logins as refused at addresses with a proof, in turn on each
// replica.
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

// logged checks how often the first replica logged that the breaker opened and
// closed.
func (s *breakerCluster) logged(opened, closed int) {
	s.t.Helper()
	synctest.Wait()
	text := s.log.String()
	if o, c := strings.Count(text, "circuit breaker open"), strings.Count(text, "circuit breaker closed"); o != opened || c != closed {
		s.t.Errorf("logged %d openings and %d closings, want %d and %d:\n%s", o, c, opened, closed, text)
	}
}
