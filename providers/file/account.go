package file

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"strings"

	"shorepass/providers"
)

// account is one user, ready to be asked about. It is never changed.
type account struct {
	subject  string // the folded name, which is what makes two spellings one user
	name     string // the user name, in lower case
	hash     hash
	groups   []string
	unsure   []string
	claims   map[string]any
	disabled bool
	stamp    string
}

// groupNamer names the groups of local users, which need no only and no rename.
var groupNamer = providers.GroupNames{}.Compile(true, nil)

// newAccount makes an account of a user whose name and groups were checked.
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
	// A new hash is a new password; whoever hashes the old one anew meant it.
	sum := sha256.Sum256([]byte(u.Password.Reveal()))
	a.stamp = providers.Stamp([]string{"password"}, hex.EncodeToString(sum[:16]))
	return a, nil
}

// state is the providers.Account.State: another line or flag in the file is another
// state.
func (a *account) state() string { return fmt.Sprintf("%s %t", a.stamp, a.disabled) }

// identity returns who this is. Groups and claims are shared by all answers,
// which nobody changes.
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

// roster is a set of accounts by name. It is never changed once it is in use.
type accountSet struct {
	all    []*account
	byName map[providers.Login]*account
}

func (r *accountSet) add(a *account) {
	if r.byName == nil {
		r.byName = make(map[providers.Login]*account)
	}
	r.byName[providers.Login(a.subject)] = a
	r.all = append(r.all, a)
}

// find returns the account of that name, or nil.
func (r *accountSet) find(login providers.Login) *account { return r.byName[fold(login)] }
