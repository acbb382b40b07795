package session

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"time"
)

var (
	// ErrNotFound says that the store has no such row.
	ErrNotFound = errors.New("no such session")

	// ErrFull says that the store has no room for what is new.
	ErrFull = errors.New("no room")

	// ErrSpent says that a grant was spent already, or is over.
	ErrSpent = errors.New("the grant was spent")
)

// Store keeps persons, their sign-ins and sessions, grants, and what replicas
// agree upon. It joins the small interfaces of its callers, for the code that opens or
// implements one. It is safe for concurrent use, by several processes too. Times
// are UTC, kept to the millisecond; the zero Time is kept as such. An error other
// than those named means that the store cannot tell. What a method wrote is
// durable, and seen by every replica, when it returns.
//
// storetest plays this contract on every store.
type Store interface {
	SessionStore
	IdentityStore
	FirstUseStore
	GrantStore
	LeaseStore
	AnswerStore
	BreakerStore
	UseStore
	SweepStore
	DailyStore
	RevocableStore
	AdminStore
	Resealer
	Settings
	HealthStore
	TimeSource

	// Close ends the work on the store.
	Close() error
}

// NewerSchemaError says that a store was brought to a schema that this program
// does not know.
type NewerSchemaError struct{ Is, Known int64 }

func (e *NewerSchemaError) Error() string {
	return fmt.Sprintf("its schema is version %d and this program knows %d; start the newer program, or put back a copy made before it ran", e.Is, e.Known)
}

// OlderSchemaError says that a store has an older schema than this program needs,
// and that the process which opened it does not migrate.
type OlderSchemaError struct{ Is, Needed int64 }

func (e *OlderSchemaError) Error() string {
	return fmt.Sprintf("its schema is version %d and this program needs %d; start the server first, which migrates it, or use the program that the server runs", e.Is, e.Needed)
}

// ErrNoStore says that a store does not exist yet, or is an empty file or
// database, and that the process which opened it makes none.
var ErrNoStore = errors.New("no server has made it yet; start the server first, or correct session.store")

// OldestSchema is the name of the setting that the migration to a version of the
// schema writes: which version a program must know at least to serve what it
// leaves, as decimal text.
func OldestSchema(version int64) string { return fmt.Sprintf("oldest_schema_%d", version) }

// MayServe reports whether a program that knows the schema up to the version
// known may serve a store whose schema is at the version is, and whose setting
// OldestSchema(is) is oldest, nil for none. The error is a [NewerSchemaError].
func MayServe(is, known int64, oldest []byte) error {
	if is <= known {
		return nil
	}
	if least, err := strconv.ParseInt(string(oldest), 10, 64); err == nil && least > 0 && least <= known {
		return nil
	}
	return &NewerSchemaError{Is: is, Known: known}
}

// RequireSchema compares the version of a store's schema, 0 for none, with the
// one that this program needs, for a process that does not migrate. oldest is as
// in [MayServe]. The error is [ErrNoStore], an [OlderSchemaError] or a
// [NewerSchemaError].
func RequireSchema(is, needed int64, oldest []byte) error {
	switch {
	case is == 0:
		return ErrNoStore
	case is < needed:
		return &OlderSchemaError{Is: is, Needed: needed}
	}
	return MayServe(is, needed, oldest)
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
