package session

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// refreshTimeout bounds how long a login waits for the rows to be read.
const refreshTimeout = time.Second

// cachedRow returns the row of a provider as it was last read.
func (b *breakers) cachedRow(provider string) Breaker {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.breakerOf(provider).row
}

// currentRow returns the row of a provider. It reads the store unless the
// cached row says that the breaker is open.
func (b *breakers) currentRow(ctx context.Context, provider string) (Breaker, error) {
	if row := b.cachedRow(provider); row.isOpen(b.clock.now()) {
		return row, nil
	}
	if err := b.readRows(ctx); err != nil {
		return Breaker{}, err
	}
	return b.cachedRow(provider), nil
}

// readRows reads the rows of all providers into the cache.
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

// doubtedUntil returns until when a provider is doubted, or was last; the zero
// Time if it never was. Refusals answered at or before that time are void.
func (b *breakers) doubtedUntil(ctx context.Context, provider string) (time.Time, error) {
	row, err := b.currentRow(ctx, provider)
	return row.DoubtedUntil, err
}

// isDoubted reports whether a provider is doubted, by the cached rows, whose
// TTL is shareInterval.
func (b *breakers) isDoubted(provider string) bool {
	b.refreshRows()
	return b.cachedRow(provider).isOpen(b.clock.now())
}

// openProviders returns the names of the providers that are doubted, by the
// same cache.
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

// refreshRows reads the rows of all providers if the cached ones are older than
// shareInterval. One caller reads; concurrent callers use the cached rows, and
// so do all while the store fails.
func (b *breakers) refreshRows() {
	now := time.Now().UnixNano()
	last := b.refreshed.Load()
	if now-last < int64(shareInterval) || !b.refreshed.CompareAndSwap(last, now) {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), refreshTimeout)
	defer cancel()
	_ = b.readRows(ctx) // callers that need the current row return the error
}

// cacheRow caches a row that was read or written, and logs once that the
// breaker is open, with the counts that tripped it.
func (b *breakers) cacheRow(row Breaker, counted ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	one := b.breakerOf(row.Provider)
	one.row = row
	if one.loggedOpen || !row.isOpen(b.clock.now()) {
		return
	}
	one.loggedOpen = true
	one.opened++
	wake(b.wakes) // to log when it closes
	b.log.Error("circuit breaker open: the provider refuses too many people; its refusals are void: they are answered 503 and end no session",
		append([]any{"provider", row.Provider, "until", row.DoubtedUntil}, counted...)...)
}
