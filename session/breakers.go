package session

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// BreakerStore shares circuit breakers and tallies between replicas.
type BreakerStore interface {
	// Breakers returns the rows of all circuit breakers that ever opened.
	Breakers(ctx context.Context) ([]Breaker, error)

	// SwapBreaker replaces the row old with new if it is unchanged
	// (compare-and-swap), and reports whether it was. It creates the row where
	// old never opened. Both are of the same provider.
	SwapBreaker(ctx context.Context, old, new Breaker) (bool, error)

	// WriteTally stores the tally of a replica for a provider, and replaces the
	// one before.
	WriteTally(ctx context.Context, provider, replica string, at time.Time, body []byte) error

	// Tallies returns the tallies that other replicas wrote for a provider
	// after since.
	Tallies(ctx context.Context, provider, replica string, since time.Time) ([][]byte, error)
}

const (
	// shareInterval is the rate limit of sharing: of writing tallies that
	// changed, and of comparing the counts with the thresholds.
	shareInterval = time.Second

	// shareTimeout bounds one round of that.
	shareTimeout = 5 * time.Second
)

// breakers are the circuit breakers of all providers, as one replica has them.
// It counts the answers to its own questions in a tally per provider, and
// shares the tallies once a second, or immediately where a person is newly
// ended. Any replica whose sum over all tallies reaches a threshold opens the
// breaker for all.
type breakers struct {
	store      BreakerStore
	clock      *clock
	log        *slog.Logger
	generation *atomic.Pointer[generation] // for grace
	replica    string                      // a random name of this process
	wakes      chan struct{}               // signals the loop that there is something to share

	refreshed atomic.Int64 // when the rows were last read for logins, in nanoseconds since 1970

	mu         sync.Mutex          // guards the fields below
	byProvider map[string]*breaker // one for each provider
	failing    bool                // sharing failed the last time, which is logged once
}

// breaker is the circuit breaker of a provider as this replica has it.
type breaker struct {
	row        Breaker // cached, as last read
	tally      tally   // of this replica
	unshared   bool    // tally changed since it was written to the store
	loggedOpen bool
	opened     uint64 // how often loggedOpen was set
}

func newBreakers(store BreakerStore, clock *clock, generation *atomic.Pointer[generation], log *slog.Logger) *breakers {
	return &breakers{
		store: store, clock: clock, generation: generation, log: log, replica: rand.Text(),
		wakes: make(chan struct{}, 1), byProvider: make(map[string]*breaker),
	}
}

// answerKind says how the circuit breaker counts an answer.
type answerKind int

const (
	answerVouches answerKind = iota // the provider vouches for the person
	answerEnds                      // the person is newly ended
)

// countAnswer counts an answer about a person. One that ends the person is
// shared immediately: if it trips the breaker, the breaker is open when
// countAnswer returns. After an error the loop retries.
func (b *breakers) countAnswer(ctx context.Context, provider string, person int64, kind answerKind) error {
	if kind == answerVouches {
		b.updateTally(provider, func(t *tally) { t.Vouched[0]++ })
		return nil
	}
	b.updateTally(provider, func(t *tally) { t.Ended.add(person, t.Slot) })
	if b.cachedRow(provider).isOpen(b.clock.now()) {
		return nil
	}
	return b.share(ctx, provider)
}

// countLogin counts a provider's answer to a login, as described at
// [Sessions.NoteLogin].
func (b *breakers) countLogin(provider, account string, known, accepted bool) {
	switch {
	case accepted:
		b.updateTally(provider, func(t *tally) { t.Accepted[0]++ })
	case known:
		b.updateTally(provider, func(t *tally) { t.Refused.add(number("refused", account), t.Slot) })
	}
}

// updateTally changes this replica's tally of a provider. Index 0 of its
// histograms is the slot of now.
func (b *breakers) updateTally(provider string, change func(*tally)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	one := b.breakerOf(provider)
	one.tally.advance(b.clock.now())
	change(&one.tally)
	one.unshared = true
	wake(b.wakes)
}

// breakerOf returns the breaker of a provider. mu must be held.
func (b *breakers) breakerOf(provider string) *breaker {
	one := b.byProvider[provider]
	if one == nil {
		one = &breaker{row: Breaker{Provider: provider}}
		b.byProvider[provider] = one
	}
	return one
}

// run is the loop that shares tallies, at most once in shareInterval, until ctx
// ends.
func (b *breakers) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-b.wakes:
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(shareInterval):
		}
		if err := b.shareAll(ctx); ctx.Err() == nil {
			b.logShareError(err)
		}
	}
}

// shareAll runs share for each provider. After an error the loop retries.
func (b *breakers) shareAll(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, shareTimeout)
	defer cancel()
	b.mu.Lock()
	providers := slices.Sorted(maps.Keys(b.byProvider))
	b.mu.Unlock()
	for _, provider := range providers {
		if err := b.share(ctx, provider); err != nil {
			wake(b.wakes)
			return err
		}
	}
	return nil
}

// share writes the tally of a provider to the store if it changed, and opens
// the breaker, or extends that, if the counts of all replicas reach a
// threshold.
func (b *breakers) share(ctx context.Context, provider string) error {
	now := b.clock.now()
	body, mayTrip, err := b.takeTally(provider, now)
	if err == nil && body != nil {
		err = b.store.WriteTally(ctx, provider, b.replica, now, body)
	}
	if err != nil {
		b.updateTally(provider, func(*tally) {}) // still unshared
		return unavailable(fmt.Errorf("share the tally of the provider %q: %w", provider, err))
	}
	if !mayTrip {
		return nil
	}
	return b.evaluate(ctx, provider, now)
}

// takeTally returns this replica's tally of a provider, encoded, or nil if it
// has not changed since it was written. It also reports whether the breaker may
// trip.
func (b *breakers) takeTally(provider string, now time.Time) (body []byte, mayTrip bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	one := b.breakerOf(provider)
	one.tally.advance(now)
	if one.loggedOpen && !one.row.isOpen(now) {
		one.loggedOpen = false
		b.log.Warn("circuit breaker closed: refusals of the provider count again", "provider", provider, "open_since", one.row.FirstTripped)
	}
	if mayTrip = one.loggedOpen || one.tally.mayTrip(); mayTrip {
		wake(b.wakes) // counts leave the windows with time
	}
	if one.unshared {
		one.unshared = false
		body, err = one.tally.encode()
	}
	return body, mayTrip, err
}

// evaluate compares the counts of all replicas with the thresholds, and opens
// the breaker or extends that. Of several replicas that do so one wins the
// compare-and-swap.
func (b *breakers) evaluate(ctx context.Context, provider string, now time.Time) error {
	if err := b.readRows(ctx); err != nil {
		return err
	}
	minute, tenMinutes, err := b.readWindows(ctx, provider, now)
	if err != nil || !trips(minute, tenMinutes) {
		return err
	}
	old := b.cachedRow(provider)
	row := old.next(b.generation.Load().cfg.Grace, now)
	if row.FirstTripped.Equal(old.FirstTripped) && row.LastTripped.Sub(old.LastTripped) < renewInterval {
		return nil
	}
	switch swapped, err := b.store.SwapBreaker(ctx, old, row); {
	case err != nil:
		return unavailable(fmt.Errorf("open the circuit breaker of the provider %q: %w", provider, err))
	case swapped:
		b.cacheRow(row, "ended", tenMinutes.ended, "vouched", tenMinutes.vouched, "refused", minute.refused)
		return nil
	}
	return b.readRows(ctx) // another replica won
}

// readWindows sums up the tallies of all replicas for a provider, over the two
// windows of the thresholds.
func (b *breakers) readWindows(ctx context.Context, provider string, now time.Time) (minute, tenMinutes window, err error) {
	bodies, err := b.store.Tallies(ctx, provider, b.replica, now.Add(-tallyTTL))
	if err != nil {
		return window{}, window{}, unavailable(fmt.Errorf("read the tallies of the provider %q: %w", provider, err))
	}
	var others []*tally
	for _, body := range bodies {
		t, err := decodeTally(body)
		if err != nil {
			return window{}, window{}, err
		}
		others = append(others, t)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	all := append(others, &b.breakerOf(provider).tally)
	return measure(all, time.Minute, now), measure(all, 10*time.Minute, now), nil
}

// logShareError logs that sharing failed, once until it succeeds.
func (b *breakers) logShareError(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil && !b.failing {
		b.log.Warn("tallies of the circuit breakers cannot be shared with other replicas", "error", err)
	}
	b.failing = err != nil
}
