// Package throttle is the rate limit of wrong passwords, so that a directory
// hears of few enough of them to lock no account, and an address can try few
// enough of them to find none.
//
// A login is an [Attempt]. It begins with a [Guess], before any provider is
// asked; once the account behind the name is known it reserves an entry, before
// the password is sent or checked anywhere; and it is settled by what came of
// it:
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
//	a.Settle(throttle.Proved, throttle.Cause{}) // or what else it was
//
// Three limits hold an attempt. The name window counts distinct passwords of a
// login name, whether it exists or not; the account window, those that may have
// reached the provider; the address budget, failures from one address. The rules
// are pure functions (rule.go, budget.go). A window is a row of a [Store], which is
// swapped only if it has not changed since it was read (compare-and-swap), so that
// replicas which share the store share the limit. While the store does not answer
// each replica counts for itself, with half the limit.
//
// A proof (login name and address) says that the person logged in there within a
// day: the address budget does not hold the login then, and one entry more of
// each window is open to it.
//
// The package knows nothing of providers: its caller says which account a name
// belongs to, and what became of the password.
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

// Limit is the limit of a window: how many distinct passwords it has room for,
// and how long it holds them.
type Limit struct {
	Passwords int
	Window    time.Duration
}

// Guess is a secret and the login name that it came with.
type Guess struct {
	// Name is the key of the login name, without a configured domain: the
	// name window is its own.
	Name string

	// Text is the login name as it goes to providers. Guesses of equal Text
	// and Secret are the same guess.
	Text string

	// Token names the kind of token that Secret is, and is empty for a
	// password. A token counts for the address alone.
	Token string

	// Secret is never empty.
	Secret secret.Text

	// Address is the client's; the zero Addr where it is unknown, which has
	// neither a budget nor proofs.
	Address netip.Addr

	// Limit is the limit of the name window: the smallest number and the
	// longest window of the providers whose match has the name.
	Limit Limit
}

// Config holds the options, which a reload can change.
type Config struct {
	// Networks are counted as one address each; they do not overlap. Any other
	// address is one by itself; of IPv6, its /64.
	Networks []netip.Prefix

	// AddressFailures is how many distinct failures (name and password) an
	// address may have in ten minutes.
	AddressFailures int

	// ConfigHash is a hash of the provider tables. Address budgets start anew
	// where it differs, so that a corrected configuration has none used up.
	ConfigHash []byte
}

// RetryAfter is the error of a login that was not tried, because too many
// before it failed. The client gets 429.
type RetryAfter struct {
	After time.Duration // until there is room
	Limit string        // the limit that is full: "name" or "address", for the log
}

func (e *RetryAfter) Error() string {
	return fmt.Sprintf("too many wrong passwords for this %s, retry after %s", e.Limit, e.After.Round(time.Second))
}

// Refused is the error of a guess whose equal was refused in this process a
// moment ago, with no state of an account to tell whether it would be refused
// again. The client gets 401, as it did then.
type Refused struct {
	Cause Cause // of the first refusal
}

func (e *Refused) Error() string {
	return fmt.Sprintf("the same was refused within the last %s: %s", refusalTTL, e.Cause.Reason)
}

// ErrUnanswered says that an account has as many passwords as its window holds
// that may have reached its provider, which answered none of them. The client
// gets 503.
var ErrUnanswered = errors.New("too many passwords for this account may have reached its provider and were not answered")

// Throttle is the rate limit. It is safe for concurrent use. It outlives
// reloads.
type Throttle struct {
	store  *breakerStore
	memory *MemoryStore // while the store does not answer
	hasher *Hasher
	cfg    atomic.Pointer[Config]

	queues   addressQueues
	calls    calls
	refusals *refusals
	proofs   proofCache
	writes   writes
	asking   atomic.Int64
}

// retrySoon is the wait of a login that is held up by others from its address which
// are under way.
const retrySoon = 3 * time.Second

// New returns a throttle whose windows are in store, under HMACs of a secret key
// of at least 32 bytes, which all replicas have and the store has not.
func New(store Store, key []byte, cfg Config, log *slog.Logger) *Throttle {
	t := &Throttle{
		store:    &breakerStore{store: store, log: log},
		memory:   NewMemoryStore(),
		hasher:   NewHasher(key),
		queues:   addressQueues{queues: make(map[string]*addressQueue)},
		calls:    calls{calls: make(map[callKey]*call)},
		refusals: newRefusals(),
		proofs:   proofCache{cache: lru.New[MAC, time.Time](maxCachedProofs)},
		writes:   newWrites(),
	}
	t.cfg.Store(&cfg)
	return t
}

// Reload puts a configuration in the place of the last, and empties the cache of
// refusals.
func (t *Throttle) Reload(cfg Config) {
	t.cfg.Store(&cfg)
	t.refusals.forget(func(refusal) bool { return true })
}

// Begin reads the name window, the address budget and the proof of a guess, and
// waits for its turn among those from its address. The error is a [*RetryAfter], a
// [*Refused], or one of ctx. The caller ends the attempt.
func (t *Throttle) Begin(ctx context.Context, g Guess) (*Attempt, error) {
	a := t.newAttempt(g)
	if err := a.begin(ctx); err != nil {
		a.End()
		return nil, err
	}
	return a, nil
}

// Check returns the error with which Begin would refuse a guess that waits for
// no turn, or nil. It counts nothing.
func (t *Throttle) Check(ctx context.Context, g Guess) error {
	return t.newAttempt(g).readAndAdmit(ctx)
}

// begin holds a login to its limits, and to its turn among those from its place.
// A login with a proof waits for no turn.
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
	return a.readAndAdmit(ctx) // those that went first may have failed
}

// readAndAdmit reads the rows of a login, and holds it to them.
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

// Close waits until all that was settled is written. Outcomes that are settled after
// it are written at once.
func (t *Throttle) Close() { t.writes.close() }

// Stats are the counts of what is under way at this moment.
type Stats struct {
	Asking    int // passwords that are being proved
	Addresses int // addresses from which a login is under way
}

// Stats returns what is under way.
func (t *Throttle) Stats() Stats {
	t.queues.mu.Lock()
	defer t.queues.mu.Unlock()
	return Stats{Asking: int(t.asking.Load()), Addresses: len(t.queues.queues)}
}
