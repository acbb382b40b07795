package session

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"shorepass/providers"
)

var (
	// ErrNotFound says that the store has no such row.
	ErrNotFound = errors.New("no such session")

	// ErrFull says that the store has no room for another row.
	ErrFull = errors.New("no room")

	// ErrSpent says that a grant was spent already, or has expired.
	ErrSpent = errors.New("the grant was spent")

	// ErrUnavailable says that a store cannot be opened now and perhaps later: its
	// server is down or starting, or another process has locked its file. It is
	// [providers.ErrUnavailable].
	ErrUnavailable = providers.ErrUnavailable
)

// Store stores persons, their sign-ins and sessions, grants, and the settings
// that replicas share. It joins the small interfaces of its callers, for the
// code that opens or implements a store. It is safe for concurrent use, by
// several processes too. Times are UTC, to the millisecond; the zero Time is
// stored as such. An error other than those named means that the store is
// unavailable. When a method returns, what it wrote is durable, and every
// replica reads it.
//
// storetest runs this contract on every store.
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
	PersonStore
	DailyStore
	RevocableStore
	AdminStore
	Resealer
	HealthStore
	CountStore
	TimeSource

	// Close closes the store.
	Close() error
}

// NewerSchemaError says that a store was migrated to a schema that this program
// does not know.
type NewerSchemaError struct{ Is, Known int64 }

func (e *NewerSchemaError) Error() string {
	return fmt.Sprintf("its schema is version %d and this program knows %d; start the newer program, or put back a copy made before it ran", e.Is, e.Known)
}

// OlderSchemaError says that a store has an older schema than this program
// needs, in a process that does not migrate.
type OlderSchemaError struct{ Is, Needed int64 }

func (e *OlderSchemaError) Error() string {
	return fmt.Sprintf("its schema is version %d and this program needs %d; start the server first, which migrates it, or use the program that the server runs", e.Is, e.Needed)
}

// ErrNoStore says that a store does not exist yet, or is an empty file or
// database, in a process that creates none.
var ErrNoStore = errors.New("no server has made it yet; start the server first, or correct session.store")

// OldestSchema returns the name of the setting that the migration to a schema
// version writes: the lowest version that a program must know to serve the
// result, as decimal text.
func OldestSchema(version int64) string { return fmt.Sprintf("oldest_schema_%d", version) }

// MayServe checks whether a program that knows the schema up to version known
// may serve a store with schema version is. oldest is the value of the setting
// OldestSchema(is), nil for none. The error is a [NewerSchemaError].
func MayServe(is, known int64, oldest []byte) error {
	if is <= known {
		return nil
	}
	if least, err := strconv.ParseInt(string(oldest), 10, 64); err == nil && least > 0 && least <= known {
		return nil
	}
	return &NewerSchemaError{Is: is, Known: known}
}

// RequireSchema compares a store's schema version, 0 for none, with the version
// that this program needs, for a process that does not migrate. oldest is as in
// [MayServe]. The error is [ErrNoStore], an [OlderSchemaError] or a
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

// DescribeSchema says what a start makes of a store with schema version is, 0 for none,
// if [MayServe] allows it. known is the version that this program knows.
func DescribeSchema(is, known int64) string {
	switch {
	case is > known:
		return fmt.Sprintf("the schema is version %d, which this program can serve (it knows version %d)", is, known)
	case is == 0:
		return "the schema is missing; serve makes it"
	case is < known:
		return fmt.Sprintf("the schema is version %d; serve brings it to %d", is, known)
	}
	return fmt.Sprintf("the schema is version %d, as it should be", is)
}

// ErrUnreleasedSchema says that a store has a schema from before version 1,
// which cannot be migrated.
var ErrUnreleasedSchema = errors.New("it was made before the first release, and its schema cannot be brought to this version's; move it away and start the server, which makes a new one: everybody logs in once more")

// Millis encodes a time for a store: milliseconds since 1970, the zero Time as
// 0. [FromMillis] decodes it.
func Millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// FromMillis decodes the result of Millis.
func FromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// AddressText encodes the address for a store: "" if it is unknown.
// [ParseClient] decodes it.
func (c Client) AddressText() string {
	if !c.Address.IsValid() {
		return ""
	}
	return c.Address.String()
}

// ParseClient decodes a Client from the texts of a store.
func ParseClient(address, id, userAgent string) Client {
	addr, _ := netip.ParseAddr(address) // an address that does not parse is unknown
	return Client{Address: addr, ID: id, UserAgent: userAgent}
}
