package session

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// SweepStore is the part of a store that the sweep needs.
type SweepStore interface {
	PersonStore

	// Sweep ends up to limit sessions that have expired, and deletes up to
	// limit sessions that ended long ago or before their first use. It also
	// deletes what that leaves unused (sign-ins without a session, a grant and
	// a token to revoke; forgotten persons without a sign-in), and expired grants
	// and leases of first uses. It never deletes a session for a provider's refresh
	// token: that token may still be valid at the provider, and would create
	// another session. It returns how many rows it touched; less than limit
	// means that nothing is left.
	Sweep(ctx context.Context, times SweepTimes, limit int) (int, error)

	// ListPendingEnds returns up to limit sign-ins on which an end is pending
	// since before or earlier, in the order of their ids, with ids greater than
	// after.
	ListPendingEnds(ctx context.Context, before time.Time, after int64, limit int) ([]PendingEnd, error)

	// FinishPendingEnd ends sessions of a sign-in as [SessionStore.End] does,
	// and clears its pending end. It does nothing, and returns false, if the
	// sign-in's LastAsked is no longer lastAsked, since a later answer or login
	// may have cleared the end.
	FinishPendingEnd(ctx context.Context, signIn int64, lastAsked time.Time, tokens []Hash, e Ending) (bool, error)
}

// sweeper ends expired sessions, deletes old rows, and makes pending ends
// final.
type sweeper struct {
	store       SweepStore
	revalidator *revalidator
	clock       *clock
	generation  *atomic.Pointer[generation]
	forgot      time.Time // when forgetPeople last reached the last person
	person      int64     // the id of the person that it has reached since
}

// sweep runs one sweep, in batches.
func (s *sweeper) sweep(ctx context.Context) error {
	for _, step := range []func(context.Context) error{s.sweepSessions, s.finishPendingEnds, s.forgetPeople} {
		if err := step(ctx); err != nil {
			return fmt.Errorf("sweep: %w", err)
		}
	}
	return nil
}

// sweepSessions ends expired sessions, and deletes those that ended long ago.
func (s *sweeper) sweepSessions(ctx context.Context) error {
	cfg := &s.generation.Load().cfg
	for {
		touched, err := s.store.Sweep(ctx, cfg.sweepTimes(s.clock.now()), batchSize)
		if err != nil || touched < batchSize {
			return err
		}
		if !s.pause(ctx) {
			return nil
		}
	}
}

// pause lets other writers have their turn, and reports whether there is time
// left.
func (s *sweeper) pause(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(pollInterval):
		return true
	}
}

// finishPendingEnds makes ends final that have been pending for finalDelay,
// unless the refusal is void.
func (s *sweeper) finishPendingEnds(ctx context.Context) error {
	now, after := s.clock.now(), int64(0)
	for {
		page, err := s.store.ListPendingEnds(ctx, now.Add(-finalDelay), after, pendingEndBatch)
		if err != nil {
			return fmt.Errorf("read which ends are pending: %w", err)
		}
		for i := range page {
			after = page[i].SignIn.ID
			if err := s.finishPendingEnd(ctx, &page[i], now); err != nil {
				return err
			}
		}
		if len(page) < pendingEndBatch || !s.pause(ctx) {
			return nil
		}
	}
}

// pendingEndBatch is how many sign-ins are read in one page, each with all its
// sessions.
const pendingEndBatch = 50

// finishPendingEnd makes one pending end final.
func (s *sweeper) finishPendingEnd(ctx context.Context, p *PendingEnd, now time.Time) error {
	doubtedUntil, err := s.revalidator.doubtedUntil(ctx, &p.SignIn, p.Provider)
	if err != nil {
		return err
	}
	tokens, decided := p.final(doubtedUntil)
	if !decided {
		return nil
	}
	if _, err := s.store.FinishPendingEnd(ctx, p.SignIn.ID, p.SignIn.LastAsked, tokens, p.SignIn.PendingReason.Ending("", now)); err != nil {
		return fmt.Errorf("end sessions: %w", err)
	}
	return nil
}
