package session

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// known returns the row of a provider as it was last read.
func (b *breakers) cachedRow(provider string) Breaker {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.breakerOf(provider).row
}

// read returns the row of a provider, without asking the store where this replica
// knows that the breaker is open.
func (b *breakers) currentRow(ctx context.Context, provider string) (Breaker, error) {
	if row := b.cachedRow(provider); row.isOpen(b.clock.now()) {
		return row, nil
	}
	if err := b.readRows(ctx); err != nil {
		return Breaker{}, err
	}
	return b.cachedRow(provider), nil
}

// readAll reads the rows of all providers.
func (b *breakers) readRows(ctx context.Context) error {
	rows, err := b.store.Breakers(ctx)
	if err != nil {
		return unavailable(fmt.Errorf("read the circuit breakers: %w", err))
	}
	for _, row := range rows {
		b.cacheRow(row)
	}
	return nil
}

// doubtedUntil returns until when a provider is doubted, or was last; the zero Time
// where it never was. What it answered at or before that is void.
func (b *breakers) doubtedUntil(ctx context.Context, provider string) (time.Time, error) {
	row, err := b.currentRow(ctx, provider)
	return row.DoubtedUntil, err
}

// isDoubted reports whether a provider is doubted, by a cache of the rows that is a
// second old at most.
func (b *breakers) isDoubted(provider string) bool {
	b.refreshRows()
	return b.cachedRow(provider).isOpen(b.clock.now())
}

// open returns the names of the providers that are doubted, by the same cache.
func (b *breakers) openProviders() (names []string) {
	b.refreshRows()
	now := b.clock.now()
	b.mu.Lock()
	defer b.mu.Unlock()
	for name, one := range b.byProvider {
		if one.row.isOpen(now) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// refresh reads the rows of all providers where they were not for a second. One
// caller does so, the others go by the rows that are known; so do all where the store
// fails.
func (b *breakers) refreshRows() {
	now := time.Now().UnixNano()
	last := b.refreshed.Load()
	if now-last < int64(shareInterval) || !b.refreshed.CompareAndSwap(last, now) {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), refreshTimeout)
	defer cancel()
	_ = b.readRows(ctx) // a store that fails is told of by what cannot do without it
}

// learn keeps a row that was read, and logs that a breaker is open, once, with
// what was counted.
func (b *breakers) cacheRow(row Breaker, counted ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	one := b.breakerOf(row.Provider)
	one.row = row
	if one.loggedOpen || !row.isOpen(b.clock.now()) {
		return
	}
	one.loggedOpen = true
	wake(b.wakes) // to see when it closes
	b.log.Error("circuit breaker open: the provider suddenly rejects so many that it is not believed; its refusals are answered 503 and end nothing",
		append([]any{"provider", row.Provider, "until", row.DoubtedUntil}, counted...)...)
}
