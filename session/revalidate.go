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

	// LeaseSignIn reports whether the caller may ask the provider about a sign-in,
	// until the given time: no other caller may at now, and none has asked since
	// asked, the caller's SignIn.Asked. The holder gives a lease up by calling it
	// with its end as now, and now as until.
	LeaseSignIn(ctx context.Context, signIn int64, asked, now, until time.Time) (bool, error)

	// ProviderToken returns the sealed refresh token of a sign-in.
	ProviderToken(ctx context.Context, signIn int64) (ProviderToken, error)
}

const (
	// leaseTTL is how long no other caller asks about a person. If the holder
	// dies, another one asks after it.
	leaseTTL = 15 * time.Second

	// askTimeout is how long a provider has to answer: short enough that the
	// answer is kept before the lease ends.
	askTimeout = 10 * time.Second

	// storeMargin is what must be left of a lease after that, to keep the answer.
	storeMargin = 2 * time.Second

	// pollInterval is how often a row is read while another replica asks.
	pollInterval = 100 * time.Millisecond
)

// revalidator asks providers about persons again: single-flight in this process,
// and by a lease in the row of the sign-in over all replicas. The answer goes into
// the row, and the callers that wait for it read the row again.
type revalidator struct {
	store      LeaseStore
	answers    *answerWriter
	breakers   *breakers
	keys       *Keys
	clock      *clock
	log        *slog.Logger
	generation *atomic.Pointer[generation]
	warned     atomic.Int64                  // when it was last logged that a sign-in could not be revalidated, in Unix seconds
	calls      singleFlight[int64, struct{}] // by sign-in
}

// revalidate asks the provider about a session's person and waits for the row to
// say what it answered.
func (v *revalidator) revalidate(ctx context.Context, g *generation, row *Row, known *providers.Identity) error {
	f, err := v.start(ctx, g, row, known)
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

// start begins a flight that asks about a session's person, or joins the one there
// is.
func (v *revalidator) start(ctx context.Context, g *generation, row *Row, known *providers.Identity) (*call[struct{}], error) {
	f, _, err := v.calls.join(ctx, row.SignIn.ID, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, v.revalidateOnce(ctx, g, row, known)
	})
	return f, err
}

// revalidateOnce makes sure that the provider is asked about row's sign-in once, by
// this replica or another, and that its answer is in the store.
func (v *revalidator) revalidateOnce(ctx context.Context, g *generation, row *Row, known *providers.Identity) error {
	if saved, err := v.answers.retry(ctx, row.SignIn.ID); saved || err != nil {
		return err
	}
	// Read before the lease, which is short. A login that replaces it meanwhile
	// makes the answer void.
	sealed, err := v.store.ProviderToken(ctx, row.SignIn.ID)
	if err != nil {
		return unavailable(fmt.Errorf("read a refresh token: %w", err))
	}
	until, err := v.acquireLease(ctx, row)
	if err != nil || until.IsZero() {
		return err
	}
	a, rotated, err := v.askProvider(ctx, g, row, known, sealed)
	if err != nil {
		return err // the lease ends by itself
	}
	now := v.clock.now()
	update := &AnswerUpdate{SignIn: row.SignIn.ID, Lease: until, Identity: a.identity, Sealed: rotated}
	if a.outcome == outcomeNever {
		update.Lifetime = g.cfg.UncheckedLifetime
	}
	doubted, err := v.doubtedUntil(ctx, &row.SignIn, known.Provider)
	if err != nil {
		return err // as above
	}
	update.Next = func(s SignIn) SignIn {
		s, _ = voidRefusal(s, doubted)
		return next(s, a, g.cfg.Grace, now)
	}
	was, _ := voidRefusal(row.SignIn, doubted)
	v.reportAnswer(ctx, row, known, was, update.Next(was), now)
	return v.answers.save(ctx, update)
}

// doubted returns until when what a provider answers is not believed, where the
// sign-in has a refusal to doubt.
func (v *revalidator) doubtedUntil(ctx context.Context, s *SignIn, provider string) (time.Time, error) {
	if !s.refuses() {
		return time.Time{}, nil
	}
	doubted, err := v.breakers.doubtedUntil(ctx, provider)
	if err != nil {
		return time.Time{}, unavailable(err)
	}
	return doubted, nil
}

// report counts for the circuit breaker an answer at now that changes was to is,
// before it is written: a reader of the row after that finds the breaker open. It
// also drops the cached passwords of a person who may not come in any more, or has
// another one.
func (v *revalidator) reportAnswer(ctx context.Context, row *Row, known *providers.Identity, was, is SignIn, now time.Time) {
	ends, forget := newlyEnded(was, is), is.Pending.Equal(now)
	var err error
	switch {
	case ends:
		err = v.breakers.countAnswer(ctx, known.Provider, row.Person, answerEnds)
	case is.Checked.Equal(now):
		err = v.breakers.countAnswer(ctx, known.Provider, row.Person, answerVouches)
	}
	if ends && err == nil {
		var doubted time.Time
		doubted, err = v.breakers.doubtedUntil(ctx, known.Provider)
		forget = forget && now.After(doubted)
	}
	if err != nil {
		v.log.Warn("could not count an answer of the provider for its circuit breaker", "provider", known.Provider, "error", err)
	}
	if forget {
		v.generation.Load().forgetPerson(known.Provider, known.Subject)
	}
}

// lease returns until when this replica may ask, or the zero Time once another
// one has asked.
func (v *revalidator) acquireLease(ctx context.Context, row *Row) (time.Time, error) {
	p := row.SignIn
	for {
		now := v.clock.now()
		if !now.Before(p.Lease) {
			until := now.Add(leaseTTL)
			won, err := v.store.LeaseSignIn(ctx, p.ID, p.Asked, now, until)
			if err != nil {
				return time.Time{}, unavailable(fmt.Errorf("take a lease: %w", err))
			}
			if won && !v.clock.now().Add(askTimeout+storeMargin).After(until) {
				return until, nil
			}
			if won {
				// It took too long to get: another replica would ask before the
				// answer is kept, with a refresh token that is used up. It is given up.
				if _, err := v.store.LeaseSignIn(ctx, p.ID, p.Asked, until, v.clock.now()); err != nil {
					return time.Time{}, unavailable(fmt.Errorf("give up a lease: %w", err))
				}
			}
		}
		select {
		case <-ctx.Done():
			return time.Time{}, unavailable(fmt.Errorf("wait for another replica to ask: %w", ctx.Err()))
		case <-time.After(pollInterval):
		}
		latest, err := v.store.Find(ctx, row.Hash, row.SignIn.Version)
		switch {
		case errors.Is(err, ErrNotFound):
			return time.Time{}, nil // the next reading of the row will tell
		case err != nil:
			return time.Time{}, unavailable(fmt.Errorf("wait for another replica to ask: %w", err))
		case !latest.SignIn.Asked.Equal(row.SignIn.Asked):
			return time.Time{}, nil
		}
		p = latest.SignIn
	}
}

// askProvider asks the provider, and returns its answer and the refresh token that it
// rotated to, sealed. The only errors are those of sealing; any other failure is
// the answer unavailable.
func (v *revalidator) askProvider(ctx context.Context, g *generation, row *Row, known *providers.Identity, sealed ProviderToken) (a answer, rotated []byte, err error) {
	id := *known
	id.Method, id.AuthTime, id.ACR, id.AMR, id.Stamp = row.Login.Method, row.Login.Time, row.Login.ACR, row.Login.AMR, row.SignIn.Stamp
	under := sealName(sealed.LoginID, id.Provider, row.ProviderID, id.Subject)
	var providerToken secret.Text
	if sealed.Body != nil {
		id.RefreshToken, err = v.keys.open(under, sealed.Body)
	}
	if err == nil {
		var found *providers.Identity
		found, err = callProvider(ctx, g, &id)
		a, providerToken, err = answerOf(found, err)
	}
	if a.outcome == outcomeUnavailable && !isProviderFailure(err) && v.mayWarn() {
		v.log.Warn("a sign-in could not be revalidated; this is logged once a minute at most", "provider", id.Provider, "session", row.Hash.ID(), "error", err)
	}
	a.tokenVersion = sealed.TokenVersion
	if sealed.Body == nil || providerToken.IsZero() || providerToken.Equal(id.RefreshToken) {
		return a, nil, nil
	}
	if rotated, err = v.keys.seal(under, providerToken); err != nil {
		return answer{}, nil, unavailable(err)
	}
	a.rotated = true
	return a, rotated, nil
}

// mayWarn is a rate limit: once a minute, however many sign-ins it is about.
func (v *revalidator) mayWarn() bool {
	now, last := v.clock.now().Unix(), v.warned.Load()
	return now-last >= 60 && v.warned.CompareAndSwap(last, now)
}

// answerOf turns the result of Revalidate into an answer. It also returns the refresh
// token that came with it, and the error where the provider did not vouch. Identity that
// cannot be encoded make the answer unavailable.
func answerOf(found *providers.Identity, err error) (answer, secret.Text, error) {
	if err != nil {
		var providerToken secret.Text
		if rotated, ok := errors.AsType[*providers.RotatedError](err); ok {
			providerToken = rotated.RefreshToken
		}
		return answer{outcome: outcomeOf(err)}, providerToken, err
	}
	identity, err := encodeIdentity(found)
	if err != nil {
		return answer{outcome: outcomeUnavailable}, found.RefreshToken, err
	}
	return answer{outcome: outcomeVouched, stamp: found.Stamp, identity: &identity}, found.RefreshToken, nil
}

// callProvider has the provider revalidate an identity, within askTimeout. The chain
// checks that the answer is about the same subject.
func callProvider(ctx context.Context, g *generation, id *providers.Identity) (*providers.Identity, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	found, err := g.providers.Revalidate(ctx, id)
	if err != nil {
		return nil, err
	}
	named := *found
	named.Provider = id.Provider // which it need not repeat
	return &named, nil
}

// isProviderFailure reports whether a provider caused an error: the chain has logged it
// when the provider became unavailable.
func isProviderFailure(err error) bool {
	_, ok := errors.AsType[*providers.Failure](err)
	return ok
}
