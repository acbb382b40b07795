package session

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

var (
	// ErrNotFound says that the store has no such row.
	ErrNotFound = errors.New("no such session")

	// ErrFull says that the store has no room for what is new.
	ErrFull = errors.New("no room")
)

// Store keeps sessions, the persons they belong to, and what replicas agree
// upon. It is safe for concurrent use, by several processes too. Times are
// UTC, kept to the millisecond; the zero Time is kept as such. An error other
// than those named means that the store cannot tell. What a method wrote is
// durable, and seen by every replica, when it returns.
//
// storetest plays this contract on every store.
type Store interface {
	Finder
	Creator
	AnswerKeeper
	TrustKeeper
	Ender
	Sweeper
	Resealer
	Settings

	// Now is the clock that all replicas go by.
	Now(ctx context.Context) (time.Time, error)

	// Ping reports whether the store answers.
	Ping(ctx context.Context) error

	// Close ends the work on the store.
	Close() error
}

// Finder is what a redemption asks. It is on the way of each request: its cost
// must not grow with the number of sessions.
type Finder interface {
	// Find returns the session of that hash, or ErrNotFound; its Body is left
	// out where the person's facts are of the version that the caller knows.
	Find(ctx context.Context, token Hash, known Version) (*Row, error)

	// FindUpstream does the same for the hash of a provider's refresh token, and
	// always leaves Body out.
	FindUpstream(ctx context.Context, upstream Hash) (*Row, error)

	// Facts returns what is known of a person now, or ErrNotFound.
	Facts(ctx context.Context, person int64) (Facts, error)
}

// Creator is what a login asks.
type Creator interface {
	// Create keeps a new session and what its login found out about the
	// person, who is gone no longer. Sessions of the same Who beyond perPerson
	// end with ReasonPerPerson: those never redeemed first, the oldest first,
	// the new one never. A claim on its Upstream is over.
	Create(ctx context.Context, draft *Draft, perPerson int) error

	// Claim reports whether the caller may ask a provider about a refresh
	// token that has no session yet, until the given time and unless somebody
	// else may. Release gives that up.
	Claim(ctx context.Context, upstream Hash, now, until time.Time) (bool, error)
	Release(ctx context.Context, upstream Hash) error
}

// AnswerKeeper is what is asked before and after a provider is.
type AnswerKeeper interface {
	// Lease reports whether the caller may ask the provider about a person,
	// until the given time: nobody else may at now, and nobody has asked since
	// asked, the caller's Person.Asked. Who may gives that up by calling it with
	// that time as now, and now as until.
	Lease(ctx context.Context, person int64, asked, now, until time.Time) (bool, error)

	// Renewal returns what is sealed for a person, or nil.
	Renewal(ctx context.Context, person int64) ([]byte, error)

	// Settle keeps what the provider answered to the holder of a lease, ends
	// the sessions that have to end, and gives the lease up. It returns how
	// many ended, or ErrNotFound when the lease is another's by now.
	Settle(ctx context.Context, s *Settlement) (int, error)
}

// TrustKeeper is how replicas tell each other how far a provider can be
// believed.
type TrustKeeper interface {
	// NoteEnding keeps what would have to be taken back of a provider's answer
	// that ends sessions or finds a person gone, before that is settled, in the
	// place of what was kept about the person before; of what is held, only
	// that it came.
	NoteEnding(ctx context.Context, provider string, undo Undo) error

	// NoteAnswers keeps how many other answers a replica had from a provider
	// within the minute before at, in the place of what it said before.
	NoteAnswers(ctx context.Context, provider, replica string, answers int, at time.Time) error

	// Trust returns what all replicas noted of a provider since a time, except
	// the answers that the replica itself had.
	Trust(ctx context.Context, provider, replica string, since time.Time) (Trust, error)

	// Doubt has a provider not be believed until the given time and, once every
	// replica can see that, takes back what was noted after since. Sessions that
	// ended for another reason stay ended, and so does what was settled anew.
	Doubt(ctx context.Context, provider string, since, until time.Time) error
}

// Ender is what lists and revocations ask.
type Ender interface {
	// List returns up to limit sessions that sel selects, ordered by hash, each
	// after the given one. With a Group it may go by GroupText, which some who
	// are not in it have too.
	List(ctx context.Context, sel Selector, after Hash, limit int) ([]Listed, error)

	// End ends those of the sessions that live, with ReasonRevoked also those
	// that ended for one of the Refusals, and returns how many there were.
	End(ctx context.Context, tokens []Hash, why Reason, by string, at time.Time) (int, error)
}

// Sweeper is what is done from time to time, and no request waits for.
type Sweeper interface {
	// Used keeps when sessions were redeemed last.
	Used(ctx context.Context, uses []Use) error

	// Sweep ends up to limit sessions whose time has come, and forgets up to
	// limit that ended long ago, or before they were ever used and with no
	// renewal left to revoke, with what nobody needs any more. One that
	// answers to a provider's refresh token is never forgotten: that token may
	// still be good there, and would make another. It returns how many rows it
	// touched: less than limit when nothing is left to do.
	Sweep(ctx context.Context, times SweepTimes, limit int) (int, error)

	// TakeRevocable takes up to limit renewals out of the store that their
	// providers are to revoke: those whose sessions were revoked, or ended for
	// another reason before the given time.
	TakeRevocable(ctx context.Context, before time.Time, limit int) ([]Sealed, error)
}

// Resealer is what another sealing key is put in place by.
type Resealer interface {
	// Sealed returns up to limit renewals in the order of their persons, each
	// after the given person. Reseal replaces one unless it has changed since.
	Sealed(ctx context.Context, after int64, limit int) ([]Sealed, error)
	Reseal(ctx context.Context, old Sealed, new []byte) error
}

// Settings are what replicas agree upon, by name.
type Settings interface {
	// Setting returns what is kept under a name. If there is nothing yet, it
	// is value from now on, where value is not nil. SetSetting replaces it.
	Setting(ctx context.Context, name string, value []byte) ([]byte, error)
	SetSetting(ctx context.Context, name string, value []byte) error
}

// NewerSchemaError says that a store was brought to a schema that this program
// does not know.
type NewerSchemaError struct{ Is, Known int64 }

func (e *NewerSchemaError) Error() string {
	return fmt.Sprintf("its schema is version %d and this program knows %d; start the newer program, or put back a copy made before it ran", e.Is, e.Known)
}

// ErrUnreleasedSchema says that a store was made by a program older than version
// 1 of the schema, which was numbered apart and cannot be brought to it.
var ErrUnreleasedSchema = errors.New("it was made before the first release, and its schema cannot be brought to this version's; move it away and start the server, which makes a new one: everybody logs in once more")

// Millis returns a time as a store keeps it: in milliseconds since 1970, the
// zero Time as 0. [FromMillis] reads it back.
func Millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// FromMillis is the time that Millis returned ms for, to the millisecond.
func FromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// AddressText returns the address as a store keeps it, or "" when it is
// unknown. [ParseClient] reads it back.
func (c Client) AddressText() string {
	if !c.Address.IsValid() {
		return ""
	}
	return c.Address.String()
}

// ParseClient is the Client that a store kept as texts.
func ParseClient(address, id, userAgent string) Client {
	addr, _ := netip.ParseAddr(address) // what does not parse is unknown
	return Client{Address: addr, ID: id, UserAgent: userAgent}
}
