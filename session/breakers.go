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

// BreakerStore is how replicas share circuit breakers, and what they counted.
type BreakerStore interface {
	// Breakers returns the rows of all circuit breakers that ever opened.
	Breakers(ctx context.Context) ([]Breaker, error)

	// SwapBreaker writes a row in the place of old (compare-and-swap), and
	// reports whether the row was still old. It makes the row where old never
	// opened. Both are of the same provider.
	SwapBreaker(ctx context.Context, old, new Breaker) (bool, error)

	// WriteTally keeps what a replica counted of a provider, in the place of
	// what it wrote before.
	WriteTally(ctx context.Context, provider, replica string, at time.Time, body []byte) error

	// Tallies returns what the other replicas wrote of a provider after since.
	Tallies(ctx context.Context, provider, replica string, since time.Time) ([][]byte, error)
}

const (
	// shareInterval is how often a replica writes what it counted, while it counts
	// something, and evaluates the condition, while that may hold.
	shareInterval = time.Second

	// shareTimeout is how long that may take.
	shareTimeout = 5 * time.Second

	// refreshTimeout is how long one login a second waits for the rows.
	refreshTimeout = time.Second
)

// breakers are the circuit breakers of all providers. A replica counts what
// providers answer to it, and shares that once a second, a person newly ended at
// once; any replica opens a breaker, for all.
type breakers struct {
	store      BreakerStore
	clock      *clock
	log        *slog.Logger
	generation *atomic.Pointer[generation] // for grace
	replica    string                      // the name of this one, for as long as it runs
	wakes      chan struct{}               // has one when the loop has something to do

	refreshed atomic.Int64 // when the rows were last read for logins, in nanoseconds since 1970

	mu         sync.Mutex          // guards the fields below
	byProvider map[string]*breaker // as many as there are providers
	failing    bool                // sharing failed the last time, which is logged once
}

// breaker is what this replica knows of the circuit breaker of a provider.
type breaker struct {
	row        Breaker // as it was last read
	tally      tally   // what this replica counted
	unshared   bool    // the other replicas do not know all of tally
	loggedOpen bool
}

func newBreakers(store BreakerStore, clock *clock, generation *atomic.Pointer[generation], log *slog.Logger) *breakers {
	return &breakers{
		store: store, clock: clock, generation: generation, log: log, replica: rand.Text(),
		wakes: make(chan struct{}, 1), byProvider: make(map[string]*breaker),
	}
}

// answerKind is what the circuit breaker counts an answer as.
type answerKind int

const (
	answerVouches answerKind = iota // the provider vouches for the person
	answerEnds                      // the person is newly gone, or an end is newly pending
)

// count counts an answer about a person. One that ends is shared at once, so that
// the breaker is open when count returns, if that trips it. After an error the
// loop tries again.
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

// noteLogin counts how a provider answered a login by password, as
// [Sessions.NoteLogin] has it.
func (b *breakers) countLogin(provider, account string, known, accepted bool) {
	switch {
	case accepted:
		b.updateTally(provider, func(t *tally) { t.Accepted[0]++ })
	case known:
		b.updateTally(provider, func(t *tally) { t.Refused.add(number("refused", account), t.Slot) })
	}
}

// add changes what this replica counted of a provider: in the first slot, which is
// that of now.
func (b *breakers) updateTally(provider string, change func(*tally)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	one := b.breakerOf(provider)
	one.tally.advance(b.clock.now())
	change(&one.tally)
	one.unshared = true
	wake(b.wakes)
}

// of returns the breaker of a provider, with mu held.
func (b *breakers) breakerOf(provider string) *breaker {
	one := b.byProvider[provider]
	if one == nil {
		one = &breaker{row: Breaker{Provider: provider}}
		b.byProvider[provider] = one
	}
	return one
}

// run shares the counts, at most once in shareInterval, until ctx ends.
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

// shareAll shares what was counted, of each provider that there is something new
// of, or whose breaker may have to be opened, renewed or closed.
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

// share tells the other replicas what this one counted of a provider, and opens
// the breaker or renews that, where the condition holds over all replicas.
func (b *breakers) share(ctx context.Context, provider string) error {
	now := b.clock.now()
	body, mayTrip, err := b.takeTally(provider, now)
	if err == nil && body != nil {
		err = b.store.WriteTally(ctx, provider, b.replica, now, body)
	}
	if err != nil {
		b.updateTally(provider, func(*tally) {}) // it is still to be told
		return unavailable(fmt.Errorf("share what the provider %q answered: %w", provider, err))
	}
	if !mayTrip {
		return nil
	}
	return b.evaluate(ctx, provider, now)
}

// take returns what this replica counted of a provider, where the others do not
// know all of it, and whether the condition may hold.
func (b *breakers) takeTally(provider string, now time.Time) (body []byte, mayTrip bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	one := b.breakerOf(provider)
	one.tally.advance(now)
	if one.loggedOpen && !one.row.isOpen(now) {
		one.loggedOpen = false
		b.log.Warn("circuit breaker closed: the provider is believed again", "provider", provider, "open_since", one.row.Since)
	}
	if mayTrip = one.loggedOpen || one.tally.mayTrip(); mayTrip {
		wake(b.wakes) // the condition changes with time, too
	}
	if one.unshared {
		one.unshared = false
		body, err = one.tally.encode()
	}
	return body, mayTrip, err
}

// evaluate opens the breaker, or renews that, where the condition holds.
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
	if row.Since.Equal(old.Since) && row.Tripped.Sub(old.Tripped) < renewInterval {
		return nil
	}
	switch swapped, err := b.store.SwapBreaker(ctx, old, row); {
	case err != nil:
		return unavailable(fmt.Errorf("open the circuit breaker of the provider %q: %w", provider, err))
	case swapped:
		b.cacheRow(row, "ended", tenMinutes.ended, "vouched", tenMinutes.vouched, "refused", minute.refused)
		return nil
	}
	return b.readRows(ctx) // another replica was faster
}

// readWindows returns what all replicas counted of a provider.
func (b *breakers) readWindows(ctx context.Context, provider string, now time.Time) (minute, tenMinutes window, err error) {
	bodies, err := b.store.Tallies(ctx, provider, b.replica, now.Add(-tallyTTL))
	if err != nil {
		return window{}, window{}, unavailable(fmt.Errorf("read what the provider %q answered to other replicas: %w", provider, err))
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

// logFault logs that sharing failed, once until it succeeds.
func (b *breakers) logShareError(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil && !b.failing {
		b.log.Warn("what providers answer cannot be shared with other replicas", "error", err)
	}
	b.failing = err != nil
}
