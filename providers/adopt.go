package providers

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"shorepass/internal/fold"
)

// adopt turns a provider's answer to a login into the identity that the rest of
// shorepass sees: prefixed, filtered and checked. AuthTime is the provider's, or now.
func (m *member) adopt(found *Identity, method Method) (*Identity, error) {
	at := time.Now()
	if found != nil && !found.AuthTime.IsZero() {
		at = found.AuthTime
	}
	return m.adoptAs(found, method, at)
}

// adoptRevalidated does the same with the answer to a revalidation of before, whose
// Method and AuthTime it keeps.
func (m *member) adoptRevalidated(found, before *Identity) (*Identity, error) {
	if found != nil && found.Subject != before.Subject {
		return nil, m.anotherAccount()
	}
	return m.adoptAs(found, before.Method, before.AuthTime)
}

// anotherAccount returns the error for a revalidation whose answer has another
// subject. A refresh token that belongs to another person now is a grant that is gone.
func (m *member) anotherAccount() error {
	kind := ErrRejected
	if m.revalidator.PerSignIn() {
		kind = ErrGone
	}
	return fmt.Errorf("provider %s answered for another account: %w", m.config.Name, kind)
}

// adoptAs adds the prefix to names, drops groups with the names of our own, and rejects
// an account whose name is another's or which is in none of the required groups.
// method and at are how and when the person authenticated.
func (m *member) adoptAs(found *Identity, method Method, at time.Time) (*Identity, error) {
	id, err := m.prefixed(found, method, at)
	if err != nil {
		return nil, err
	}
	if err := m.checkPrefixed(id); err != nil {
		return nil, err
	}
	m.addAuthenticated(id)
	return id, nil
}

// prefixed returns the identity with the prefix, and without groups with the names of our
// own.
func (m *member) prefixed(found *Identity, method Method, at time.Time) (*Identity, error) {
	switch {
	case found == nil:
		return nil, fmt.Errorf("provider %s returned neither an identity nor an error", m.config.Name)
	case !isSubject(found.Subject):
		return nil, m.refuse("found an account whose subject %.200q is not plain text", found.Subject)
	}
	user, err := UserName(found.User, found.FoldsCase)
	if err != nil {
		return nil, fmt.Errorf("provider %s: %w", m.config.Name, err)
	}
	id := *found
	id.Provider, id.Fingerprint = m.config.Name, m.provider.Fingerprint()
	id.User = m.prefix + user
	id.Method, id.AuthTime = method, at
	id.Groups, id.Unsure = m.groups(found)
	return &id, nil
}

// checkPrefixed returns the error with which the configuration refuses an identity, or nil.
func (m *member) checkPrefixed(id *Identity) error {
	switch {
	case m.isForeign(id.User, id.FoldsCase):
		return m.refuse("found %q, which would be a name of the provider whose prefix it begins with", id.User)
	case m.isLocal(id.User):
		return m.refuse("found %q, which is the name of a local user; give the provider a prefix", id.User)
	case !m.hasRequired(id):
		return m.refuse("found %q, who is in none of the groups that require_groups names", id.User)
	}
	return nil
}

// addAuthenticated adds the group "authenticated". No entry of require_groups is compared
// with it.
func (m *member) addAuthenticated(id *Identity) {
	if id.Method != MethodIDToken || m.config.IDTokensAuthenticated {
		id.Groups = append(id.Groups, GroupAuthenticated)
		slices.Sort(id.Groups)
	}
}

// refuse returns the error for an account that the configuration refuses.
func (m *member) refuse(format string, args ...any) error {
	return m.wrap(Reject(RefusedByConfig, fmt.Errorf(format, args...)))
}

// hasRequired reports whether require_groups is empty, or the person is for certain in
// one of its groups.
func (m *member) hasRequired(id *Identity) bool {
	require := m.require
	if id.FoldsCase {
		require = m.requireFolded
	}
	return len(require) == 0 || slices.ContainsFunc(id.Groups, func(name string) bool { return require.match(foldName(name, id.FoldsCase)) })
}

// foldName returns a name in the form in which it is compared with others of its
// provider.
func foldName(name string, foldsCase bool) string {
	if foldsCase {
		return fold.Name(name)
	}
	return name
}

// foreignPrefixes returns the prefixes of other providers with which names of m must
// not begin: else a person who can choose the name "gh:bob" at a provider without a
// prefix would be the bob of the provider with "gh:". A file has none: the operator
// writes its names, and may mean another provider's.
func foreignPrefixes(m *member, all []*member) []string {
	if m.config.Kind == kindFile {
		return nil
	}
	var foreign []string
	for _, other := range all {
		if len(other.prefix) > len(m.prefix) && strings.HasPrefix(fold.Name(other.prefix), fold.Name(m.prefix)) {
			foreign = append(foreign, other.prefix)
		}
	}
	return foreign
}

// isForeign reports whether rules would take a name, with its prefix, for another
// provider's. They compare it folded where m ignores case.
func (m *member) isForeign(name string, foldsCase bool) bool {
	return slices.ContainsFunc(m.foreign, func(prefix string) bool {
		return strings.HasPrefix(foldName(name, foldsCase), foldName(prefix, foldsCase))
	})
}

// localUsers returns the files whose users' names m must not have: where m has no
// prefix, all files that have none either.
func localUsers(m *member, all []*member) []LoginChecker {
	if m.config.Kind == kindFile || m.prefix != "" {
		return nil
	}
	var local []LoginChecker
	for _, other := range all {
		if other.config.Kind == kindFile && other.logins != nil && other.prefix == "" {
			local = append(local, other.logins)
		}
	}
	return local
}

// isLocal reports whether a name is that of a local user, by the comparison of the
// user's file.
func (m *member) isLocal(name string) bool {
	return slices.ContainsFunc(m.local, func(k LoginChecker) bool { return k.HasLogin(Login(name)) })
}

// isSubject reports whether a text can be a subject. Stores and logs replace each byte
// that is not UTF-8 with the same character, so that two people would be one there;
// control characters change terminals.
func isSubject(text string) bool {
	return text != "" && utf8.ValidString(text) && !strings.ContainsFunc(text, unicode.IsControl)
}

// groups returns Groups and Unsure of an [Identity] with the prefix. It drops the names
// of our own groups in any case, before the prefix and after it, and names that rules
// would take for another provider's.
func (m *member) groups(found *Identity) (groups, unsure []string) {
	groups, odd := m.groupNames(found.Groups, found.FoldsCase)
	unsure, oddUnsure := m.groupNames(slices.DeleteFunc(slices.Clone(found.Unsure), func(name string) bool { return name == UnsureAll }), found.FoldsCase)
	if odd || oddUnsure || slices.Contains(found.Unsure, UnsureAll) {
		unsure = append(unsure, UnsureAll)
	}
	return distinctNames(groups, unsure, func(name string) string { return foldName(name, found.FoldsCase) })
}

// groupNames returns names with the prefix. odd reports a name that no rule could
// write, which a provider that uses [GroupNamer] does not return.
func (m *member) groupNames(found []string, foldsCase bool) (names []string, odd bool) {
	names = make([]string, 0, len(found)+1)
	for _, name := range found {
		full := m.prefix + name
		switch {
		case NameProblem(name) != "":
			odd = true
		case ourGroup(name) || ourGroup(full):
		case m.isForeign(full, foldsCase):
			if m.warned.CompareAndSwap(false, true) {
				m.log.Warn("a group is left out, since its name begins with another provider's prefix; rename it, or choose another prefix", "group", full)
			}
		default:
			names = append(names, full)
		}
	}
	return names, odd
}

func ourGroup(name string) bool {
	return strings.EqualFold(name, GroupAnonymous) || strings.EqualFold(name, GroupAuthenticated)
}
