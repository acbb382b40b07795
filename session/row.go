package session

import (
	"encoding/json"
	"time"

	"shorepass/providers"
)

// Row is a session as a redemption reads it. It is small on purpose.
type Row struct {
	Hash       Hash
	Kind       Kind
	Service    string // empty where it is good for several
	Stamp      string // the person's at the login
	Login      Login
	Limits     string // read by the policy alone
	Created    time.Time
	Expires    time.Time
	Used       time.Time
	Ended      time.Time
	Reason     Reason
	Person     int64
	ProviderID int64 // of the sign-in: a hash of the provider's name and fingerprint
	SignIn     SignIn
	Body       []byte // of the identity; nil where it was not asked for
}

// Login is what a session keeps of the login that it began with. What a session
// yields copies it.
type Login struct {
	Method providers.Method
	Name   string    // the login name as it was typed; empty where none was
	SID    string    // the provider's session (OpenID Connect Back-Channel Logout 1.0)
	ACR    string    // as [providers.Identity] has it
	AMR    []string  // as [providers.Identity] has it
	Time   time.Time // when the person authenticated
}

// AMRText returns the AMR as a store keeps it: a JSON list, or "" for none.
// [ParseAMR] reads it back.
func (l *Login) AMRText() string {
	if len(l.AMR) == 0 {
		return ""
	}
	text, err := json.Marshal(l.AMR)
	if err != nil {
		panic(err) // a list of strings can always be marshalled
	}
	return string(text)
}

// ParseAMR returns the list that AMRText returned text for.
func ParseAMR(text string) (amr []string, err error) {
	if text != "" {
		err = json.Unmarshal([]byte(text), &amr)
	}
	return amr, err
}

// Version tells the states of a person's identity apart: equal identities have equal
// versions, whoever's they are, and are decoded once.
type Version [16]byte

// StoredIdentity is an identity as a store keeps it: what a provider says of a person.
type StoredIdentity struct {
	Version Version
	User    string // the user name
	Body    []byte // everything
}

// Draft is a session to be made. It is that of a login, where the provider
// vouched for the person at Created with that Stamp and that Identity; or it is
// yielded by another session (Yields), whose sign-in it points to as it is.
type Draft struct {
	Row                     // Used and Ended are zero; of SignIn only the ID counts, where Yields
	Derived  bool           // it points to SignIn.ID; from here to Sealed nothing counts then
	Provider string         // its name
	Subject  string         // the person there
	LoginID  string         // the id of a sign-in for this login alone; empty for the one that logins of the person share
	Identity StoredIdentity // of the person
	Sealed   []byte         // the provider's refresh token; nil for none

	ProviderToken *Hash  // nil unless the session answers to a provider's refresh token
	Grant         *Hash  // of the grant that is spent for it; nil for none
	Client        Client // who logged in
	Label         string // what the person calls it
	MadeBy        string // who made it for the person; empty for the person

	// Admit is called, in the transaction, where the person has at least Bound
	// live sessions of the Kind. It says which of them give way; an error of it
	// is returned as it is, and nothing is kept. It is pure.
	Bound int
	Admit func(live []LiveSession) (Eviction, error)

	// KeepEnded is how many ended sessions of the person and Kind stay in the
	// lists, those that ended last; 0 for all. Those that answer to a provider's
	// refresh token are neither counted nor forgotten.
	KeepEnded int
}

// Next returns the sign-in's new columns at the login, for those that the row
// has, or for the zero SignIn where there is no row yet. It is pure, and called
// in the transaction that writes them, so that an answer meanwhile is not lost.
// Where it changes the Version, the Identity is kept, and where it changes the
// Token, what is Sealed.
func (d *Draft) Next(s SignIn) SignIn {
	return loggedIn(s, answer{outcome: outcomeVouched, stamp: d.Stamp, identity: &d.Identity, rotated: d.Sealed != nil}, d.Created)
}

// StampOn returns the stamp that the session keeps, on a sign-in as Next returned
// it: the login's, or the person's where the login showed none.
func (d *Draft) StampOn(s SignIn) string {
	if d.Stamp == "" {
		return s.Stamp
	}
	return d.Stamp
}

// LiveSession is a live session, as one that is made beside it sees it.
type LiveSession struct {
	Hash          Hash
	Created       time.Time
	Used          time.Time
	ProviderToken bool // it answers to a provider's refresh token
}

// Eviction is what gives way to a new session.
type Eviction struct {
	Ending
	End    []Hash // end, and stay in the lists
	Delete []Hash // are deleted
}

// AnswerUpdate is what an answer of a provider writes.
type AnswerUpdate struct {
	SignIn int64
	Lease  time.Time // until, as it was given to Lease

	// Next returns the sign-in's new columns for those that the row has. It is
	// pure, and called in the transaction that writes them, so that a login
	// meanwhile is not lost. Where it changes the Version, the Identity is kept,
	// and where it changes the Token, what is Sealed.
	Next     func(SignIn) SignIn
	Identity *StoredIdentity // nil keeps the old
	Sealed   []byte          // the provider's refresh token that took the old one's place; nil keeps it

	// Lifetime bounds, where it is not zero, how long after their making the
	// sessions of the sign-in expire.
	Lifetime time.Duration
}

// LastUse is one session's last redemption.
type LastUse struct {
	Token  Hash
	At     time.Time
	Client Client
}

// ListedSession is a session as a list shows it.
type ListedSession struct {
	Row
	Provider string
	Subject  string
	Identity StoredIdentity // its User is the person's, which another sign-in may have read since
	Client   Client
	Last     Client
	By       string // who ended it
	Label    string
	MadeBy   string
}

// ProviderToken is a provider's refresh token as it is sealed for a sign-in.
type ProviderToken struct {
	TokenVersion int64  // the SignIn.Token that it is
	LoginID      string // the id of a sign-in for one login alone, as the Draft has it
	Body         []byte // nil where there is none
}

// SealedToken is a sealed token of a provider, with what tells how it is sealed.
type SealedToken struct {
	SignIn     int64
	Provider   string
	ProviderID int64
	Subject    string
	LoginID    string // as the Draft has it
	Body       []byte
	Others     bool // another sign-in of the person has one, and a live session
}

// PendingEnd is a sign-in on which an end of sessions is pending.
type PendingEnd struct {
	Provider string
	Subject  string
	SignIn   SignIn
	Sessions []SessionStamp // that live
}

// SessionStamp is a live session and its stamp.
type SessionStamp struct {
	Hash  Hash
	Stamp string
}

// Grant is what waits to be spent for a session or a token: a one-time login
// password, an authorization code (RFC 6749, section 4.1.2). It points to the
// sign-in of the session that it was made from, and copies its Login.
type Grant struct {
	Hash    Hash
	Kind    Kind
	SignIn  int64
	Service string
	Stamp   string
	Login   Login
	Data    string // what its maker keeps with it
	Created time.Time
	Expires time.Time

	// Keep is how many grants of the person and Kind the store keeps, with this
	// one: those that were made last; 0 for all.
	Keep int
}

// StoredGrant is a grant as the store has it: as the session that it would make,
// whose Used is when it was spent.
type StoredGrant struct {
	Row
	Data string
}
