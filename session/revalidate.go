package session

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"time"

	"shorepass/internal/secret"
	"shorepass/providers"
)

const (
	// leaseFor is how long nobody else asks about a person. If the asker dies,
	// another one asks after it.
	leaseFor = 15 * time.Second

	// askLimit is how long a provider has to answer: short enough that the
	// answer is kept before the lease ends.
	askLimit = 10 * time.Second

	// keepLimit is what must be left of a lease after that, to keep the answer.
	keepLimit = 2 * time.Second

	// flightLimit is how long all of it may take, waiting for another
	// replica's lease included.
	flightLimit = 30 * time.Second

	// pollEvery is how often a row is read while another replica asks.
	pollEvery = 100 * time.Millisecond

	// maxUnsaved bounds the answers that wait for a store to come back.
	maxUnsaved = 1000
)

var errClosed = unavailable(errors.New("shutting down"))

// flight is one asking about one person, shared by all who wait for it in this
// process. It belongs to Sessions and not to a request: a client that goes away
// must not take a rotated token with it.
type flight struct {
	done chan struct{} // closed at its end
	err  error         // why the row is as it was; read after done
}

// await asks the provider about a session's person and waits for the row to
// say what it answered.
func (s *Sessions) await(ctx context.Context, r *rules, row *Row, known *providers.Identity) error {
	f, err := s.ask(r, row, known)
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

// ask begins to ask about a session's person, or joins whoever is asking.
func (s *Sessions) ask(r *rules, row *Row, known *providers.Identity) (*flight, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.flights[row.Person.ID]; f != nil {
		return f, nil
	}
	if s.closed {
		return nil, errClosed
	}
	f := &flight{done: make(chan struct{})}
	s.flights[row.Person.ID] = f
	s.tasks.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), flightLimit)
		defer cancel()
		f.err = s.guarded(func() error { return s.revalidate(ctx, r, row, known) })
		s.mu.Lock()
		delete(s.flights, row.Person.ID)
		s.mu.Unlock()
		close(f.done)
	})
	return f, nil
}

// guarded turns a panic into an error: what runs on its own has no handler whose
// panics net/http would keep from ending the process.
func (s *Sessions) guarded(do func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			s.log.Error("a provider panicked", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = unavailable(errors.New("a provider panicked"))
		}
	}()
	return do()
}

// revalidate makes sure that the provider is asked about row's person once, by
// this replica or another, and that its answer is in the store.
func (s *Sessions) revalidate(ctx context.Context, r *rules, row *Row, known *providers.Identity) error {
	if saved, err := s.saveUnsaved(ctx, row.Person.ID); saved || err != nil {
		return err
	}
	// Read before the lease, which is short. It changes only with Asked: whoever
	// gets the lease has read what is there still.
	sealed, err := s.store.Renewal(ctx, row.Person.ID)
	if err != nil {
		return unavailable(fmt.Errorf("read a renewal: %w", err))
	}
	until, err := s.lease(ctx, row)
	if err != nil || until.IsZero() {
		return err
	}
	answer, err := s.consult(ctx, r, row, known, sealed)
	if err != nil {
		return err // the lease ends by itself
	}
	answer.Lease = until
	return s.settle(ctx, row, answer, known)
}

// lease returns until when this replica may ask, or the zero Time once another
// one has asked.
func (s *Sessions) lease(ctx context.Context, row *Row) (time.Time, error) {
	p := row.Person
	for {
		now := s.now()
		if !now.Before(p.Lease) {
			until := now.Add(leaseFor)
			won, err := s.store.Lease(ctx, p.ID, p.Asked, now, until)
			if err != nil {
				return time.Time{}, unavailable(fmt.Errorf("take a lease: %w", err))
			}
			if won && !s.now().Add(askLimit+keepLimit).After(until) {
				return until, nil
			}
			if won {
				// It took too long to get: another replica would ask before the
				// answer is kept, with a renewal that is used up. It is given up.
				if _, err := s.store.Lease(ctx, p.ID, p.Asked, until, s.now()); err != nil {
					return time.Time{}, unavailable(fmt.Errorf("give up a lease: %w", err))
				}
			}
		}
		select {
		case <-ctx.Done():
			return time.Time{}, unavailable(fmt.Errorf("wait for another replica to ask: %w", ctx.Err()))
		case <-time.After(pollEvery):
		}
		latest, err := s.store.Find(ctx, row.Hash, row.Person.Version)
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

// consult asks the provider. An error is one of sealing: whatever else goes wrong
// is an answer, that the provider cannot tell.
func (s *Sessions) consult(ctx context.Context, r *rules, row *Row, known *providers.Identity, sealed []byte) (*Settlement, error) {
	id := *known
	id.Method, id.AuthTime, id.Stamp = row.Method, row.Created, row.Person.Stamp
	if sealed != nil {
		var err error
		if id.Renewal, err = s.keys.open(row.Hash.ID(), sealed); err != nil {
			answer, _ := s.read(r, row, nil, err, id.Provider)
			return answer, nil
		}
	}
	found, err := revalidated(ctx, r, &id)
	answer, renewal := s.read(r, row, found, err, id.Provider)
	if err == nil {
		facts, encodeErr := encodeFacts(found)
		if encodeErr != nil {
			answer, renewal = s.read(r, row, nil, &providers.RotatedError{Renewal: renewal, Err: encodeErr}, id.Provider)
		} else {
			answer.Facts = &facts
		}
	}
	if sealed != nil && !renewal.IsZero() && !renewal.Equal(id.Renewal) {
		if answer.Sealed, err = s.keys.seal(row.Hash.ID(), renewal); err != nil {
			return nil, unavailable(err)
		}
	}
	return answer, nil
}

// revalidated asks the provider, within a limit, and makes sure that it speaks
// of the person it was asked about.
func revalidated(ctx context.Context, r *rules, id *providers.Identity) (*providers.Identity, error) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	found, err := r.providers.Revalidate(ctx, id)
	switch {
	case err != nil:
		return nil, err
	case found == nil || found.Subject != id.Subject:
		return nil, fmt.Errorf("the provider %q answered about somebody else", id.Provider)
	}
	named := *found
	named.Provider = id.Provider // which it need not repeat
	return &named, nil
}

// read makes a settlement of what a provider said, and returns the renewal
// that came with it.
func (s *Sessions) read(r *rules, row *Row, found *providers.Identity, err error, provider string) (*Settlement, secret.Text) {
	now, said := s.now(), answer{outcome: outcomeOf(err)}
	a := &Settlement{Person: row.Person.ID, At: now}
	var renewal secret.Text
	if rotated, ok := errors.AsType[*providers.RotatedError](err); ok {
		renewal = rotated.Renewal
	}
	switch said.outcome {
	case outcomeVouched:
		said.stamp, renewal = found.Stamp, found.Renewal
		a.Stamp = found.Stamp
		// An entry may show no stamp until its password is first changed. A
		// session that began before must not live through every change after.
		a.Adopt = row.Stamp == "" && found.Stamp != ""
	case outcomeNever:
		a.Lifetime = r.cfg.UncheckedLifetime
	case outcomeUnavailable:
		if s.guards.of(provider).mayWarn(now) {
			s.log.Warn("a provider cannot tell about a session; this is logged once a minute at most", "provider", provider, "session", row.Hash.ID(), "error", err)
		}
	}
	a.Answer, a.End = next(row.Person, said, now).Answer, endedBy(row.Person, said, r.cfg.Grace, now)
	return a, renewal
}

// settle keeps an answer, unless too many of its kind come at once.
func (s *Sessions) settle(ctx context.Context, row *Row, a *Settlement, known *providers.Identity) error {
	// That somebody is gone is counted when it is first heard, and once more
	// when it has been so for long enough to end sessions.
	if newlyGone := a.Answer == AnswerGone && row.Person.Gone.IsZero(); newlyGone || a.End != "" {
		return s.settleEnding(ctx, row, a, known)
	}
	s.guards.of(known.Provider).count(a.At)
	wake(s.usage.waits)
	return s.save(ctx, a)
}

// save keeps an answer. A store that fails is tried again while the lease
// lasts, since a rotated token is nowhere else; after that the answer waits
// until the store is back, and is kept unless another replica asked before.
func (s *Sessions) save(ctx context.Context, a *Settlement) error {
	for wait := 50 * time.Millisecond; ; wait *= 2 {
		_, err := s.store.Settle(ctx, a)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, ErrNotFound):
			s.log.Warn("a provider's answer came after its lease had ended, and is dropped", "person", a.Person)
			return nil
		}
		late := !s.now().Add(wait).Before(a.Lease)
		if !late {
			select {
			case <-time.After(wait):
				continue
			case <-ctx.Done():
			}
		}
		s.mu.Lock()
		kept := len(s.unsaved) < maxUnsaved
		if kept {
			s.unsaved[a.Person] = *a
		}
		s.mu.Unlock()
		wake(s.retries)
		s.log.Error("a provider's answer could not be kept in the store", "person", a.Person, "kept_in_memory", kept, "error", err)
		return unavailable(fmt.Errorf("keep a provider's answer: %w", err))
	}
}

// saveUnsaved keeps an answer that the store could not take before, and
// reports whether there was one.
func (s *Sessions) saveUnsaved(ctx context.Context, person int64) (bool, error) {
	s.mu.Lock()
	a, ok := s.unsaved[person]
	s.mu.Unlock()
	if !ok {
		return false, nil
	}
	switch _, err := s.store.Settle(ctx, &a); {
	case errors.Is(err, ErrNotFound):
		s.log.Warn("a provider's answer came too late, since another replica has asked, and is dropped", "person", a.Person)
	case err != nil:
		return true, unavailable(fmt.Errorf("keep a provider's answer: %w", err))
	}
	s.mu.Lock()
	delete(s.unsaved, person)
	s.mu.Unlock()
	return true, nil
}

// saveAllUnsaved keeps what the store could not take before, as soon as it is
// back: another replica that asks first would show the provider a token that
// was rotated away.
func (s *Sessions) saveAllUnsaved(ctx context.Context) error {
	s.mu.Lock()
	persons := slices.Collect(maps.Keys(s.unsaved))
	s.mu.Unlock()
	for _, person := range persons {
		if _, err := s.saveUnsaved(ctx, person); err != nil {
			return err
		}
	}
	return nil
}
