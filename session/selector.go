package session

import (
	"encoding/json"
	"slices"
	"time"

	"shorepass/providers"
)

// Selector selects sessions: all fields that are set must match. The zero
// Selector selects every session in a list, and is refused in a revocation.
type Selector struct {
	ID       string    // one session
	User     string    // the user name, exactly
	Provider string    // the provider's name
	Subject  string    // of the person at the provider
	Group    string    // a group that the person was in when last checked
	SID      string    // of the provider's session that the login was part of (OpenID Connect Back-Channel Logout 1.0); with Provider
	NoSID    bool      // of logins at which the provider named no session of its own
	Kind     Kind      // of tokens
	Before   time.Time // created before this
	Except   string    // ID of a session that is left out; its one-time passwords are not
	Ended    bool      // a list includes ended sessions
}

// GroupText returns a text that the Identity.Body of each person in Group
// contains, and of few others. A store can filter by it before the caller
// decodes the rest.
func (s Selector) GroupText() []byte {
	text, err := json.Marshal(s.Group) // as encodeIdentity writes it
	if err != nil {
		panic(err) // a string can always be marshalled
	}
	return text
}

// selectsPersons reports whether s selects all sessions of the persons that
// match, or all but one.
func (s Selector) selectsPersons() bool {
	s.Except = ""
	return s.ID == "" && s.SID == "" && !s.NoSID && s.Kind == "" && s.Before.IsZero() && s != Selector{Ended: s.Ended}
}

// selectsGrants reports whether s selects browsers' sessions otherwise than by an ID, so
// that the grants of the same persons or logins end with them.
func (s Selector) selectsGrants() bool { return s.ID == "" && (s.Kind == "" || s.Kind == KindBrowser) }

// matches reports whether a person matches s.
func (s Selector) matches(id *providers.Identity) bool {
	return (s.User == "" || id.User == s.User) && (s.Provider == "" || id.Provider == s.Provider) &&
		(s.Subject == "" || id.Subject == s.Subject) && (s.Group == "" || slices.Contains(id.Groups, s.Group))
}
