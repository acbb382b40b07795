package session

import (
	"context"
	"errors"
	"time"

	"shorepass/internal/latency"
)

// Operations of a store, as metrics name them: several methods each.
const (
	storeFind     = "find"     // a session, a grant or an identity, by its key
	storeCreate   = "create"   // a session or a grant
	storeEnd      = "end"      // sessions
	storeLease    = "lease"    // of a sign-in or a first use, with its refresh token
	storeAnswer   = "answer"   // of a provider
	storeLastUses = "last_use" // a batch of them
	storeBreaker  = "breaker"  // circuit breakers and their tallies
	storeSweep    = "sweep"    // one batch of any background loop
	storeList     = "list"
	storeCount    = "count" // of sessions
	storeHealth   = "health"
)

// observedStore is a Store that records how long its operations take and which fail.
// Methods that it does not override are those of the command line and of the start.
type observedStore struct {
	Store
	calls *latency.Recorder
}

func observe(s Store) *observedStore {
	return &observedStore{s, latency.New(storeFind, storeCreate, storeEnd, storeLease, storeAnswer, storeLastUses, storeBreaker, storeSweep, storeList, storeCount, storeHealth)}
}

// record records an operation that began at a time. The errors of [Store] that tell of
// a row, and the end of a request, are no failures of the store.
func (o *observedStore) record(operation string, began time.Time, err error) {
	failed := err != nil
	for _, known := range []error{ErrNotFound, ErrSpent, ErrTooMany, ErrForgotten, context.Canceled} {
		failed = failed && !errors.Is(err, known)
	}
	o.calls.Record(operation, began, failed)
}

func (o *observedStore) Find(ctx context.Context, token Hash, known Version) (*Row, error) {
	began := time.Now()
	row, err := o.Store.Find(ctx, token, known)
	o.record(storeFind, began, err)
	return row, err
}

func (o *observedStore) FindByProviderToken(ctx context.Context, token Hash) (*Row, error) {
	began := time.Now()
	row, err := o.Store.FindByProviderToken(ctx, token)
	o.record(storeFind, began, err)
	return row, err
}

func (o *observedStore) FindGrant(ctx context.Context, hash Hash, known Version) (*StoredGrant, error) {
	began := time.Now()
	g, err := o.Store.FindGrant(ctx, hash, known)
	o.record(storeFind, began, err)
	return g, err
}

func (o *observedStore) Identity(ctx context.Context, signIn int64) (StoredIdentity, error) {
	began := time.Now()
	id, err := o.Store.Identity(ctx, signIn)
	o.record(storeFind, began, err)
	return id, err
}

func (o *observedStore) HoldsProviderToken(ctx context.Context, provider, subject string, providerID int64) (bool, error) {
	began := time.Now()
	held, err := o.Store.HoldsProviderToken(ctx, provider, subject, providerID)
	o.record(storeFind, began, err)
	return held, err
}

func (o *observedStore) Create(ctx context.Context, draft *Draft) error {
	began := time.Now()
	err := o.Store.Create(ctx, draft)
	o.record(storeCreate, began, err)
	return err
}

func (o *observedStore) PutGrant(ctx context.Context, g *Grant) error {
	began := time.Now()
	err := o.Store.PutGrant(ctx, g)
	o.record(storeCreate, began, err)
	return err
}

func (o *observedStore) End(ctx context.Context, tokens []Hash, e Ending) (int, error) {
	began := time.Now()
	n, err := o.Store.End(ctx, tokens, e)
	o.record(storeEnd, began, err)
	return n, err
}

func (o *observedStore) EndGrant(ctx context.Context, hash Hash) (bool, error) {
	began := time.Now()
	ended, err := o.Store.EndGrant(ctx, hash)
	o.record(storeEnd, began, err)
	return ended, err
}

func (o *observedStore) EndGrants(ctx context.Context, sel Selector) (int, error) {
	began := time.Now()
	n, err := o.Store.EndGrants(ctx, sel)
	o.record(storeEnd, began, err)
	return n, err
}

func (o *observedStore) LeaseSignIn(ctx context.Context, signIn int64, lastAsked, now, until time.Time) (bool, error) {
	began := time.Now()
	won, err := o.Store.LeaseSignIn(ctx, signIn, lastAsked, now, until)
	o.record(storeLease, began, err)
	return won, err
}

func (o *observedStore) ProviderToken(ctx context.Context, signIn int64) (ProviderToken, error) {
	began := time.Now()
	token, err := o.Store.ProviderToken(ctx, signIn)
	o.record(storeLease, began, err)
	return token, err
}

func (o *observedStore) LeaseFirstUse(ctx context.Context, token Hash, now, until time.Time) (bool, error) {
	began := time.Now()
	won, err := o.Store.LeaseFirstUse(ctx, token, now, until)
	o.record(storeLease, began, err)
	return won, err
}

func (o *observedStore) ReleaseFirstUse(ctx context.Context, token Hash) error {
	began := time.Now()
	err := o.Store.ReleaseFirstUse(ctx, token)
	o.record(storeLease, began, err)
	return err
}

func (o *observedStore) StoreAnswer(ctx context.Context, s *AnswerUpdate) error {
	began := time.Now()
	err := o.Store.StoreAnswer(ctx, s)
	o.record(storeAnswer, began, err)
	return err
}

func (o *observedStore) WriteLastUses(ctx context.Context, uses []LastUse) error {
	began := time.Now()
	err := o.Store.WriteLastUses(ctx, uses)
	o.record(storeLastUses, began, err)
	return err
}

func (o *observedStore) Breakers(ctx context.Context) ([]Breaker, error) {
	began := time.Now()
	all, err := o.Store.Breakers(ctx)
	o.record(storeBreaker, began, err)
	return all, err
}

func (o *observedStore) SwapBreaker(ctx context.Context, old, new Breaker) (bool, error) {
	began := time.Now()
	swapped, err := o.Store.SwapBreaker(ctx, old, new)
	o.record(storeBreaker, began, err)
	return swapped, err
}

func (o *observedStore) WriteTally(ctx context.Context, provider, replica string, at time.Time, body []byte) error {
	began := time.Now()
	err := o.Store.WriteTally(ctx, provider, replica, at, body)
	o.record(storeBreaker, began, err)
	return err
}

func (o *observedStore) Tallies(ctx context.Context, provider, replica string, since time.Time) ([][]byte, error) {
	began := time.Now()
	bodies, err := o.Store.Tallies(ctx, provider, replica, since)
	o.record(storeBreaker, began, err)
	return bodies, err
}

func (o *observedStore) Sweep(ctx context.Context, times SweepTimes, limit int) (int, error) {
	began := time.Now()
	n, err := o.Store.Sweep(ctx, times, limit)
	o.record(storeSweep, began, err)
	return n, err
}

func (o *observedStore) ListPendingEnds(ctx context.Context, before time.Time, after int64, limit int) ([]PendingEnd, error) {
	began := time.Now()
	all, err := o.Store.ListPendingEnds(ctx, before, after, limit)
	o.record(storeSweep, began, err)
	return all, err
}

func (o *observedStore) FinishPendingEnd(ctx context.Context, signIn int64, lastAsked time.Time, tokens []Hash, e Ending) (bool, error) {
	began := time.Now()
	done, err := o.Store.FinishPendingEnd(ctx, signIn, lastAsked, tokens, e)
	o.record(storeSweep, began, err)
	return done, err
}

func (o *observedStore) ListNotAskedSince(ctx context.Context, kind Kind, since time.Time, after int64, limit int) ([]Row, error) {
	began := time.Now()
	all, err := o.Store.ListNotAskedSince(ctx, kind, since, after, limit)
	o.record(storeSweep, began, err)
	return all, err
}

func (o *observedStore) TakeRevocable(ctx context.Context, now time.Time, limit int) ([]SealedToken, error) {
	began := time.Now()
	taken, err := o.Store.TakeRevocable(ctx, now, limit)
	o.record(storeSweep, began, err)
	return taken, err
}

func (o *observedStore) List(ctx context.Context, sel Selector, after Hash, limit int) ([]ListedSession, error) {
	began := time.Now()
	all, err := o.Store.List(ctx, sel, after, limit)
	o.record(storeList, began, err)
	return all, err
}

func (o *observedStore) ListForgettable(ctx context.Context, at time.Time, after int64, limit int) ([]int64, int64, error) {
	began := time.Now()
	ids, last, err := o.Store.ListForgettable(ctx, at, after, limit)
	o.record(storeSweep, began, err)
	return ids, last, err
}

func (o *observedStore) ForgetPerson(ctx context.Context, id int64, at, now time.Time) (Forgotten, error) {
	began := time.Now()
	done, err := o.Store.ForgetPerson(ctx, id, at, now)
	o.record(storeSweep, began, err)
	return done, err
}

func (o *observedStore) ListPerson(ctx context.Context, provider, subject string, live, ended int) ([]ListedSession, int, error) {
	began := time.Now()
	all, count, err := o.Store.ListPerson(ctx, provider, subject, live, ended)
	o.record(storeList, began, err)
	return all, count, err
}

func (o *observedStore) CountSessions(ctx context.Context) (map[Kind]int, error) {
	began := time.Now()
	live, err := o.Store.CountSessions(ctx)
	o.record(storeCount, began, err)
	return live, err
}

func (o *observedStore) Ping(ctx context.Context) error {
	began := time.Now()
	err := o.Store.Ping(ctx)
	o.record(storeHealth, began, err)
	return err
}

func (o *observedStore) SetSetting(ctx context.Context, name string, value []byte) error {
	began := time.Now()
	err := o.Store.SetSetting(ctx, name, value)
	o.record(storeHealth, began, err)
	return err
}
