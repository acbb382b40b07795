package session

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"
)

// DailyStore finds the sign-ins whose provider was not asked for long.
type DailyStore interface {
	// ListNotAskedSince returns up to limit live sessions of a kind, one of each sign-in
	// whose provider was not asked since asked, in the order of the sign-ins' ids,
	// each after the given one.
	ListNotAskedSince(ctx context.Context, kind Kind, asked time.Time, after int64, limit int) ([]Row, error)
}

const (
	// dailyInterval is how long the provider of a personal access token is left
	// alone. Within maxJitter before, each sign-in has its own time, so that
	// those that were made at once are spread over the day.
	dailyInterval = 24 * time.Hour
	maxJitter     = 6 * time.Hour
)

// daily asks the providers of personal access tokens once a day, so that a
// provider's refresh token does not die of disuse. It asks about one after the
// other: no burst.
type dailyRevalidator struct {
	store       DailyStore
	revalidator *revalidator
	clock       *clock
	generation  *atomic.Pointer[generation]
	log         *slog.Logger
}

// run asks about the sign-ins that are due, once in sweepInterval, until ctx ends.
func (d *dailyRevalidator) run(ctx context.Context) {
	every := time.NewTicker(sweepInterval)
	defer every.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
		if err := d.revalidateDue(ctx); err != nil && ctx.Err() == nil {
			d.log.Warn("could not read which sign-ins were not asked about for a day", "error", err)
		}
	}
}

// askAll asks about the sign-ins that are due. It passes over those that cannot be
// asked about, such as of a provider that is another now.
func (d *dailyRevalidator) revalidateDue(ctx context.Context) error {
	after := int64(0)
	for {
		now := d.clock.now()
		page, err := d.listCandidates(ctx, now, after)
		if err != nil {
			return err
		}
		for i := range page {
			row := &page[i]
			if after = row.SignIn.ID; !now.Before(row.SignIn.Asked.Add(dailyInterval - jitter(after))) {
				d.revalidateOne(ctx, row)
			}
			if ctx.Err() != nil {
				return nil
			}
		}
		if len(page) < batchSize {
			return nil
		}
	}
}

// unasked reads the next sign-ins that may be due.
func (d *dailyRevalidator) listCandidates(ctx context.Context, now time.Time, after int64) ([]Row, error) {
	ctx, cancel := context.WithTimeout(ctx, maintenanceTimeout)
	defer cancel()
	return d.store.ListNotAskedSince(ctx, KindPAT, now.Add(maxJitter-dailyInterval), after, batchSize)
}

// askProvider asks about one sign-in. The answer goes into its row.
func (d *dailyRevalidator) revalidateOne(ctx context.Context, row *Row) {
	g := d.generation.Load()
	id, err := decodeIdentity(row.Body)
	if err != nil || g.checkLive(row, id) != nil {
		return // a redemption says why
	}
	limited, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_ = d.revalidator.revalidate(limited, g, row, id)
}

// early is how much sooner than dailyInterval a sign-in is due: ids that follow
// each other are spread over maxJitter.
func jitter(signIn int64) time.Duration {
	hash := hashOf("daily", fmt.Sprint(signIn))
	return time.Duration(hash[0]) * maxJitter / 256
}
