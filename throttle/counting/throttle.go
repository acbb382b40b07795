// Package counting is the rate limit of wrong passwords, so that a directory
// hears of few enough of them to lock no account.
//
// A login is an [Attempt]. It begins with a [Guess], the name and the secret
// that were typed. Once the account behind the name is known, the attempt is
// admitted or refused, before the password is sent or checked anywhere; after
// that it fails or succeeds:
//
//	a, err := t.Begin(ctx, guess)
//	if err != nil {
//		return err // ErrRefused, or a *RetryAfter
//	}
//	defer a.End()
//	// … look the account up …
//	if err := a.Admit(ctx, provider, subject, limit); err != nil {
//		return err
//	}
//	// … prove the password …
//	a.Succeeded(ctx) // or a.Failed(ctx)
//
// Wrong passwords are counted in [Counters]: of this process ([LocalCounters]),
// or shared by replicas through a [CounterStore] ([SharedCounters]). They hold
// names and secrets as a [Mark] only.
//
// The package knows nothing of providers: its caller says which account a name
// belongs to, and whether a password is right.
package counting

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"shorepass/internal/lru"
	"shorepass/internal/secret"
)

// Limits of the throttle, but for the number of distinct wrong passwords that an
// account may have, which is an argument of Admit.
const (
	// refusedFor is how long a refused password is refused here, and how
	// long it counts.
	refusedFor = 10 * time.Minute

	// provedFor is how long a login keeps an account's place of login open
	// against strangers who guess elsewhere.
	provedFor = 24 * time.Hour

	// noteProofEvery spares the counters a write at each login.
	noteProofEvery = time.Hour

	// addressFailures is how many distinct failures (name and password) an
	// address may have in refusedFor; of IPv6, a /64. It is wide, since a
	// whole office or CI fleet may stand behind one address, and whoever logged
	// in from there within a day is neither held up by it nor counted in it.
	addressFailures = 30

	// writeLimit is what counting a failure may take. It happens even when
	// whoever failed is gone.
	writeLimit = 2 * time.Second

	maxAliases = 10_000
	maxProofs  = 10_000
)

// RetryAfter is the error of a login that was not tried, because too many
// before it failed. The client gets 429.
type RetryAfter struct {
	After time.Duration
	What  string // what had too many: "account" or "address", for the log
}

func (e *RetryAfter) Error() string {
	return fmt.Sprintf("too many wrong passwords for this %s, retry after %s", e.What, e.After.Round(time.Second))
}

// ErrRefused says that the same secret was refused before and is not tried
// again. The client gets 401, as it did then.
var ErrRefused = fmt.Errorf("the same was refused within the last %s", refusedFor)

// Guess is a secret and the login name that it came with.
type Guess struct {
	Login    string      // what was typed, normalized
	Skeleton string      // the login name as the most forgiving provider compares it
	Token    string      // which kind of token the secret is; "" for a password
	Secret   secret.Text // never empty
	Address  netip.Addr  // the client's; the zero Addr when it is unknown
	Proved   bool        // an equal guess was proved a moment ago: this one waits for no turn
}

// Throttle counts wrong passwords. It is safe for concurrent use.
//
// An account is known by the provider's subject, however its name was typed. Where
// no provider knows a subject it is known by the login name, all spellings of it
// that some provider may take for one: an account that does not exist too, since
// a 429 must not tell which ones do. Of distinct passwords only as many are asked
// about at once as the limit leaves room for, since each could be wrong. A place
// (an address, of IPv6 a /64) where the account was proved within the last day
// has a count of its own, and is held to no other.
//
// Counters are read before a provider is asked, once where the account is known
// already, and written after it said no, or (once an hour) that a person was
// proved at a place. Only a password from a place where its account was not
// proved is written down before as well: replicas see no inquiries but their
// own, and guesses on all of them at the same moment would each be the first.
type Throttle struct {
	counters Counters
	marks    *Marker
	heldFor  time.Duration // TTL of a password being tried in the counters, should this process die

	inquiries inquiries
	places    places

	mu      sync.Mutex
	aliases *lru.Cache[Mark, account]   // login to the account that a provider found under it
	proofs  *lru.Cache[Mark, time.Time] // proofs that this process wrote, and when
}

// account is what wrong passwords are counted under.
type account struct {
	mark     Mark
	limit    int  // of distinct wrong passwords
	nameless bool // known by the login name alone
}

// New returns a throttle that counts in counters. tryLimit is how long a
// password may be under way between Admit and Succeeded or Failed.
func New(counters Counters, tryLimit time.Duration) *Throttle {
	return &Throttle{
		counters:  counters,
		marks:     NewMarker(counters.Key()),
		heldFor:   tryLimit + writeLimit + 3*time.Second,
		inquiries: inquiries{underWay: make(map[Mark]map[Mark]*inquiry)},
		places:    places{underWay: make(map[string]*place)},
		aliases:   lru.New[Mark, account](maxAliases),
		proofs:    lru.New[Mark, time.Time](maxProofs),
	}
}

// newAttempt returns the attempt of a guess, of which nothing is known yet.
func (t *Throttle) newAttempt(g Guess) *Attempt {
	a := &Attempt{t: t, place: placeOf(g.Address), right: g.Proved,
		login:  t.marks.Mark("login", g.Login),
		name:   t.marks.Mark("name", g.Skeleton),
		secret: t.marks.Mark("secret", g.Secret.Reveal()),
	}
	if g.Token != "" {
		// A token is nobody's guess at a name: it has a bucket of its own.
		a.login = t.marks.Mark(g.Token, g.Login, g.Secret.Reveal())
	}
	return a
}

// Check returns the error with which Begin would refuse a guess that waits for
// no turn, or nil. It counts nothing.
func (t *Throttle) Check(ctx context.Context, g Guess) error {
	_, err := t.look(ctx, t.newAttempt(g))
	return err
}

// Begin reads what is known of a login before any provider is asked. The error
// is ErrRefused, a [*RetryAfter], or one of ctx. The caller ends the attempt.
func (t *Throttle) Begin(ctx context.Context, g Guess) (*Attempt, error) {
	a := t.newAttempt(g)
	t.mu.Lock()
	alias, known := t.aliases.Get(a.login)
	t.mu.Unlock()
	if known {
		a.ahead.buckets = a.buckets(alias)
	}
	if err := t.enter(ctx, a); err != nil {
		return nil, err
	}
	if !known {
		return a, nil
	}
	if err := a.admit(ctx, alias); err != nil {
		a.End()
		return nil, err
	}
	return a, nil
}

// enter holds a login to its place: to the budget of failures that the address
// has, and to its turn among those who come from there at once.
func (t *Throttle) enter(ctx context.Context, a *Attempt) error {
	if a.place == "" {
		_, err := t.look(ctx, a)
		return err
	}
	a.inside = t.places.tryEnter(a.place)
	proved, err := t.look(ctx, a)
	if err == nil && !proved && !a.inside {
		if err = t.places.enter(ctx, a.place); err == nil {
			a.inside = true
			_, err = t.look(ctx, a) // those who went first may have failed
		}
	}
	if proved || err != nil {
		a.End()
	}
	return err
}

// look reads the counters of the login itself, and with them those of the
// account that it will ask about. proved says that it was proved at this place.
func (t *Throttle) look(ctx context.Context, a *Attempt) (proved bool, err error) {
	own := []Mark{t.refused(a.login), t.address(a.place), t.proved(a.login, a.place)}
	found := t.counters.Marks(ctx, append(own, a.ahead.buckets...))
	found, a.ahead.found = found[:len(own)], found[len(own):]
	if holds(found[0], a.secret) {
		return false, ErrRefused
	}
	if a.place == "" || len(found[2]) > 0 {
		return a.place != "", nil
	}
	return false, tooMany("address", found[1], addressFailures)
}

// Stats are the counts of what is under way at this moment.
type Stats struct {
	Accounts int // of which a password is being tried
	Places   int // from which a login is under way
}

// Stats returns what is under way.
func (t *Throttle) Stats() Stats {
	t.inquiries.mu.Lock()
	accounts := len(t.inquiries.underWay)
	t.inquiries.mu.Unlock()
	t.places.mu.Lock()
	defer t.places.mu.Unlock()
	return Stats{accounts, len(t.places.underWay)}
}

// newProof reports whether one of the proofs was not written from here lately.
func (t *Throttle) newProof(proofs []Mark) bool {
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	isNew := false
	for _, p := range proofs {
		if written, ok := t.proofs.Get(p); !ok || now.Sub(written) >= noteProofEvery {
			t.proofs.Put(p, now)
			isNew = true
		}
	}
	return isNew
}

func (t *Throttle) refused(who Mark) Mark { return t.marks.Mark("refused", string(who[:])) }
func (t *Throttle) wrong(who Mark, at string) Mark {
	return t.marks.Mark("wrong", string(who[:]), at) // at "" is everywhere that has no count of its own
}
func (t *Throttle) trying(who Mark) Mark   { return t.marks.Mark("trying", string(who[:])) }
func (t *Throttle) address(at string) Mark { return t.marks.Mark("address", at) }
func (t *Throttle) proved(who Mark, at string) Mark {
	return t.marks.Mark("proved", string(who[:]), at)
}

// placeOf is the part of an address that is throttled as one: somebody who has
// an IPv6 address usually has all of its /64.
func placeOf(addr netip.Addr) string {
	if !addr.IsValid() {
		return ""
	}
	addr = addr.Unmap().WithZone("")
	if addr.Is4() {
		return addr.String()
	}
	prefix, _ := addr.Prefix(64) // fails only for an address that is not valid
	return prefix.String()
}

func holds(marks []Counted, m Mark) bool {
	return slices.ContainsFunc(marks, func(c Counted) bool { return c.Mark == m })
}

// tooMany returns a RetryAfter when marks are limit or more: until so many of
// them are over that one more has room.
func tooMany(what string, marks []Counted, limit int) error {
	if len(marks) < limit {
		return nil
	}
	ends := make([]time.Time, len(marks))
	for i, m := range marks {
		ends[i] = m.Until
	}
	slices.SortFunc(ends, time.Time.Compare)
	return &RetryAfter{After: max(time.Until(ends[len(marks)-limit]), time.Second), What: what}
}
