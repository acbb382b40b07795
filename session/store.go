package session

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"shorepass/providers"
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
	// Now is the clock that all replicas go by.
	Now(ctx context.Context) (time.Time, error)

	// Find returns the session of that hash, or ErrNotFound; its Body is left
	// out where the person's facts are of the version that the caller knows. It
	// is on the way of each request: its cost must not grow with the number of
	// sessions.
	Find(ctx context.Context, token Hash, known Version) (*Row, error)

	// FindUpstream does the same for the hash of a provider's refresh token, and
	// always leaves Body out.
	FindUpstream(ctx context.Context, upstream Hash) (*Row, error)

	// Facts returns what is known of a person now, or ErrNotFound.
	Facts(ctx context.Context, person int64) (Facts, error)

	// Renewal returns what is sealed for a person, or nil.
	Renewal(ctx context.Context, person int64) ([]byte, error)

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

	// Lease reports whether the caller may ask the provider about a person,
	// until the given time: nobody else may at now, and nobody has since
	// asked, the caller's Person.Asked.
	Lease(ctx context.Context, person int64, asked, now, until time.Time) (bool, error)

	// Settle keeps what the provider answered to the holder of a lease, ends
	// the sessions that have to end, and gives the lease up. It returns how
	// many ended, or ErrNotFound when the lease is another's by now.
	Settle(ctx context.Context, s *Settlement) (int, error)

	// NoteEnding keeps what would have to be taken back of a provider's answer
	// that ends sessions or finds a person gone, before that is settled, in the
	// place of what was kept about the person before; of what is held, only
	// that it came.
	NoteEnding(ctx context.Context, provider string, undo Undo) error

	// NoteAnswers keeps how many other answers a replica had of a provider within
	// the minute before at, in the place of what it said before.
	NoteAnswers(ctx context.Context, provider, replica string, answers int, at time.Time) error

	// Trust returns what all replicas noted of a provider since a time, but for
	// the answers that the replica itself had.
	Trust(ctx context.Context, provider, replica string, since time.Time) (Trust, error)

	// Doubt has a provider not be believed until the given time, and after
	// every replica can see that takes back what was noted since another.
	// Sessions that ended for another reason stay ended, and so does what was
	// settled anew.
	Doubt(ctx context.Context, provider string, since, until time.Time) error

	// Used keeps when sessions were redeemed last.
	Used(ctx context.Context, uses []Use) error

	// End ends those of the sessions that live, with ReasonRevoked also those
	// that ended for one of the Refusals, and returns how many they were.
	End(ctx context.Context, tokens []Hash, why Reason, by string, at time.Time) (int, error)

	// List returns up to limit sessions that sel selects, its Group aside,
	// ordered by hash, each after the given one.
	List(ctx context.Context, sel Selector, after Hash, limit int) ([]Listed, error)

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

	// Sealed returns up to limit renewals by the order of their persons, each
	// after the given person. Reseal replaces one unless it has changed since.
	Sealed(ctx context.Context, after int64, limit int) ([]Sealed, error)
	Reseal(ctx context.Context, old Sealed, new []byte) error

	// Setting returns what is kept under a name. If there is nothing yet, it
	// is value from now on, where value is not nil. SetSetting replaces it.
	Setting(ctx context.Context, name string, value []byte) ([]byte, error)
	SetSetting(ctx context.Context, name string, value []byte) error

	// Ping reports whether the store answers.
	Ping(ctx context.Context) error

	// Close ends the work on the store.
	Close() error
}

// Row is a session as a redemption reads it. It is small on purpose.
type Row struct {
	Hash       Hash
	Kind       Kind
	Method     providers.Method // of the login
	Service    string
	ProviderID int64  // a hash of the provider's name and fingerprint, at the login
	Stamp      string // the person's at the login
	Created    time.Time
	Expires    time.Time
	Used       time.Time
	Ended      time.Time
	Why        Reason
	Person     Person
	Body       []byte // of the person's facts; nil where it was not asked for
}

// Person is the row that a provider's answers are kept on: one for all
// sessions of a person where the provider is asked per person, one for each
// session where it is asked per session.
type Person struct {
	ID      int64
	Version Version   // of its facts
	Stamp   string    // as last seen
	Checked time.Time // when the provider last vouched for the person
	Asked   time.Time // when it was last asked, whatever it answered
	Answer  Answer    // to that
	Gone    time.Time // since when it says that the person is gone
	Lease   time.Time // until then somebody is asking
}

// Answer is what a provider answered when it was last asked.
type Answer int

// The answers are kept as these numbers.
const (
	AnswerVouched  Answer = 0 // this is the person now
	AnswerDown     Answer = 1 // it cannot tell
	AnswerRejected Answer = 2 // not now
	AnswerGone     Answer = 3 // no such entry, or grant
	AnswerNever    Answer = 4 // it will never be able to tell
	AnswerHeld     Answer = 5 // it ends so many that it is not believed
	AnswerLost     Answer = 6 // it cannot tell, and did not vouch when it last could
)

// Version tells the states of a person's facts apart: equal facts have equal
// versions, whoever's they are, and are decoded once.
type Version [16]byte

// Facts are what a provider says of a person.
type Facts struct {
	Version Version
	User    string // the user name
	Body    []byte // everything
}

// Draft is a session to be made.
type Draft struct {
	Row             // Ended and Used are zero; of Person only Stamp and Checked count
	Upstream *Hash  // nil unless it answers to a provider's refresh token
	Who      int64  // the same for all sessions of a person at a provider
	Provider string // its name
	Subject  string // the person there
	Own      bool   // the provider is asked for this session alone
	Facts    Facts  // of the person
	Sealed   []byte // the renewal; nil for none
	Client   Client // who logged in
}

// Settlement is what came of asking a provider.
type Settlement struct {
	Person int64
	Lease  time.Time // until, as it was given to Lease
	At     time.Time
	Answer Answer
	Facts  *Facts // with AnswerVouched only
	Stamp  string // with AnswerVouched; empty keeps the old one
	Adopt  bool   // the person's sessions that began without a stamp take this one
	Sealed []byte // the renewal that took the old one's place; nil keeps it
	End    Reason // ends all sessions of the person; with ReasonStamp those of another Stamp. Empty: none

	// Lifetime bounds, where it is not zero, how long after their making the
	// sessions of the person expire.
	Lifetime time.Duration
}

// Undo names a settlement to take back: the person as it was before, of which
// only ID, Stamp, Checked and Gone count, and the reason for which its sessions
// ended at that time, if they did.
type Undo struct {
	Who    int64 // the same for all sessions of a person at a provider
	Person Person
	Why    Reason
	At     time.Time
	Held   bool // it was not believed in the first place, and only counts
}

// Trust is how far a provider can be believed.
type Trust struct {
	Answers int       // of the other replicas, that neither ended a session nor found a person gone
	Endings int       // persons about whom there was one that did, or would have, on all replicas
	Doubted time.Time // until when it is not believed; the zero Time where that was never said
}

// Use is one session's last redemption.
type Use struct {
	Token  Hash
	At     time.Time
	Client Client
}

// Listed is a session as a list shows it.
type Listed struct {
	Row
	Provider string
	Subject  string
	Facts    Facts
	Client   Client
	Last     Client
	By       string
}

// SweepTimes says what a sweep ends and forgets.
type SweepTimes struct {
	Now    time.Time // what expires until then has expired
	Idle   time.Time // what was redeemed, and not since then, is idle
	Unused time.Time // what was made before and never redeemed is unused
	Forget time.Time // what ended before is forgotten
	Noted  time.Time // what was noted of providers before, or ended without a use, is forgotten
}

// Sealed is a sealed renewal.
type Sealed struct {
	Person     int64
	Token      Hash // of the session
	Provider   string
	ProviderID int64 // as the Row has it
	Body       []byte
}

// NewerSchemaError says that a store was brought to a schema that this program
// does not know.
type NewerSchemaError struct{ Is, Known int64 }

func (e *NewerSchemaError) Error() string {
	return fmt.Sprintf("its schema is version %d and this program knows %d; start the newer program, or put back a copy made before it ran", e.Is, e.Known)
}

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
