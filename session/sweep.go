package session

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// SweepStore ends and forgets sessions in the store.
type SweepStore interface {
	// Sweep ends up to limit sessions whose time has come, and forgets up to
	// limit of those that ended long ago, or before they were ever used, with what
	// has no use any more: sign-ins without a session, a grant and a token to
	// revoke, persons without a sign-in, grants and leases of first uses that are over. A
	// session that answers to a provider's refresh token is never forgotten: that
	// token may still be good there, and would make another. It returns how many
	// rows it touched: less than limit when nothing is left to do.
	Sweep(ctx context.Context, times SweepTimes, limit int) (int, error)

	// ListPendingEnds returns up to limit sign-ins on which an end is pending since
	// before or earlier, in the order of their ids, each after the given one.
	ListPendingEnds(ctx context.Context, before time.Time, after int64, limit int) ([]PendingEnd, error)

	// FinishPendingEnd ends sessions of a sign-in as [SessionStore.End] does, after which
	// no end is pending on it, and reports whether it did: not where its Asked is
	// another by now, since a later answer or login changes it.
	FinishPendingEnd(ctx context.Context, signIn int64, asked time.Time, tokens []Hash, e Ending) (bool, error)
}

// sweeper ends sessions whose time has come, and makes pending ends final.
type sweeper struct {
	store       SweepStore
	revalidator *revalidator
	clock       *clock
	generation  *atomic.Pointer[generation]
}

// sweep does all that is due, a bounded number at a time.
func (s *sweeper) sweep(ctx context.Context) error {
	for _, step := range []func(context.Context) error{s.sweepSessions, s.finishPendingEnds} {
		if err := step(ctx); err != nil {
			return fmt.Errorf("sweep: %w", err)
		}
	}
	return nil
}

// end ends sessions whose time has come, and forgets those that ended long ago.
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

// rest lets others write, and reports whether there is time left.
func (s *sweeper) pause(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(pollInterval):
		return true
	}
}

// finish makes ends final that are pending for finalDelay, but for those by an
// answer that is not believed.
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

// pendingEndBatch is how many sign-ins are read at once: each with all its sessions.
const pendingEndBatch = 50

func (s *sweeper) finishPendingEnd(ctx context.Context, p *PendingEnd, now time.Time) error {
	doubted, err := s.revalidator.doubtedUntil(ctx, &p.SignIn, p.Provider)
	if err != nil {
		return err
	}
	tokens, decided := p.final(doubted)
	if !decided {
		return nil
	}
	if _, err := s.store.FinishPendingEnd(ctx, p.SignIn.ID, p.SignIn.Asked, tokens, p.SignIn.Reason.Ending("", now)); err != nil {
		return fmt.Errorf("end sessions: %w", err)
	}
	return nil
}
