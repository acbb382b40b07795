package file

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"strings"

	"shorepass/providers"
)

// account is the account of one user. It is immutable.
type account struct {
	subject  string // the folded name, which all spellings share
	name     string // the user name, in lower case
	hash     hash
	groups   []string
	unsure   []string
	claims   map[string]any
	disabled bool
	stamp    string
}

// groupNamer names the groups of local users, without only and rename.
var groupNamer = providers.GroupNames{}.Compile(true, nil)

// newAccount returns the account of a user whose name and groups were checked.
func newAccount(login providers.Login, u User, h hash) (*account, error) {
	name, err := providers.UserName(strings.TrimSpace(u.Name), true)
	if err != nil {
		return nil, err
	}
	found := make([]providers.FoundGroup, len(u.Groups))
	for i, group := range u.Groups {
		found[i].Name = group
	}
	a := &account{
		subject:  string(login),
		name:     name,
		hash:     h,
		claims:   maps.Clone(u.Claims),
		disabled: u.Disabled,
	}
	a.groups, a.unsure, _ = groupNamer.Names(found)
	if a.claims == nil {
		a.claims = make(map[string]any)
	}
	if u.Email != "" {
		a.claims["email"] = u.Email
	}
	// A new hash counts as a new password, also a new hash of the same password.
	sum := sha256.Sum256([]byte(u.Password.Reveal()))
	a.stamp = providers.Stamp([]string{"password"}, hex.EncodeToString(sum[:16]))
	return a, nil
}

// state returns the providers.Account.State, which changes with the hash and with
// disabled.
func (a *account) state() string { return fmt.Sprintf("%s %t", a.stamp, a.disabled) }

// identity returns the account's identity. All identities share groups and
// claims, which are never changed.
func (a *account) identity() *providers.Identity {
	return &providers.Identity{
		Subject:   a.subject,
		User:      a.name,
		Groups:    a.groups,
		Unsure:    a.unsure,
		FoldsCase: true,
		Claims:    a.claims,
		Stamp:     a.stamp,
	}
}

// accountSet is a set of accounts with an index by name. It is immutable once
// it is in use.
type accountSet struct {
	all    []*account
	byName map[providers.Login]*account
}

func (s *accountSet) add(a *account) {
	if s.byName == nil {
		s.byName = make(map[providers.Login]*account)
	}
	s.byName[providers.Login(a.subject)] = a
	s.all = append(s.all, a)
}

// find returns the account of that name, or nil.
func (s *accountSet) find(login providers.Login) *account { return s.byName[fold(login)] }
