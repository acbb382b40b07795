package session

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"shorepass/providers"
)

// Sessions issues, redeems, revalidates and ends sessions. It is safe for
// concurrent use.
type Sessions struct {
	store Store
	keys  *Keys
	log   *slog.Logger
	rules atomic.Pointer[rules] // swapped whole by Use

	ahead  atomic.Int64 // how far the store's clock is ahead of ours, as a time.Duration
	people *people
	usage  *usage
	guards guards

	written written
	full    atomic.Int64 // when there was no room for a session, in nanoseconds since 1970; 0 once there was

	mu          sync.Mutex
	flights     map[int64]*flight     // by person: who is being asked about in this process
	firsts      map[Hash]*firstFlight // the same for refresh tokens that have no session yet
	unsaved     map[int64]Settlement  // answers that the store could not take; at most maxUnsaved
	closed      bool
	tasks       sync.WaitGroup     // everything that runs on its own; none begins once closed is set
	stop        context.CancelFunc // ends what runs until Close
	revocations chan struct{}      // wakes revokeRenewals
	retries     chan struct{}      // says that there is something unsaved
}

// rules are what a reload swaps.
type rules struct {
	cfg       Config
	providers Providers
}

// New begins to work on the sessions in store with cfg, whose defaults must be
// applied. It owns store from then on, also when it fails. Close ends what it
// began.
//
// Where cfg has no SealKey and the store lies in a folder, the key is the file
// seal.key there, made if the store is new.
func New(ctx context.Context, cfg Config, store Store, p Providers, log *slog.Logger) (*Sessions, error) {
	keys, err := OpenKeys(ctx, cfg, store, log)
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	s := &Sessions{
		store: store, keys: keys, log: log,
		people: newPeople(store, maxPeopleBytes, maxTokens), usage: newUsage(), guards: guards{replica: rand.Text(), byProvider: make(map[string]*guard)},
		flights: make(map[int64]*flight), firsts: make(map[Hash]*firstFlight), unsaved: make(map[int64]Settlement),
		revocations: make(chan struct{}, 1), retries: make(chan struct{}, 1),
	}
	s.Use(cfg, p)
	if err := s.setClock(ctx); err != nil {
		return nil, errors.Join(err, store.Close())
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	s.tasks.Go(func() { s.keep(running) })
	s.tasks.Go(func() { s.revokeRenewals(running) })
	return s, nil
}

// Use puts another configuration and other providers in force, both at once.
// Requests under way keep what they began with. Store and SealKey stay.
func (s *Sessions) Use(cfg Config, p Providers) { s.rules.Store(&rules{cfg, p}) }

// Ping reports whether the store answers and can be written to: one that is full,
// locked, or a read-only copy still redeems, but keeps no login.
func (s *Sessions) Ping(ctx context.Context) error {
	if err := s.store.Ping(ctx); err != nil {
		return unavailable(err)
	}
	s.written.mu.Lock()
	defer s.written.mu.Unlock()
	if now := time.Now(); now.Sub(s.written.at) >= writeEvery {
		err := s.store.SetSetting(ctx, "alive", []byte(s.guards.replica))
		s.written.at, s.written.err = now, err
	}
	if s.written.err != nil {
		return unavailable(fmt.Errorf("write to the store: %w", s.written.err))
	}
	// A row that is written again may fit where a new one does not.
	if since := time.Since(time.Unix(0, s.full.Load())); since < fullFor {
		return unavailable(fmt.Errorf("keep a session, %v ago: %w", since.Round(time.Second), ErrFull))
	}
	return nil
}

const (
	// writeEvery bounds how often Ping writes to the store.
	writeEvery = 10 * time.Second

	// fullFor is how long a store that had no room for a session counts as
	// full, unless it takes another one meanwhile.
	fullFor = time.Minute
)

// written is what came of the last attempt to write.
type written struct {
	mu  sync.Mutex // held while it is tried
	at  time.Time
	err error
}

// Close writes what waits to be written, waits for everything that Sessions
// began, and closes the store.
func (s *Sessions) Close() error {
	s.mu.Lock()
	closed := s.closed
	s.closed = true
	s.mu.Unlock()
	if closed {
		return nil
	}
	s.stop()
	s.tasks.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), writeLimit)
	defer cancel()
	err := s.flush(ctx)
	for _, settlement := range s.unsaved { // nobody else is left
		if _, saveErr := s.store.Settle(ctx, &settlement); saveErr != nil && !errors.Is(saveErr, ErrNotFound) {
			err = errors.Join(err, fmt.Errorf("keep a provider's answer: %w", saveErr))
		}
	}
	if closeErr := s.store.Close(); closeErr != nil {
		err = errors.Join(err, fmt.Errorf("close the store: %w", closeErr))
	}
	return err
}

// clockLeeway is how far a clock may be off before it is corrected: below it,
// the time that asking takes would count as a difference.
const clockLeeway = time.Second

// setClock sets our clock by the store's, so that leases and ends of life mean
// the same on all replicas.
func (s *Sessions) setClock(ctx context.Context) error {
	before := time.Now()
	theirs, err := s.store.Now(ctx)
	if err != nil {
		return unavailable(fmt.Errorf("read the store's clock: %w", err))
	}
	ahead := theirs.Sub(before.Add(time.Since(before) / 2))
	if ahead.Abs() < clockLeeway {
		ahead = 0
	}
	if was := time.Duration(s.ahead.Swap(int64(ahead))); (was - ahead).Abs() >= clockLeeway {
		s.log.Warn("this machine's clock differs from the store's, which sessions go by", "store_is_ahead_by", ahead.Round(time.Millisecond))
	}
	return nil
}

// Now is the time by the store's clock, which all replicas go by, as exactly as
// the store keeps it.
func (s *Sessions) Now() time.Time { return s.now() }

// Ahead is how far the store's clock is ahead of this machine's, 0 where that is
// less than a second.
func (s *Sessions) Ahead() time.Duration { return time.Duration(s.ahead.Load()) }

func (s *Sessions) now() time.Time {
	return time.Now().Add(time.Duration(s.ahead.Load())).UTC().Truncate(time.Millisecond)
}

// refused says why a token is refused.
func refused(why string) error { return fmt.Errorf("%w: %s", ErrRefused, why) }

// unavailable says that err kept us from telling what a session is worth.
func unavailable(err error) error { return fmt.Errorf("%w: %w", providers.ErrUnavailable, err) }
