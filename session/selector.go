package session

import (
	"encoding/json"
	"slices"
	"time"

	"shorepass/providers"
)

// Selector chooses sessions: what is set must all hold. The zero Selector
// chooses every session in a list, and none in a revocation.
type Selector struct {
	ID       string    // one session
	User     string    // the user name, exactly
	Provider string    // the provider's name
	Subject  string    // what the provider knows the person by
	Group    string    // a group that the person was in when last checked
	Kind     Kind      // of tokens
	Before   time.Time // created before this
	Ended    bool      // a list shows ended sessions too
}

// GroupText is what the Identity.Body of everybody in Group holds, and nearly
// nobody else's. A store that goes by it need not hand out everybody.
func (s Selector) GroupText() []byte {
	text, err := json.Marshal(s.Group) // as encodeIdentity writes it
	if err != nil {
		panic(err) // a string can always be marshalled
	}
	return text
}

// selectsPersons reports whether s picks persons, with all that is theirs.
func (s Selector) selectsPersons() bool {
	return s.ID == "" && s.Kind == "" && s.Before.IsZero() && s != Selector{Ended: s.Ended}
}

// matches reports whether a person is among those whom s picks.
func (s Selector) matches(id *providers.Identity) bool {
	return (s.User == "" || id.User == s.User) && (s.Provider == "" || id.Provider == s.Provider) &&
		(s.Subject == "" || id.Subject == s.Subject) && (s.Group == "" || slices.Contains(id.Groups, s.Group))
}
