package ldap

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	ldap "github.com/go-ldap/ldap/v3"

	"shorepass/internal/secret"
	"shorepass/providers"
)

// Provider is one directory. It is safe for concurrent use.
type Provider struct {
	cfg          Config
	preset       preset
	userFilter   template
	dnTemplate   template     // nil where entries are searched for
	userBase     *ldap.DN     // nil where there is none
	attributes   []string     // of a person's entry
	groups       *groupFinder // nil where nobody has groups
	dir          *directory
	domains      *domains
	accountCache *accountCache
	refusalTimes *refusalTimes
	warnings     *warnings
	pingCache    pingCache

	background background
}

var (
	_ providers.Provider    = (*Provider)(nil)
	_ providers.Revalidator = (*Provider)(nil)
	_ providers.Pinger      = (*Provider)(nil)
	_ providers.Starter     = (*Provider)(nil)
	_ providers.CatchAll    = (*Provider)(nil)
	_ providers.DomainOwner = (*Provider)(nil)
	_ providers.Padder      = (*Provider)(nil)
	_ providers.LogSetter   = (*Provider)(nil)
)

// New makes a provider of a Config that has its defaults and is valid. It reads
// the files of cfg.TLS, and touches no network.
func New(cfg Config) (*Provider, error) {
	p := &Provider{
		cfg: cfg, preset: presets[cfg.Preset],
		accountCache: newAccountCache(), refusalTimes: &refusalTimes{}, warnings: newWarnings(), pingCache: newPingCache(),
	}
	var err error
	if p.userFilter, err = filterTemplate(cfg.Users.Filter, "login", "user"); err != nil {
		return nil, fmt.Errorf("users.filter: %w", err)
	}
	if cfg.Users.DNTemplate != "" {
		if p.dnTemplate, err = parseTemplate(cfg.Users.DNTemplate); err != nil {
			return nil, fmt.Errorf("users.dn_template: %w", err)
		}
	}
	if cfg.Users.Base != "" {
		if p.userBase, err = ldap.ParseDN(cfg.Users.Base); err != nil {
			return nil, fmt.Errorf("users.base: %w", err)
		}
	}
	if p.dir, err = newDirectory(cfg); err != nil {
		return nil, err
	}
	if cfg.Groups.configured() {
		if p.groups, err = newGroupFinder(cfg, p.warnings); err != nil {
			return nil, err
		}
	}
	p.domains = newDomains(cfg, p.dir.activeDirectoryDomains)
	p.attributes = p.personAttributes()
	return p, nil
}

// personAttributes returns the attributes of a person's entry that are asked for, each
// once.
func (p *Provider) personAttributes() []string {
	names := []string{p.cfg.Users.Name, p.cfg.Users.Subject}
	names = append(names, p.preset.state...)
	names = append(names, p.cfg.Users.Stamp...)
	names = append(names, p.cfg.Claims...)
	if p.groups != nil {
		names = append(names, p.groups.attributes()...)
	}
	var once []string
	for _, name := range names {
		if !slices.ContainsFunc(once, func(n string) bool { return strings.EqualFold(n, name) }) {
			once = append(once, name)
		}
	}
	return once
}

// SetLog implements [providers.LogSetter].
func (p *Provider) SetLog(log *slog.Logger) { p.warnings.log = log }

// CatchesAll implements [providers.CatchAll]: a DN template makes a DN of every
// name, and a bind does not tell a wrong one from a wrong password.
func (p *Provider) CatchesAll() bool { return p.dnTemplate != nil }

// Fingerprint returns kind, base and subject attribute: another server of the
// same directory is the same.
func (p *Provider) Fingerprint() string {
	base := ""
	if p.userBase != nil {
		base = strings.ToLower(p.userBase.String()) // sessions hold it, so it must stay as it is
	}
	return "ldap " + base + " " + strings.ToLower(p.cfg.Users.Subject)
}

// Lookup implements [providers.Provider].
func (p *Provider) Lookup(ctx context.Context, login providers.Login) (*providers.Account, error) {
	began := time.Now()
	if login == "" || !utf8.ValidString(string(login)) {
		return nil, fmt.Errorf("%w: a name that is empty or not text", providers.ErrNotMine)
	}
	user, err := p.domains.stripDomain(ctx, string(login))
	if err != nil {
		return nil, err
	}
	values := placeholderValues(string(login), user)
	if p.dnTemplate != nil {
		return p.lookupTemplate(began, values)
	}
	return p.lookupEntry(ctx, began, providers.Login(user).Key(), values)
}

// rejectEmpty refuses a password that a directory takes for an anonymous bind: an
// empty one and, at some, one that begins with a NUL. The chain lets none
// through.
func rejectEmpty(password secret.Text) error {
	if text := password.Reveal(); strings.Trim(text, " \t\r\n") == "" || strings.ContainsRune(text, 0) {
		return providers.Reject(providers.WrongPassword, errors.New("empty password"))
	}
	return nil
}

// placeholderValues are what the placeholders of a login stand for.
func placeholderValues(login, user string) func(string) string {
	return func(placeholder string) string {
		if placeholder == "login" {
			return login
		}
		return user
	}
}

// lookupEntry searches for the entry that Prove will bind as, in the share of the
// account that a login name's key led to before.
func (p *Provider) lookupEntry(ctx context.Context, began time.Time, key string, values func(string) string) (*providers.Account, error) {
	e, err := p.findOne(ctx, p.dir.inShare(p.accountCache.shareKey(key)), p.cfg.Users.Base, searchScope(p.cfg.Users.Scope), p.userFilter.filter(values))
	switch {
	case errors.Is(err, errNoEntry):
		return nil, fmt.Errorf("%w: %w", providers.ErrNotMine, err)
	case errors.Is(err, errSeveralEntries):
		p.warnings.add(err.Error())
		return nil, providers.Reject(providers.Ambiguous, err)
	case err != nil:
		return nil, fmt.Errorf("search for the account: %w", err)
	}
	subject, err := subjectOf(e, p.cfg.Users.Subject)
	if err != nil {
		return nil, err
	}
	p.accountCache.store(key, subject)
	return &providers.Account{Subject: subject, State: p.stateOf(e), Prove: func(ctx context.Context, proof providers.Proof) (*providers.Identity, error) {
		return p.proveEntry(ctx, began, accountShareKey(subject), e, proof.Secret)
	}}, nil
}

// proveEntry proves the password of the entry that Lookup found.
func (p *Provider) proveEntry(ctx context.Context, began time.Time, shareKey string, e entry, password secret.Text) (*providers.Identity, error) {
	if err := rejectEmpty(password); err != nil {
		return nil, err
	}
	if err := p.bindAsEntry(ctx, began, shareKey, e, password); err != nil {
		return nil, err
	}
	if err := p.checkRestrictions(e); err != nil {
		return nil, err
	}
	id, err := p.identify(ctx, p.dir.inShare(shareKey), e)
	return id, notSent(err)
}

// notSent marks an error of what follows a bind that succeeded: no directory
// counts that password as a wrong one.
func notSent(err error) error {
	if err == nil {
		return nil
	}
	return providers.NotSent(err)
}

// bindAsEntry binds as the entry.
func (p *Provider) bindAsEntry(ctx context.Context, began time.Time, shareKey string, e entry, password secret.Text) error {
	err := p.dir.checkPassword(ctx, shareKey, e.dn, password)
	if errors.Is(err, errUnwilling) {
		// The entry itself says more than that.
		if refused := p.checkRestrictions(e); refused != nil {
			err = refused
		}
	}
	if err == nil {
		return nil
	}
	err = fmt.Errorf("%s: %w", e.dn, err)
	if errors.Is(err, providers.ErrRejected) {
		p.refusalTimes.record(ctx, began)
	}
	return err
}

// lookupTemplate makes the DN from the name. It does not ask the directory
// whether the entry exists; Prove reads it, and finds the subject.
func (p *Provider) lookupTemplate(began time.Time, values func(string) string) (*providers.Account, error) {
	dn, filter := p.dnTemplate.dn(values), p.userFilter.filter(values)
	if !isDN(dn) || p.userBase != nil && !isDescendantText(p.userBase, dn, p.cfg.Users.Scope) {
		return nil, providers.Reject(providers.Unknown, fmt.Errorf("%q is not a DN under users.base", dn))
	}
	return &providers.Account{Prove: func(ctx context.Context, proof providers.Proof) (*providers.Identity, error) {
		return p.proveDN(ctx, began, dn, filter, proof.Secret)
	}}, nil
}

// proveDN binds as a DN, and then reads its entry.
func (p *Provider) proveDN(ctx context.Context, began time.Time, dn, filter string, password secret.Text) (*providers.Identity, error) {
	if err := rejectEmpty(password); err != nil {
		return nil, err
	}
	s, done, err := p.bindAsDN(ctx, "dn "+strings.ToLower(dn), dn, password)
	if err != nil {
		err = fmt.Errorf("%s: %w", dn, err)
		if errors.Is(err, providers.ErrRejected) {
			p.refusalTimes.record(ctx, began)
		}
		return nil, err
	}
	defer done()
	id, err := p.identifyDN(ctx, s, dn, filter)
	return id, notSent(err)
}

// bindAsDN binds as a DN, and returns what its entry is read with until done: the
// service account where there is one, or else the person.
func (p *Provider) bindAsDN(ctx context.Context, shareKey, dn string, password secret.Text) (s searcher, done func(), err error) {
	if p.cfg.BindDN != "" {
		return p.dir.inShare(shareKey), func() {}, p.dir.checkPassword(ctx, shareKey, dn, password)
	}
	own, err := p.dir.openPersonConn(ctx, shareKey, dn, password)
	if err != nil {
		return nil, nil, err
	}
	return own, own.close, nil
}

// identifyDN makes the identity of the entry of a DN whose password is proved.
func (p *Provider) identifyDN(ctx context.Context, s searcher, dn, filter string) (*providers.Identity, error) {
	e, err := p.findOne(ctx, s, dn, ldap.ScopeBaseObject, filter)
	switch {
	case errors.Is(err, errNoEntry):
		return nil, reject("%s is not shown, or users.filter leaves it out", dn)
	case err != nil:
		return nil, fmt.Errorf("read the account %s: %w", dn, err)
	}
	if err := p.checkRestrictions(e); err != nil {
		return nil, err
	}
	return p.identify(ctx, s, e)
}

var (
	errNoEntry        = errors.New("no entry matches")
	errSeveralEntries = errors.New("several entries match")
)

// findOne returns the one entry that matches, whole.
func (p *Provider) findOne(ctx context.Context, s searcher, base string, scope int, filter string) (entry, error) {
	found, err := s.find(ctx, query{base: base, scope: scope, filter: filter, attributes: p.attributes, sizeLimit: 2})
	switch {
	case len(found) > 1 && (err == nil || resultCode(err) == ldap.LDAPResultSizeLimitExceeded):
		return entry{}, fmt.Errorf("%w %s under %q", errSeveralEntries, filter, base)
	case resultCode(err) == ldap.LDAPResultNoSuchObject && scope == ldap.ScopeBaseObject:
		return entry{}, errNoEntry
	case resultCode(err) == ldap.LDAPResultNoSuchObject:
		// Nobody's account is missing: all of them are.
		return entry{}, fmt.Errorf("%q does not exist, or the service account may not see it: %w", base, err)
	case err != nil:
		return entry{}, fmt.Errorf("%w%s", err, hint(err))
	case len(found) == 0:
		return entry{}, errNoEntry
	}
	e := found[0]
	if p.userBase != nil && !isDescendantText(p.userBase, e.dn, p.cfg.Users.Scope) {
		return entry{}, fmt.Errorf("%w: %s is not under users.base", errNoEntry, e.dn)
	}
	return e, fetchRanges(ctx, s, e)
}

// checkRestrictions refuses an account whose entry says that it is not good.
func (p *Provider) checkRestrictions(e entry) error {
	restrictions, err := p.restrictions(e)
	if err != nil {
		return err
	}
	if len(restrictions) > 0 {
		return providers.Reject(restrictions[0].reason, fmt.Errorf("%s: %s", e.dn, restrictions[0].text))
	}
	return nil
}

// restrictions returns what the entry says against a login. Each attribute of the
// state has one value by its schema; of two it is not known which counts.
func (p *Provider) restrictions(e entry) ([]restriction, error) {
	for _, name := range p.preset.state {
		if n := len(e.values(name)); n > 1 {
			return nil, fmt.Errorf("state of %s: it shows %d values of %s, which must be one", e.dn, n, name)
		}
	}
	found, err := restrictionsOf(e, p.cfg.Preset == presetAD, time.Now())
	if err != nil {
		return nil, fmt.Errorf("state of %s: %w", e.dn, err)
	}
	return found, nil
}

// identify makes the identity of an entry whose password, or whose existence,
// is proved.
func (p *Provider) identify(ctx context.Context, s searcher, e entry) (*providers.Identity, error) {
	subject, err := subjectOf(e, p.cfg.Users.Subject)
	if err != nil {
		return nil, err
	}
	name, err := p.userName(e)
	if err != nil {
		return nil, err
	}
	id := &providers.Identity{
		Subject:   subject,
		FoldsCase: true,
		Claims:    claimsOf(e, p.cfg.Claims),
		Stamp:     stampOf(e, p.cfg.Users.Stamp),
	}
	if id.User, err = providers.UserName(name, id.FoldsCase); err != nil {
		return nil, fmt.Errorf("%s: %w", e.dn, err)
	}
	if p.groups != nil {
		if id.Groups, id.Unsure, err = p.groups.memberships(ctx, s, e, name); err != nil {
			return nil, fmt.Errorf("groups of %s: %w", e.dn, err)
		}
	}
	return id, nil
}

// userName returns the one value of users.name. Blanks at its ends count for
// nothing, as in the directory (RFC 4518, section 2.6.1).
func (p *Provider) userName(e entry) (string, error) {
	values := e.values(p.cfg.Users.Name)
	if len(values) != 1 {
		return "", reject("%s shows %d values of %s, which must be one", e.dn, len(values), p.cfg.Users.Name)
	}
	return strings.TrimSpace(string(values[0])), nil
}

// claimsOf returns the attributes that rules may look at. What is not text is
// left out: a rule could not compare it.
func claimsOf(e entry, names []string) map[string]any {
	claims := make(map[string]any, len(names))
	for _, name := range names {
		switch texts := e.texts(name); len(texts) {
		case 0:
		case 1:
			claims[name] = texts[0]
		default:
			list := make([]any, len(texts))
			for i, text := range texts {
				list[i] = text
			}
			claims[name] = list
		}
	}
	return claims
}
