package file

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"strings"

	"shorepass/providers"
)

// account is one user, ready to be asked about. It is never changed.
type account struct {
	subject  string // the folded name, which is what makes two spellings one user
	name     string // as written, in lower case
	hash     hash
	groups   []string
	claims   map[string]any
	disabled bool
	stamp    string
}

func newAccount(login providers.Login, u User, h hash) *account {
	a := &account{
		subject:  string(login),
		name:     strings.ToLower(strings.TrimSpace(u.Name)),
		hash:     h,
		groups:   u.Groups,
		claims:   maps.Clone(u.Claims),
		disabled: u.Disabled,
	}
	if a.claims == nil {
		a.claims = make(map[string]any)
	}
	if u.Email != "" {
		a.claims["email"] = u.Email
	}
	// A new hash is a new password; whoever hashes the old one anew meant it.
	sum := sha256.Sum256([]byte(u.Password.Reveal()))
	a.stamp = hex.EncodeToString(sum[:16])
	return a
}

// identity returns who this is. Groups and claims are shared by all answers,
// which nobody changes.
func (a *account) identity() *providers.Identity {
	return &providers.Identity{
		Subject: a.subject,
		User:    a.name,
		Groups:  a.groups,
		Claims:  a.claims,
		Stamp:   a.stamp,
	}
}

// roster is a set of accounts by name. It is never changed once it is in use.
type roster struct {
	all    []*account
	byName map[providers.Login]*account
}

func (r *roster) add(a *account) {
	if r.byName == nil {
		r.byName = make(map[providers.Login]*account)
	}
	r.byName[providers.Login(a.subject)] = a
	r.all = append(r.all, a)
}

// find returns the account of that name, or nil.
func (r *roster) find(login providers.Login) *account { return r.byName[fold(login)] }
