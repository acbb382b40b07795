package session

import (
	"encoding/json"
	"time"

	"shorepass/providers"
)

// Row is a session as a redemption reads it. Lists read more ([ListedSession]),
// to keep the row of the fast path small.
type Row struct {
	Hash       Hash
	Kind       Kind
	Service    string // empty if not limited to one
	Stamp      string // of the person at the login
	Login      Login
	Limits     string // text that only the policy reads
	Created    time.Time
	Expires    time.Time
	LastUsed   time.Time
	Ended      time.Time
	Reason     Reason
	Person     int64
	ProviderID int64 // of the sign-in: a hash of the provider's name and fingerprint
	SignIn     SignIn
	Body       []byte // of the identity; nil if it was not read
}

// Login describes the login that a session began with. Derived sessions copy
// it.
type Login struct {
	Method providers.Method
	Name   string    // the login name as it was typed; empty where none was typed
	SID    string    // the provider's session (OpenID Connect Back-Channel Logout 1.0)
	ACR    string    // as in [providers.Identity]
	AMR    []string  // as in [providers.Identity]
	Time   time.Time // when the person authenticated
}

// AMRText encodes the AMR for a store: a JSON list, or "" for none. [ParseAMR]
// decodes it.
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

// ParseAMR decodes the text of AMRText.
func ParseAMR(text string) (amr []string, err error) {
	if text != "" {
		err = json.Unmarshal([]byte(text), &amr)
	}
	return amr, err
}

// Version is a hash of an encoded identity. It is the key of the cache of
// decoded identities.
type Version [16]byte

// StoredIdentity is an identity as a store has it, encoded.
type StoredIdentity struct {
	Version Version
	User    string // the user name
	Body    []byte // the whole identity, as JSON
}

// Draft is a session to be created. It comes from a login, where the provider
// vouched for the person at Created with this Stamp and Identity; or it is
// Derived from another session, and points to that session's sign-in.
type Draft struct {
	Row                     // LastUsed and Ended are zero; if Derived, only the ID of SignIn counts
	Derived  bool           // it points to SignIn.ID, and the fields down to Sealed do not count
	Provider string         // the provider's name
	Subject  string         // of the person
	LoginID  string         // the id of a sign-in for this login alone; empty for the person's shared sign-in
	Identity StoredIdentity // of the person
	Sealed   []byte         // the provider's refresh token; nil for none

	ProviderToken *Hash  // a provider's refresh token that redeems the session too; nil for none
	Grant         *Hash  // the grant that is spent for it; nil for none
	From          *Hash  // the session that it is derived from, which must be live; nil for none
	Replaces      *Hash  // the session that ends for it; nil for none
	Client        Client // who logged in
	Label         string // the person's name for it
	MadeBy        string // who created it for the person; empty for the person

	// Admit is called in the transaction if the person has at least Bound live
	// sessions of the Kind. It returns which of them are evicted; after an
	// error nothing is stored, and Create returns the error as it is. It is
	// pure. With a nil Admit there is no bound.
	Bound int
	Admit func(live []LiveSession) (Eviction, error)

	// KeepEnded is how many ended sessions of the person and Kind are retained,
	// the ones that ended last; 0 for all. Those with a ProviderToken are
	// neither counted nor deleted.
	KeepEnded int
}

// Next returns the sign-in's columns after the login, given the current ones,
// or the zero SignIn if there is no row yet. It is pure, and called in the
// transaction that writes the result, so that a concurrent answer is not lost.
// If it changes the Version, the store writes Identity; if it changes the
// TokenVersion, Sealed.
func (d *Draft) Next(s SignIn) SignIn {
	return loggedIn(s, answer{outcome: outcomeVouched, stamp: d.Stamp, identity: &d.Identity, rotated: d.Sealed != nil}, d.Created)
}

// StampOn returns the stamp of the session, given the sign-in that Next
// returned: the login's, or the sign-in's if the login showed none.
func (d *Draft) StampOn(s SignIn) string {
	if d.Stamp == "" {
		return s.Stamp
	}
	return d.Stamp
}

// LiveSession is a live session of the person, for Admit to choose from.
type LiveSession struct {
	Hash          Hash
	Created       time.Time
	LastUsed      time.Time
	ProviderToken bool // a provider's refresh token redeems it too
}

// Eviction is the set of sessions that are evicted for a new one.
type Eviction struct {
	Ending
	End    []Hash // are ended, and stay in lists
	Delete []Hash // are deleted
}

// AnswerUpdate is the write of a provider's answer.
type AnswerUpdate struct {
	SignIn     int64
	LeaseUntil time.Time // the end of the caller's lease

	// Next returns the sign-in's columns after the answer, given the current
	// ones. It is pure, and called in the transaction that writes the result,
	// so that a concurrent login is not lost. If it changes the Version, the
	// store writes Identity; if it changes the TokenVersion, Sealed.
	Next     func(SignIn) SignIn
	Identity *StoredIdentity // nil if unchanged
	Sealed   []byte          // the new refresh token of the provider; nil if unchanged

	// Lifetime, if not zero, bounds the lifetime of the sign-in's sessions,
	// counted from their creation.
	Lifetime time.Duration
}

// LastUse is the last redemption of a session.
type LastUse struct {
	Token  Hash
	At     time.Time
	Client Client
}

// ListedSession is a session with all that a list shows.
type ListedSession struct {
	Row
	Provider string
	Subject  string
	Identity StoredIdentity // its User is the person's latest, perhaps from another sign-in
	Client   Client         // of the login
	Last     Client         // of the last redemption
	By       string         // who revoked it
	Label    string
	MadeBy   string
}

// ProviderToken is the sealed provider's refresh token of a sign-in.
type ProviderToken struct {
	TokenVersion int64  // SignIn.TokenVersion of this token
	LoginID      string // as in Draft
	Body         []byte // nil for none
}

// SealedToken is a sealed provider's refresh token, with the names that it is
// sealed under.
type SealedToken struct {
	SignIn     int64
	Provider   string
	ProviderID int64
	Subject    string
	LoginID    string // as in Draft
	Body       []byte
	Others     bool // another sign-in of the person has a token and a live session
}

// PendingEnd is a sign-in on which an end of sessions is pending.
type PendingEnd struct {
	Provider string
	Subject  string
	SignIn   SignIn
	Sessions []SessionStamp // the live ones
}

// SessionStamp is a session and its stamp.
type SessionStamp struct {
	Hash  Hash
	Stamp string
}

// Grant is a secret that can be exchanged once for a session or a token: a
// one-time password, or an authorization code (RFC 6749, section 4.1.2).
// It points to the sign-in of the session that it was made from, and copies its
// Login.
type Grant struct {
	Hash    Hash
	Kind    Kind
	SignIn  int64
	Service string
	Stamp   string
	Login   Login
	From    *Hash  // the session that it is made from, which must be live; nil for none
	Data    string // of the code that made it
	Created time.Time
	Expires time.Time

	// Keep is how many grants of the person and Kind the store retains, this
	// one included: the latest; 0 for all.
	Keep int
}

// StoredGrant is a grant as the store has it. Its Row is the session that it
// would make; LastUsed is when it was spent.
type StoredGrant struct {
	Row
	Data string
}
