package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"shorepass/internal/secret"
	"shorepass/providers"
)

// LeaseStore is what a revalidation asks of a store before the provider is
// asked.
type LeaseStore interface {
	// Find is that of [SessionStore].
	Find(ctx context.Context, token Hash, known Version) (*Row, error)

	// Lease reports whether the caller may ask the provider about a person,
	// until the given time: no other caller may at now, and none has asked since
	// asked, the caller's Person.Asked. The holder gives a lease up by calling it
	// with its end as now, and now as until.
	Lease(ctx context.Context, person int64, asked, now, until time.Time) (bool, error)

	// Renewal returns what is sealed for a person, or nil.
	Renewal(ctx context.Context, person int64) ([]byte, error)
}

const (
	// leaseFor is how long no other caller asks about a person. If the holder
	// dies, another one asks after it.
	leaseFor = 15 * time.Second

	// askLimit is how long a provider has to answer: short enough that the
	// answer is kept before the lease ends.
	askLimit = 10 * time.Second

	// keepLimit is what must be left of a lease after that, to keep the answer.
	keepLimit = 2 * time.Second

	// pollEvery is how often a row is read while another replica asks.
	pollEvery = 100 * time.Millisecond
)

// revalidator asks providers about persons again: single-flight in this process,
// and by a lease in the person's row over all replicas. The answer goes into the
// row, and the callers that wait for it read the row again.
type revalidator struct {
	store       LeaseStore
	answers     *answerWriter
	guards      *guards
	keys        *Keys
	clock       *clock
	log         *slog.Logger
	rules       *atomic.Pointer[rules]
	counted     chan<- struct{}          // wakes the chores, to tell other replicas of answers
	revocations chan<- struct{}          // wakes the revoker
	flights     flights[int64, struct{}] // by person
}

// await asks the provider about a session's person and waits for the row to
// say what it answered.
func (v *revalidator) await(ctx context.Context, r *rules, row *Row, known *providers.Identity) error {
	f, err := v.ask(ctx, r, row, known)
	if err != nil {
		return err
	}
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		return unavailable(fmt.Errorf("wait for the provider %q: %w", known.Provider, ctx.Err()))
	}
}

// ask begins a flight that asks about a session's person, or joins the one there
// is.
func (v *revalidator) ask(ctx context.Context, r *rules, row *Row, known *providers.Identity) (*flight[struct{}], error) {
	f, _, err := v.flights.join(ctx, row.Person.ID, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, v.revalidate(ctx, r, row, known)
	})
	return f, err
}

// revalidate makes sure that the provider is asked about row's person once, by
// this replica or another, and that its answer is in the store.
func (v *revalidator) revalidate(ctx context.Context, r *rules, row *Row, known *providers.Identity) error {
	if saved, err := v.answers.retry(ctx, row.Person.ID); saved || err != nil {
		return err
	}
	// Read before the lease, which is short. It changes only with Asked: the
	// caller that gets the lease has read what is still there.
	sealed, err := v.store.Renewal(ctx, row.Person.ID)
	if err != nil {
		return unavailable(fmt.Errorf("read a renewal: %w", err))
	}
	until, err := v.lease(ctx, row)
	if err != nil || until.IsZero() {
		return err
	}
	a, rotated, err := v.consult(ctx, r, row, known, sealed)
	if err != nil {
		return err // the lease ends by itself
	}
	now := v.clock.now()
	settlement := newSettlement(row, a, &r.cfg, now)
	settlement.Lease, settlement.Sealed = until, rotated
	// The circuit breaker counts a person who is gone twice: at the first such
	// answer, and at the one that ends sessions.
	if newlyGone := a.outcome == outcomeGone && row.Person.Gone.IsZero(); newlyGone || settlement.End.Why != "" {
		return v.settleEnding(ctx, row, known, settlement, now)
	}
	v.guards.of(known.Provider).count(now)
	wake(v.counted)
	return v.answers.save(ctx, settlement)
}

// lease returns until when this replica may ask, or the zero Time once another
// one has asked.
func (v *revalidator) lease(ctx context.Context, row *Row) (time.Time, error) {
	p := row.Person
	for {
		now := v.clock.now()
		if !now.Before(p.Lease) {
			until := now.Add(leaseFor)
			won, err := v.store.Lease(ctx, p.ID, p.Asked, now, until)
			if err != nil {
				return time.Time{}, unavailable(fmt.Errorf("take a lease: %w", err))
			}
			if won && !v.clock.now().Add(askLimit+keepLimit).After(until) {
				return until, nil
			}
			if won {
				// It took too long to get: another replica would ask before the
				// answer is kept, with a renewal that is used up. It is given up.
				if _, err := v.store.Lease(ctx, p.ID, p.Asked, until, v.clock.now()); err != nil {
					return time.Time{}, unavailable(fmt.Errorf("give up a lease: %w", err))
				}
			}
		}
		select {
		case <-ctx.Done():
			return time.Time{}, unavailable(fmt.Errorf("wait for another replica to ask: %w", ctx.Err()))
		case <-time.After(pollEvery):
		}
		latest, err := v.store.Find(ctx, row.Hash, row.Person.Version)
		switch {
		case errors.Is(err, ErrNotFound):
			return time.Time{}, nil // the next reading of the row will tell
		case err != nil:
			return time.Time{}, unavailable(fmt.Errorf("wait for another replica to ask: %w", err))
		case !latest.Person.Asked.Equal(row.Person.Asked):
			return time.Time{}, nil
		}
		p = latest.Person
	}
}

// consult asks the provider, and returns its answer and the renewal that it
// rotated to, sealed. The only errors are those of sealing; any other failure is
// the answer unavailable.
func (v *revalidator) consult(ctx context.Context, r *rules, row *Row, known *providers.Identity, sealed []byte) (a answer, rotated []byte, err error) {
	id := *known
	id.Method, id.AuthTime, id.Stamp = row.Method, row.Created, row.Person.Stamp
	var renewal secret.Text
	if sealed != nil {
		id.Renewal, err = v.keys.open(row.Hash.ID(), sealed)
	}
	if err == nil {
		var found *providers.Identity
		found, err = askProvider(ctx, r, &id)
		a, renewal, err = read(found, err)
	}
	if a.outcome == outcomeUnavailable && !isOfProvider(err) && v.guards.of(id.Provider).mayWarn(v.clock.now()) {
		v.log.Warn("a session could not be revalidated; this is logged once a minute at most", "provider", id.Provider, "session", row.Hash.ID(), "error", err)
	}
	if sealed == nil || renewal.IsZero() || renewal.Equal(id.Renewal) {
		return a, nil, nil
	}
	if rotated, err = v.keys.seal(row.Hash.ID(), renewal); err != nil {
		return answer{}, nil, unavailable(err)
	}
	return a, rotated, nil
}

// read turns the result of Revalidate into an answer. It also returns the renewal
// that came with it, and the error where the provider did not vouch. Facts that
// cannot be encoded make the answer unavailable.
func read(found *providers.Identity, err error) (answer, secret.Text, error) {
	if err != nil {
		var renewal secret.Text
		if rotated, ok := errors.AsType[*providers.RotatedError](err); ok {
			renewal = rotated.Renewal
		}
		return answer{outcome: outcomeOf(err)}, renewal, err
	}
	facts, err := encodeFacts(found)
	if err != nil {
		return answer{outcome: outcomeUnavailable}, found.Renewal, err
	}
	return answer{outcome: outcomeVouched, stamp: found.Stamp, facts: &facts}, found.Renewal, nil
}

// askProvider has the provider revalidate an identity, within askLimit. The chain
// checks that the answer is about the same subject.
func askProvider(ctx context.Context, r *rules, id *providers.Identity) (*providers.Identity, error) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	found, err := r.providers.Revalidate(ctx, id)
	if err != nil {
		return nil, err
	}
	named := *found
	named.Provider = id.Provider // which it need not repeat
	return &named, nil
}

// isOfProvider reports whether a provider caused an error: the chain has logged it
// when the provider became unavailable.
func isOfProvider(err error) bool {
	_, ok := errors.AsType[*providers.Failure](err)
	return ok
}

// newSettlement returns the settlement of an answer about row's person, without
// the lease and a rotated renewal.
func newSettlement(row *Row, a answer, cfg *Config, now time.Time) *Settlement {
	s := &Settlement{Person: row.Person.ID, Next: func(p Person) Person { return next(p, a, now) }, Facts: a.facts}
	if row.Stamp == "" {
		// An entry may show no stamp until its password is first changed. A
		// session that began before must not live through every change after.
		s.Adopt = a.stamp
	}
	if a.outcome == outcomeNever {
		s.Lifetime = cfg.UncheckedLifetime
	}
	if why := endedBy(row.Person, a, cfg.Grace, now); why != "" {
		s.End, s.Spare = why.Ending("", now), a.stamp
	}
	return s
}

// settleEnding writes an answer that ends sessions or finds a person gone, unless
// the circuit breaker is open. The undo is in the store before the answer is, and
// the breaker is read again after it, so that the replica that opens the breaker
// finds every undo.
func (v *revalidator) settleEnding(ctx context.Context, row *Row, known *providers.Identity, s *Settlement, now time.Time) error {
	provider := known.Provider
	held := &Settlement{Person: s.Person, Lease: s.Lease, Sealed: s.Sealed}
	held.Next = func(p Person) Person { return next(p, answer{outcome: outcomeHeld}, now) }
	undo := Undo{Who: personKey(provider, known.Subject), Person: row.Person, Why: s.End.Why, At: now}
	doubted, err := v.guards.doubts(ctx, provider, doubtEvery)
	if err == nil {
		undo.Held = doubted
		err = v.guards.store.NoteEnding(ctx, provider, undo)
	}
	if err == nil && !doubted {
		doubted, err = v.guards.doubts(ctx, provider, doubtEvery)
	}
	if doubted || err != nil {
		return v.withhold(ctx, held, err)
	}
	if s.End.Why != "" {
		// Before the write, which may fail: the old password is over all the same.
		v.rules.Load().forgetPerson(provider, known.Subject)
	}
	if err := v.answers.save(ctx, s); err != nil {
		return err
	}
	if doubted, err = v.guards.doubts(ctx, provider, 0); err != nil {
		return unavailable(err)
	}
	if s.End.Why != "" && !doubted {
		wake(v.revocations)
	}
	return nil
}

// withhold writes that the circuit breaker withheld an answer. why is nil, or the
// error of a store that could not tell whether the breaker is open.
func (v *revalidator) withhold(ctx context.Context, held *Settlement, why error) error {
	if why != nil {
		v.log.Warn("could not read from the store whether to trust the provider; its answer was not applied", "person", held.Person, "error", why)
	}
	return v.answers.save(ctx, held)
}
