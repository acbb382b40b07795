// Package throttle is the rate limit of wrong passwords. It bounds how many reach a
// directory, so that the directory locks no account, and how many an address can
// try, so that it guesses none.
//
// A login is an [Attempt]. It begins with a [Guess], before any provider is
// asked. Once the account is known, and before the password is sent or checked
// anywhere, it reserves an entry. It ends with the outcome:
//
//	a, err := t.Begin(ctx, guess)
//	if err != nil {
//		return err // a *RetryAfter, a *Refused, or an error of ctx
//	}
//	defer a.End()
//	// … look the account up; where there is none: a.ReserveName(ctx) …
//	answer, err := a.Reserve(ctx, account)
//	if err != nil {
//		return err // a *RetryAfter, ErrUnanswered, or an error of ctx
//	}
//	if answer.Verdict != throttle.Ask {
//		// … answer as a wrong password, in the time of one, and settle as Unknown …
//	}
//	// … prove the password …
//	a.Settle(throttle.Proved, throttle.Cause{}) // or another outcome
//
// There are three rate limits. The name window counts distinct passwords of a login
// name, whether the name exists or not. The account window counts those that may
// have reached the provider. The address budget counts failures from one address.
// The rules are pure functions (rule.go, window.go, budget.go). Each counter is a
// row of a [Store], which is swapped only if it has not changed since it was read
// (compare-and-swap), so that replicas with one store share the limits. While the
// store does not answer, each replica falls back to counters of its own, with half
// the limit of each window.
//
// A proof is a record that a login name logged in at an address within a day. The
// address budget does not limit a login with a proof, and each window has one entry
// more for it.
//
// The package knows nothing of providers: the caller says which account a name
// belongs to, and what the outcome of the password was.
package throttle

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync/atomic"
	"time"

	"shorepass/internal/lru"
	"shorepass/internal/secret"
)

// Limit is the limit of a window: how many distinct passwords it has room for, and
// its duration.
type Limit struct {
	Passwords int
	Window    time.Duration
}

// Guess is a secret and the login name that it came with.
type Guess struct {
	// Name is the key of the login name, without a configured domain. The name
	// window belongs to it.
	Name string

	// Text is the login name as it goes to providers. Guesses of equal Text
	// and Secret are the same guess.
	Text string

	// Token names the kind of token that Secret is, and is empty for a
	// password. A token counts for the address alone.
	Token string

	// Secret is never empty.
	Secret secret.Text

	// Address is the client's. An unknown one, the zero Addr, has neither a budget
	// nor proofs.
	Address netip.Addr

	// Limit is the limit of the name window: the smallest number and the
	// longest window of the providers whose match has the name.
	Limit Limit
}

// Config holds the options, which a reload replaces.
type Config struct {
	// Networks are counted as one address each; they do not overlap. Any other
	// address counts by itself or, of IPv6, by its /64.
	Networks []netip.Prefix

	// AddressFailures is how many distinct failures (name and password) an
	// address may have in ten minutes.
	AddressFailures int

	// ConfigHash is a hash of the provider tables. Address budgets are keyed by
	// it, so that they are empty again after a configuration was corrected.
	ConfigHash []byte
}

// RetryAfter is the error of a login that a rate limit refuses. The client gets 429.
type RetryAfter struct {
	After time.Duration // until there is room
	Limit string        // the limit that is full: "name" or "address", for the log
}

func (e *RetryAfter) Error() string {
	return fmt.Sprintf("too many wrong passwords for this %s, retry after %s", e.Limit, e.After.Round(time.Second))
}

// Refused is the error of a guess whose refusal is cached in this process, where
// no state of an account shows whether the refusal still holds. The client gets 401
// again.
type Refused struct {
	Cause Cause // of the first refusal
}

func (e *Refused) Error() string {
	return fmt.Sprintf("the same was refused within the last %s: %s", refusalTTL, e.Cause.Reason)
}

// ErrUnanswered says that an account window is full of passwords that may have
// reached the provider and were not answered. The client gets 503.
var ErrUnanswered = errors.New("too many passwords for this account may have reached its provider and were not answered")

// Throttle is the rate limit of wrong passwords. It is safe for concurrent use, and
// outlives reloads.
type Throttle struct {
	store  *breakerStore
	memory *MemoryStore // the fallback while the store does not answer
	hasher *Hasher
	cfg    atomic.Pointer[Config]

	queues   addressQueues
	calls    calls
	refusals *refusals
	proofs   proofCache
	writes   writes
	asking   atomic.Int64
	counters counters
}

// retrySoon is the wait of a client from whose address too many logins wait.
const retrySoon = 3 * time.Second

// New returns a throttle with its rows in store. key makes their HMACs: a secret of
// at least 32 bytes that all replicas share, and that is not in the store.
func New(store Store, key []byte, cfg Config, log *slog.Logger) *Throttle {
	t := &Throttle{
		store:    newBreakerStore(store, log),
		memory:   NewMemoryStore(),
		hasher:   NewHasher(key),
		queues:   addressQueues{queues: make(map[string]*addressQueue)},
		calls:    calls{calls: make(map[callKey]*call)},
		refusals: newRefusals(),
		proofs:   proofCache{cache: lru.New[cachedProof, time.Time](maxCachedProofs)},
		writes:   newWrites(),
	}
	t.cfg.Store(&cfg)
	return t
}

// Reload replaces the configuration, and empties the cache of refusals.
func (t *Throttle) Reload(cfg Config) {
	t.cfg.Store(&cfg)
	t.refusals.forget(func(refusal) bool { return true })
}

// Begin reads the name window, the address budget and the proof of a guess, and
// waits for its turn in the queue of its address. The error is a [*RetryAfter], a
// [*Refused], or one of ctx. The caller ends the attempt.
func (t *Throttle) Begin(ctx context.Context, g Guess) (*Attempt, error) {
	a := t.newAttempt(g)
	if err := a.begin(ctx); err != nil {
		t.counters.countRefusal(err)
		a.End()
		return nil, err
	}
	return a, nil
}

// Check returns the error with which Begin would refuse a guess without waiting in
// the queue of its address, or nil. It counts no password.
func (t *Throttle) Check(ctx context.Context, g Guess) error {
	err := t.newAttempt(g).readAndAdmit(ctx)
	t.counters.countRefusal(err)
	return err
}

// begin checks the rate limits, and waits for the attempt's turn in the queue of its
// address. A login with a proof does not wait.
func (a *Attempt) begin(ctx context.Context) error {
	a.running = a.address != "" && a.t.queues.tryEnter(a.address)
	if err := a.readAndAdmit(ctx); err != nil {
		return err
	}
	if a.req.hasProof {
		a.leaveQueue()
		return nil
	}
	if a.address == "" || a.running {
		return nil
	}
	if err := a.t.queues.enter(ctx, a.address); err != nil {
		return err
	}
	a.running = true
	return a.readAndAdmit(ctx) // logins before it may have failed
}

// readAndAdmit reads the rows of an attempt, and checks its rate limits.
func (a *Attempt) readAndAdmit(ctx context.Context) error {
	if r, ok := a.t.refusals.find(a.text, MAC{}); ok {
		return &Refused{r.cause}
	}
	if err := a.rows.readWritten(ctx); err != nil {
		return err
	}
	_, err := a.admit(a.rows.clock())
	return err
}

// Close waits until all outcomes that were settled are written. Outcomes that are
// settled later are written before Settle returns.
func (t *Throttle) Close() { t.writes.close() }
