package ldap

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	ldap "github.com/go-ldap/ldap/v3"

	"shorepass/providers"
)

// Lookup implements [providers.Provider].
func (p *Provider) Lookup(ctx context.Context, login providers.Login) (*providers.Account, error) {
	began := time.Now()
	if login == "" || !utf8.ValidString(string(login)) {
		return nil, fmt.Errorf("%w: a name that is empty or not text", providers.ErrNotMine)
	}
	names, err := p.domains.readings(ctx, string(login))
	if err != nil {
		return nil, err
	}
	if p.dnTemplate != nil {
		return p.lookupTemplate(began, names[0].values())
	}
	if p.bindName != nil {
		return p.lookupBindName(began, names[0].user, names[0].values())
	}
	return p.lookupEntry(ctx, began, names)
}

// placeholderValues returns the values of {login} and {user} for one login.
func placeholderValues(login, user string) func(string) string {
	return func(placeholder string) string {
		if placeholder == "login" {
			return login
		}
		return user
	}
}

// lookupEntry searches for the entry that Prove will bind as. The search takes a
// connection in the share of the account that the login name's key led to last.
func (p *Provider) lookupEntry(ctx context.Context, began time.Time, names []loginName) (*providers.Account, error) {
	last := names[len(names)-1]
	key := providers.Login(last.user).Key() + last.domain
	e, err := p.findByFilter(ctx, p.dir.inShare(p.accountCache.shareKey(key)), names)
	if err != nil {
		return nil, err
	}
	subject, err := subjectOf(e, p.cfg.Users.Subject)
	if err != nil {
		return nil, err
	}
	p.accountCache.store(key, subject)
	return &providers.Account{Subject: subject, State: p.stateOf(e), Prove: func(ctx context.Context, password providers.LoginPassword) (*providers.Identity, error) {
		return p.proveEntry(ctx, began, accountShareKey(subject), e, password.Secret)
	}}, nil
}

// findByFilter returns the entry that users.filter finds for the first reading of a login
// name that has one. Its errors are those of Lookup.
func (p *Provider) findByFilter(ctx context.Context, s searcher, names []loginName) (entry, error) {
	var e entry
	err := errNoEntry
	for _, name := range names {
		if e, err = p.findInDomain(ctx, s, name); !errors.Is(err, errNoEntry) {
			break
		}
	}
	switch {
	case errors.Is(err, errNoEntry):
		return entry{}, fmt.Errorf("%w: %w", providers.ErrNotMine, err)
	case errors.Is(err, errSeveralEntries):
		p.warnings.add("users.filter", fmt.Sprintf("%v: no one can log in with that name until users.filter, users.base or a change in the directory leaves one entry", err))
		return entry{}, providers.Reject(providers.Ambiguous, err)
	case err != nil:
		return entry{}, fmt.Errorf("search for the account: %w", err)
	}
	return e, nil
}

// lookupTemplate makes the DN from the login name. It does not ask the directory
// whether the entry exists. Prove reads the entry and finds the subject.
func (p *Provider) lookupTemplate(began time.Time, values func(string) string) (*providers.Account, error) {
	dn, filter, err := p.templateDN(values)
	if err != nil {
		return nil, err
	}
	b := firstBind{name: dn, shareKey: "dn " + providers.Login(dn).Key(), base: dn, scope: ldap.ScopeBaseObject, filter: filter}
	return &providers.Account{Prove: func(ctx context.Context, password providers.LoginPassword) (*providers.Identity, error) {
		return p.proveFirst(ctx, began, b, password.Secret)
	}}, nil
}

// templateDN returns the DN that users.dn_template makes, and the filter that its entry
// must match.
func (p *Provider) templateDN(values func(string) string) (dn, filter string, err error) {
	dn, filter = p.dnTemplate.dn(values), p.userFilter.filter(values)
	if !isDN(dn) || p.userBase != nil && !isDescendantText(p.userBase, dn, p.cfg.Users.Scope) {
		return "", "", providers.Reject(providers.Unknown, fmt.Errorf("%q is not a DN under users.base", dn))
	}
	return dn, filter, nil
}

var (
	errNoEntry        = errors.New("no entry matches")
	errSeveralEntries = errors.New("several entries match")
)

// withoutAliases returns each entry once: it may also be found by way of aliases.
func withoutAliases(found []entry) []entry {
	return slices.CompactFunc(found, func(a, b entry) bool { return a.dn == b.dn })
}

// findOne returns the one entry that matches, with all values of its attributes.
func (p *Provider) findOne(ctx context.Context, s searcher, base string, scope int, filter string) (entry, error) {
	found, err := s.find(ctx, query{base: base, scope: scope, filter: filter, attributes: p.attributes, sizeLimit: 2})
	return p.oneOf(ctx, s, found, err, base, scope, filter)
}

// oneOf returns the one entry among the results of a search.
func (p *Provider) oneOf(ctx context.Context, s searcher, found []entry, err error, base string, scope int, filter string) (entry, error) {
	if err == nil && p.cfg.Deref != derefNever {
		found = withoutAliases(found)
	}
	switch {
	case len(found) > 1 && (err == nil || resultCode(err) == ldap.LDAPResultSizeLimitExceeded):
		return entry{}, fmt.Errorf("%w %s under %q", errSeveralEntries, filter, base)
	case resultCode(err) == ldap.LDAPResultNoSuchObject && scope == ldap.ScopeBaseObject:
		return entry{}, errNoEntry
	case resultCode(err) == ldap.LDAPResultNoSuchObject:
		// The base is missing, and not just one account.
		return entry{}, missingBaseError("users.base", base, err)
	case err != nil:
		return entry{}, fmt.Errorf("%w%s", err, hint(err))
	case len(found) == 0:
		return entry{}, errNoEntry
	}
	e := found[0]
	if !p.isUnderBase(e.dn) {
		return entry{}, fmt.Errorf("%w: %s is not under users.base", errNoEntry, e.dn)
	}
	return e, fetchRanges(ctx, s, e)
}

// isUnderBase reports whether the DN of an entry that a search found is under
// users.base. Where searches follow aliases, which may lead elsewhere, each is.
func (p *Provider) isUnderBase(dn string) bool {
	return p.userBase == nil || p.cfg.Deref != derefNever || isDescendantText(p.userBase, dn, p.cfg.Users.Scope)
}
