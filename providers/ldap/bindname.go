package ldap

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	ldap "github.com/go-ldap/ldap/v3"

	"shorepass/providers"
)

// readsAsPerson reports whether entries are read with the person's own rights: there is
// no service account, and the bind comes first.
func (c Config) readsAsPerson() bool {
	return c.Users.BindName != "" || c.Users.DNTemplate != "" && c.BindDN == ""
}

// bindsFirst reports whether a login binds before it searches.
func (u Users) bindsFirst() bool { return u.BindName != "" || u.DNTemplate != "" }

// bindNameProblem returns the fault of users.bind_name, or "".
func (c Config) bindNameProblem() string {
	name := c.Users.BindName
	t, err := parseTemplate(name)
	literal := t.expand(func(string) string { return "" }, strings.Clone)
	switch {
	case err != nil:
		return err.Error()
	case slices.Contains(t.placeholders(), "login"):
		return `has {login}, of which an account has several spellings, each with a rate limit of its own: use "{user}", the name without users.domains`
	case !t.hasOnly("user") || strings.Count(name, "{user}") != 1:
		return `needs {user} once and no other placeholder, as in "{user}@ad.example.org"`
	case c.Users.DNTemplate != "":
		return "and users.dn_template both say as what to bind: leave one out"
	case c.BindDN != "":
		return "is for a directory without a service account: leave out bind_dn and bind_password, or users.bind_name"
	case isDN(t.filter(func(string) string { return "x" })):
		return "makes a DN: write it as users.dn_template"
	case c.Preset == presetAD && !strings.ContainsAny(literal, `@\`):
		return `names an account in too many ways at Active Directory, such as by its display name: write "{user}@ad.example.org" or "CORP\{user}"`
	case strings.ContainsFunc(name, unicode.IsControl):
		return "holds a control character"
	}
	return ""
}

// domainOfBindName returns the domain of a bind name such as "{user}@corp.example" or
// "CORP\{user}", or nil.
func domainOfBindName(name string) []string {
	if domain, found := strings.CutPrefix(name, "{user}@"); found {
		return []string{domain}
	}
	if domain, found := strings.CutSuffix(name, `\{user}`); found {
		return []string{domain}
	}
	return nil
}

// bindNameSeparators separate the parts of a bind name: of a user principal name, of
// "CORP\alice", of a canonical name, of a DN and of a GUID in braces ([MS-ADTS], section
// 5.1.1.1.1). A login name that holds one could make another account's bind name.
const bindNameSeparators = `@\/={}`

// lookupBindName makes the bind name from the login name. It does not ask the directory
// whether the account exists. A bind name is sent as it is: it has no escapes.
func (p *Provider) lookupBindName(began time.Time, user string, values func(string) string) (*providers.Account, error) {
	if strings.ContainsAny(user, bindNameSeparators) || strings.ContainsFunc(user, unicode.IsControl) {
		return nil, providers.Reject(providers.Unknown, fmt.Errorf("%q cannot be a name in users.bind_name", user))
	}
	b := firstBind{
		name: p.bindName.expand(values, strings.Clone), shareKey: "name " + providers.Login(user).Key(),
		base: p.cfg.Users.base(), scope: searchScope(p.cfg.Users.Scope), filter: p.userFilter.filter(values),
	}
	return &providers.Account{Prove: func(ctx context.Context, password providers.LoginPassword) (*providers.Identity, error) {
		return p.proveFirst(ctx, began, b, password.Secret)
	}}, nil
}

// errNotBound means that the directory does not say which account has bound.
var errNotBound = errors.New("the directory does not say which account has bound, which users.bind_name needs: use users.dn_template or bind_dn")

// checkBound rejects an entry that is not the account that has bound. The directory may
// find another account by the bind name than users.filter finds: at Active Directory
// the userPrincipalName of one account can be the name and domain of another.
func (p *Provider) checkBound(ctx context.Context, person personConn, e entry) error {
	same, who, err := p.isBound(ctx, person, e)
	switch {
	case err != nil:
		return err
	case !same:
		return reject("the directory bound %s, and users.filter finds %s: make the filter find the account of users.bind_name, and write all names of its domain in users.domains", who, e.dn)
	}
	return nil
}

// isBound reports whether an entry is the account that has bound, and who has.
func (p *Provider) isBound(ctx context.Context, person personConn, e entry) (same bool, who string, err error) {
	if p.cfg.Preset == presetAD {
		return p.isBoundSID(ctx, person, e)
	}
	var result *ldap.WhoAmIResult
	err = person.conn.do(ctx, person.timeout, shortResponse, func(l *ldap.Conn) (err error) {
		result, err = l.WhoAmI(nil)
		return err
	})
	switch {
	case answered(err):
		return false, "", fmt.Errorf("%w (Who am I, RFC 4532: %w)", errNotBound, err)
	case err != nil:
		return false, "", err
	}
	return p.sameAuthorizationID(result.AuthzID, e), fmt.Sprintf("%q", result.AuthzID), nil
}

// sameAuthorizationID reports whether an authorization identity (RFC 4513, section
// 5.2.1.8) is an entry's: "dn:" and its DN, or "u:" and its user name, also with one of
// users.domains. With another domain it is another account of the same name.
func (p *Provider) sameAuthorizationID(id string, e entry) bool {
	if text, found := strings.CutPrefix(id, "dn:"); found {
		return sameDN(text, e.dn)
	}
	whole, found := strings.CutPrefix(id, "u:")
	name := whole
	if domain, after, ok := cutDomain(whole); ok && slices.Contains(p.domains.configured, providers.Login(domain).Key()) {
		name = after
	}
	return found && slices.ContainsFunc(e.texts(p.cfg.Users.Name), func(text string) bool {
		return nameKey(text) == nameKey(name) || nameKey(text) == nameKey(whole)
	})
}

// cutDomain splits a name such as "CORP\alice" or "alice@corp.example".
func cutDomain(text string) (domain, name string, found bool) {
	if domain, name, found = strings.Cut(text, `\`); found {
		return domain, name, true
	}
	at := strings.LastIndexByte(text, '@')
	if at < 0 {
		return "", text, false
	}
	return text[at+1:], text[:at], true
}

// isBoundSID reports whether the SID of an entry is among those of the connection. The
// root DSE's tokenGroups has the account's own and its groups' ([MS-ADTS], section
// 3.1.1.3.2), and no other account's.
func (p *Provider) isBoundSID(ctx context.Context, person personConn, e entry) (same bool, who string, err error) {
	root, err := person.conn.rootDSE(ctx, person.timeout, attrTokenGroups)
	if err != nil {
		return false, "", fmt.Errorf("read which account has bound: %w", err)
	}
	sids := root.values(attrTokenGroups)
	if len(sids) == 0 || !e.has(attrSID) {
		return false, "", fmt.Errorf("%w (tokenGroups of the root DSE, objectSid)", errNotBound)
	}
	return slices.ContainsFunc(sids, func(sid []byte) bool { return string(sid) == e.text(attrSID) }), formatSID(sids[0]), nil
}
