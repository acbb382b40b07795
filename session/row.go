package session

import (
	"time"

	"shorepass/providers"
)

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

// Version tells the states of a person's facts apart: equal facts have equal
// versions, whoever's they are, and are decoded once.
type Version [16]byte

// Facts are what a provider says of a person.
type Facts struct {
	Version Version
	User    string // the user name
	Body    []byte // everything
}

// Draft is a session to be made, and the login that it is made at: the provider
// vouched for the person at Created, with that Stamp and those Facts.
type Draft struct {
	Row             // Ended and Used are zero; Person is that of a first login, which no store reads
	Upstream *Hash  // nil unless it answers to a provider's refresh token
	Who      int64  // the same for all sessions of a person at a provider
	Provider string // its name
	Subject  string // the person there
	Own      bool   // the provider is asked for this session alone
	Facts    Facts  // of the person
	Sealed   []byte // the renewal; nil for none
	Client   Client // who logged in
	Evict    Ending // of the person's sessions over per_person
}

// Next returns the person's new columns for those that the row has, or for the
// zero Person where there is no row yet. It is pure, and called in the
// transaction that writes them, so that an answer meanwhile is not lost. Where it
// changes a column, the Facts are written too.
func (d *Draft) Next(p Person) Person {
	return loggedIn(p, answer{outcome: outcomeVouched, stamp: d.Stamp, facts: &d.Facts}, d.Created)
}

// Settlement is what an answer of a provider writes.
type Settlement struct {
	Person int64
	Lease  time.Time // until, as it was given to Lease

	// Next returns the person's new columns for those that the row has. It is
	// pure, and called in the transaction that writes them, so that a login
	// meanwhile is not lost.
	Next func(Person) Person

	Facts  *Facts // nil keeps the old
	Sealed []byte // the renewal that took the old one's place; nil keeps it
	Adopt  string // the stamp of the person's sessions that have none; empty: they go on without

	// Lifetime bounds, where it is not zero, how long after their making the
	// sessions of the person expire.
	Lifetime time.Duration

	End   Ending // of the person's sessions; without a Why none end
	Spare string // sessions with this stamp, and those without one, do not end; empty spares none
}

// Undo names a settlement to take back: the person as it was before, of which
// only ID, Stamp, Checked and Gone count, and the reason for which its sessions
// ended at that time, if they did.
type Undo struct {
	Who    int64 // the same for all sessions of a person at a provider
	Person Person
	Why    Reason
	At     time.Time
	Held   bool // it was not believed in the first place, and is only counted
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

// Sealed is a sealed renewal.
type Sealed struct {
	Person     int64
	Token      Hash // of the session
	Provider   string
	ProviderID int64 // as the Row has it
	Body       []byte
}
