package session

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"
)

// DailyStore is the part of a store that the daily revalidation needs.
type DailyStore interface {
	// ListNotAskedSince returns up to limit live sessions of a kind, one per
	// sign-in whose provider has not been asked after since, in the order of
	// sign-in ids, with ids greater than after.
	ListNotAskedSince(ctx context.Context, kind Kind, since time.Time, after int64, limit int) ([]Row, error)
}

const (
	// dailyInterval is how long the provider of a personal access token is not
	// asked, less a jitter of up to maxJitter, which spreads sign-ins of the
	// same age over the day.
	dailyInterval = 24 * time.Hour
	maxJitter     = 6 * time.Hour
)

// dailyRevalidator revalidates the sign-ins of personal access tokens once a
// day, so that a provider's refresh token does not expire for want of use. It
// asks about one sign-in after the other, to avoid bursts.
type dailyRevalidator struct {
	store       DailyStore
	revalidator *revalidator
	clock       *clock
	generation  *atomic.Pointer[generation]
	log         *slog.Logger
}

// run revalidates the sign-ins that are due, every sweepInterval, until ctx
// ends.
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
			d.log.Warn("could not read which sign-ins are due for their daily revalidation", "error", err)
		}
	}
}

// revalidateDue revalidates the sign-ins that are due. It skips those that
// cannot be revalidated, such as where the provider was replaced by another.
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
			if after = row.SignIn.ID; !now.Before(row.SignIn.LastAsked.Add(dailyInterval - jitter(after))) {
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

// listCandidates reads the next page of sign-ins that may be due.
func (d *dailyRevalidator) listCandidates(ctx context.Context, now time.Time, after int64) ([]Row, error) {
	ctx, cancel := context.WithTimeout(ctx, maintenanceTimeout)
	defer cancel()
	return d.store.ListNotAskedSince(ctx, KindPAT, now.Add(maxJitter-dailyInterval), after, batchSize)
}

// revalidateOne revalidates one sign-in, best effort: the answer is in its row.
func (d *dailyRevalidator) revalidateOne(ctx context.Context, row *Row) {
	g := d.generation.Load()
	id, err := decodeIdentity(row.Body)
	if err != nil || g.checkLive(row, id) != nil {
		return // a redemption reports why
	}
	limited, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_ = d.revalidator.revalidate(limited, g, row, id)
}

// jitter returns how much earlier than dailyInterval a sign-in is due, by a
// hash of its id.
func jitter(signIn int64) time.Duration {
	hash := hashOf("daily", fmt.Sprint(signIn))
	return time.Duration(hash[0]) * maxJitter / 256
}
