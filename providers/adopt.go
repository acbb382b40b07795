package providers

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// adopt turns a provider's answer to a login into the identity that the rest of
// shorepass sees. AuthTime is the provider's, or now.
func (m *member) adopt(found *Identity, method Method) (*Identity, error) {
	at := time.Now()
	if found != nil && !found.AuthTime.IsZero() {
		at = found.AuthTime
	}
	return m.adoptAs(found, method, at)
}

// adoptAgain does the same with the answer to a revalidation of before, whose
// Method and AuthTime it keeps.
func (m *member) adoptAgain(found, before *Identity) (*Identity, error) {
	if found != nil && found.Subject != before.Subject {
		return nil, m.anotherAccount()
	}
	return m.adoptAs(found, before.Method, before.AuthTime)
}

// anotherAccount returns the error for a revalidation that was answered with
// another subject. A refresh token that belongs to another person by now is a
// grant that is gone.
func (m *member) anotherAccount() error {
	kind := ErrRejected
	if m.revalidator.PerSession() {
		kind = ErrGone
	}
	return fmt.Errorf("provider %s answered for another account: %w", m.config.Name, kind)
}

// adoptAs adds the prefix to names, drops groups of our own names, and rejects an
// account without the required groups. method and at are how and when the person
// authenticated.
func (m *member) adoptAs(found *Identity, method Method, at time.Time) (*Identity, error) {
	switch {
	case found == nil:
		return nil, fmt.Errorf("provider %s gave neither an identity nor an error", m.config.Name)
	case found.Subject == "" || found.User == "":
		return nil, fmt.Errorf("provider %s found an account without subject or name: %w", m.config.Name, ErrRejected)
	}
	if !isName(found.User) || !isName(found.Subject) {
		return nil, fmt.Errorf("provider %s found an account whose name %q is not plain text: %w", m.config.Name, found.User, ErrRejected)
	}
	id := *found
	id.Provider, id.Fingerprint = m.config.Name, m.provider.Fingerprint()
	id.User = m.prefix + found.User
	if m.isForeign(id.User) {
		return nil, fmt.Errorf("%q of provider %s would be a name of the provider whose prefix it begins with: %w", id.User, m.config.Name, ErrRejected)
	}
	id.Method, id.AuthTime = method, at
	id.Groups = m.groups(found.Groups)
	if len(m.require) > 0 && !slices.ContainsFunc(id.Groups, m.require.match) {
		return nil, fmt.Errorf("%s is in none of the groups that provider %s requires: %w", id.User, m.config.Name, ErrRejected)
	}
	if id.Method != MethodIDToken || m.config.IDTokensAuthenticated {
		id.Groups = append(id.Groups, GroupAuthenticated)
		slices.Sort(id.Groups)
	}
	return &id, nil
}

// foreignPrefixes returns the prefixes of others that names of m must not begin
// with: else a person who can choose the name "gh:bob" at a provider without a
// prefix would be the bob of the one that has "gh:". The names in a file are
// the operator's own, and may well be meant for another provider's.
func foreignPrefixes(m *member, all []*member) []string {
	if m.config.Kind == kindFile {
		return nil
	}
	var foreign []string
	for _, other := range all {
		if len(other.prefix) > len(m.prefix) && strings.HasPrefix(other.prefix, m.prefix) {
			foreign = append(foreign, other.prefix)
		}
	}
	return foreign
}

// isForeign reports whether a name, its prefix before it, is another
// provider's.
func (m *member) isForeign(name string) bool {
	return slices.ContainsFunc(m.foreign, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}

// isName reports whether a text can be a name: in a token and in a log each
// byte that is not UTF-8 turns into the same character, so that two people would
// be one there, and control characters do things to terminals.
func isName(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, unicode.IsControl)
}

// groups returns the names with prefix, sorted, without repetition. Names that
// are ours are dropped, before the prefix and after it, in any case, and those
// that would be another provider's: no rule could mean somebody else's.
func (m *member) groups(found []string) []string {
	names := make([]string, 0, len(found)+1)
	for _, name := range found {
		full := m.prefix + name
		switch {
		case name == "" || !isName(name) || ourGroup(name) || ourGroup(full):
		case m.isForeign(full):
			if m.warned.CompareAndSwap(false, true) {
				m.log.Warn("a group is left out, since its name begins with another provider's prefix; rename it, or choose another prefix", "group", full)
			}
		default:
			names = append(names, full)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func ourGroup(name string) bool {
	return strings.EqualFold(name, GroupAnonymous) || strings.EqualFold(name, GroupAuthenticated)
}
