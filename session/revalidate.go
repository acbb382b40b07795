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

// LeaseStore is the part of a store that a revalidation needs before it asks
// the provider.
type LeaseStore interface {
	// Find is as in [SessionStore].
	Find(ctx context.Context, token Hash, known Version) (*Row, error)

	// LeaseSignIn takes the lease of a sign-in, the right to ask its provider
	// until the given time. It reports whether the caller got it: no other
	// caller holds it at now, and SignIn.LastAsked is still lastAsked. The
	// holder releases a lease by calling LeaseSignIn with the lease's end as
	// now, and now as until.
	LeaseSignIn(ctx context.Context, signIn int64, lastAsked, now, until time.Time) (bool, error)

	// ProviderToken returns the sealed refresh token of a sign-in.
	ProviderToken(ctx context.Context, signIn int64) (ProviderToken, error)
}

const (
	// leaseTTL is after how long a lease expires. If its holder dies, another
	// replica asks then.
	leaseTTL = 15 * time.Second

	// askTimeout is how long a provider has to answer. It is shorter than
	// leaseTTL, so that the answer can be stored before the lease expires.
	askTimeout = 10 * time.Second

	// storeMargin is what must be left of the lease after askTimeout to store
	// the answer.
	storeMargin = 2 * time.Second

	// pollInterval is how often a row is read while another replica holds the
	// lease.
	pollInterval = 100 * time.Millisecond
)

// revalidator asks providers about persons again, once per sign-in:
// single-flight within this process, a lease in the sign-in's row between
// replicas. It writes the answer into the row. Callers that wait for it read
// the row again, so that the row is the only truth.
type revalidator struct {
	store      LeaseStore
	answers    *answerWriter
	breakers   *breakers
	keys       *Keys
	clock      *clock
	log        *slog.Logger
	generation *atomic.Pointer[generation]
	warned     atomic.Int64                  // when a failed revalidation was last logged, in Unix seconds
	calls      singleFlight[int64, struct{}] // by sign-in
	counts     *answerCounts
}

// revalidate starts or joins the revalidation of a row's sign-in, and waits
// until its answer is in the store.
func (v *revalidator) revalidate(ctx context.Context, g *generation, row *Row, known *providers.Identity) error {
	c, err := v.start(ctx, g, row, known)
	if err != nil {
		return err
	}
	select {
	case <-c.done:
		return c.err
	case <-ctx.Done():
		return unavailable(fmt.Errorf("wait for the provider %q: %w", known.Provider, ctx.Err()))
	}
}

// start starts the revalidation of a row's sign-in, or joins the call in
// progress.
func (v *revalidator) start(ctx context.Context, g *generation, row *Row, known *providers.Identity) (*call[struct{}], error) {
	c, _, err := v.calls.join(ctx, row.SignIn.ID, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, v.revalidateOnce(ctx, g, row, known)
	})
	return c, err
}

// revalidateOnce has the provider asked once about a row's sign-in, by this
// replica or by another one that holds the lease. When it returns nil, the
// answer is in the store.
func (v *revalidator) revalidateOnce(ctx context.Context, g *generation, row *Row, known *providers.Identity) error {
	if saved, err := v.answers.retry(ctx, row.SignIn.ID); saved || err != nil {
		return err
	}
	// The refresh token is read before the lease, to keep the lease short. If a
	// login replaces it in the meantime, the answer is void.
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
		return err // without a release: the lease expires
	}
	v.counts.add(known.Provider, a.outcome)
	now := v.clock.now()
	update := &AnswerUpdate{SignIn: row.SignIn.ID, LeaseUntil: until, Identity: a.identity, Sealed: rotated}
	if a.outcome == outcomeNever {
		update.Lifetime = g.cfg.UncheckedLifetime
	}
	doubtedUntil, err := v.doubtedUntil(ctx, &row.SignIn, known.Provider)
	if err != nil {
		return err // without a release: the lease expires
	}
	update.Next = func(s SignIn) SignIn {
		s, _ = voidRefusal(s, doubtedUntil)
		return next(s, a, g.cfg.Grace, now)
	}
	before, _ := voidRefusal(row.SignIn, doubtedUntil)
	v.reportAnswer(ctx, row, known, before, update.Next(before), now)
	return v.answers.save(ctx, known.Provider, update)
}

// doubtedUntil returns until when a provider is or was doubted, for a sign-in
// with a refusal; for any other it returns the zero Time, and reads nothing.
func (v *revalidator) doubtedUntil(ctx context.Context, s *SignIn, provider string) (time.Time, error) {
	if !s.refuses() {
		return time.Time{}, nil
	}
	until, err := v.breakers.doubtedUntil(ctx, provider)
	if err != nil {
		return time.Time{}, unavailable(err)
	}
	return until, nil
}

// reportAnswer counts for the circuit breaker an answer at now that changes the
// sign-in from before to after. It is called before the answer is written, so
// that a reader of the row finds the breaker open. It also drops the person's
// cached passwords if an end became pending or the stamp changed, unless the
// refusal is void.
func (v *revalidator) reportAnswer(ctx context.Context, row *Row, known *providers.Identity, before, after SignIn, now time.Time) {
	ends, forget := newlyEnded(before, after), after.PendingSince.Equal(now)
	var err error
	switch {
	case ends:
		err = v.breakers.countAnswer(ctx, known.Provider, row.Person, answerEnds)
	case after.LastVouched.Equal(now):
		err = v.breakers.countAnswer(ctx, known.Provider, row.Person, answerVouches)
	}
	if ends && err == nil {
		var doubtedUntil time.Time
		doubtedUntil, err = v.breakers.doubtedUntil(ctx, known.Provider)
		forget = forget && now.After(doubtedUntil)
	}
	if err != nil {
		v.log.Warn("could not count an answer of the provider for its circuit breaker", "provider", known.Provider, "sign_in", row.SignIn.ID, "error", err)
	}
	if forget {
		v.generation.Load().forgetPerson(known.Provider, known.Subject)
	}
}

// acquireLease waits for the lease of a row's sign-in, and returns its end, or
// the zero Time once another replica has asked.
func (v *revalidator) acquireLease(ctx context.Context, row *Row) (time.Time, error) {
	s := row.SignIn
	for {
		now := v.clock.now()
		if !now.Before(s.LeaseUntil) {
			until := now.Add(leaseTTL)
			won, err := v.store.LeaseSignIn(ctx, s.ID, s.LastAsked, now, until)
			if err != nil {
				return time.Time{}, unavailable(fmt.Errorf("take a lease: %w", err))
			}
			if won && !v.clock.now().Add(askTimeout+storeMargin).After(until) {
				return until, nil
			}
			if won {
				// The store was slow, and what is left of the lease is too
				// short: it would expire before the answer is stored, and
				// another replica would ask with a refresh token that is used
				// up. It is released.
				if _, err := v.store.LeaseSignIn(ctx, s.ID, s.LastAsked, until, v.clock.now()); err != nil {
					return time.Time{}, unavailable(fmt.Errorf("release a lease: %w", err))
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
			return time.Time{}, nil // the caller's next read of the row finds that out
		case err != nil:
			return time.Time{}, unavailable(fmt.Errorf("wait for another replica to ask: %w", err))
		case !latest.SignIn.LastAsked.Equal(row.SignIn.LastAsked):
			return time.Time{}, nil
		}
		s = latest.SignIn
	}
}

// askProvider asks the provider with the sign-in's refresh token. It returns
// the answer and the new refresh token if the provider rotated it, sealed. It
// fails only if that cannot be sealed; any other failure is the answer
// unavailable.
func (v *revalidator) askProvider(ctx context.Context, g *generation, row *Row, known *providers.Identity, sealed ProviderToken) (a answer, rotated []byte, err error) {
	id := *known
	id.Method, id.AuthTime, id.ACR, id.AMR, id.Stamp = row.Login.Method, row.Login.Time, row.Login.ACR, row.Login.AMR, row.SignIn.Stamp
	name := sealName(sealed.LoginID, id.Provider, row.ProviderID, id.Subject)
	var providerToken secret.Text
	if sealed.Body != nil {
		id.RefreshToken, err = v.keys.open(name, sealed.Body)
	}
	if err == nil {
		var found *providers.Identity
		found, err = callProvider(ctx, g, &id)
		a, providerToken, err = answerOf(found, err)
	}
	v.logFailure(row, id.Provider, a.outcome, err)
	a.tokenVersion = sealed.TokenVersion
	if sealed.Body == nil || providerToken.IsZero() || providerToken.Equal(id.RefreshToken) {
		return a, nil, nil
	}
	if rotated, err = v.keys.seal(name, providerToken); err != nil {
		return answer{}, nil, unavailable(err)
	}
	a.rotated = true
	return a, rotated, nil
}

// logFailure logs why a revalidation failed: a refusal where it begins, since the
// refused requests only say that there is one, and what is no outage that the chain logs.
func (v *revalidator) logFailure(row *Row, provider string, o outcome, err error) {
	attributes := []any{"provider", provider, "sign_in", row.SignIn.ID, "session", row.Hash.ID(), "error", err}
	switch o {
	case outcomeRejected, outcomeEnded, outcomeGone:
		if !row.SignIn.refuses() {
			v.log.Info("the provider refuses a person, so the sessions of the sign-in are refused", attributes...)
		}
	case outcomeUnavailable:
		if !isProviderFailure(err) && v.mayWarn() {
			v.log.Warn("a sign-in could not be revalidated; this is logged once a minute at most", attributes...)
		}
	}
}

// mayWarn is a rate limit of one log line a minute, over all sign-ins.
func (v *revalidator) mayWarn() bool {
	now, last := v.clock.now().Unix(), v.warned.Load()
	return now-last >= 60 && v.warned.CompareAndSwap(last, now)
}

// answerOf turns the result of Revalidate into an answer. It also returns the
// refresh token that came with the result, and the error if the provider did
// not vouch. An identity that cannot be encoded makes the answer unavailable.
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

// callProvider calls Revalidate with askTimeout. The chain checks that the
// answer is about the same subject.
func callProvider(ctx context.Context, g *generation, id *providers.Identity) (*providers.Identity, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	found, err := g.providers.Revalidate(ctx, id)
	if err != nil {
		return nil, err
	}
	named := *found
	named.Provider = id.Provider // the provider need not repeat it
	return &named, nil
}

// isProviderFailure reports whether an error is an outage of a provider, which
// the chain logs when it begins.
func isProviderFailure(err error) bool {
	_, ok := errors.AsType[*providers.Failure](err)
	return ok
}
