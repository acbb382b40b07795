package ldap

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	ldap "github.com/go-ldap/ldap/v3"

	"shorepass/providers"
)

// domainsTTL is the TTL of the domains read from the directory: a new domain of a forest
// is known after an hour.
const domainsTTL = time.Hour

// domain is a domain of the directory, which may come with a login name: "CORP\alice",
// "alice@corp.example".
type domain struct {
	dn    string   // its naming context; "" where it is not known
	names []string // login name keys of its NetBIOS and DNS names
}

// domains are the directory's own domains.
type domains struct {
	configured []string                                    // login name keys from users.domains
	read       func(ctx context.Context) ([]domain, error) // reads the domains from the directory; nil: use those configured

	mu      sync.Mutex
	cached  []domain // the result of read; nil before
	expires time.Time
}

func newDomains(cfg Config, dir *directory) *domains {
	d := &domains{}
	for _, name := range cfg.Users.Domains {
		d.configured = append(d.configured, providers.Login(name).Key())
	}
	switch {
	case cfg.Preset != presetAD || cfg.Users.bindsFirst():
		// Where the bind comes first there may be no service account to read them with.
	case cfg.searchesForest():
		d.read = dir.forestDomains
	case cfg.Users.Domains == nil:
		d.read = dir.ownDomain
	}
	return d
}

// loginName is a login name in one of its readings.
type loginName struct {
	login  string // as typed: {login}
	user   string // without the directory's own domain: {user}
	domain string // the naming context that the account must be in; "" for any
}

// values returns the values of {login} and {user}.
func (n loginName) values() func(string) string { return placeholderValues(n.login, n.user) }

// readings returns the readings of a login name, in the order in which they are tried. A
// name with another domain stays as it is, and matches only an entry that has it so.
//
// In a forest "jdoe@corp.example" is first a user principal name, which is unique there
// and may be of any domain, and then the account jdoe of that domain, as in Active
// Directory itself ([MS-ADTS], section 5.1.1.1.1).
func (d *domains) readings(ctx context.Context, login string) ([]loginName, error) {
	asTyped := loginName{login: login, user: login}
	domainName, name, found := cutDomain(login)
	if !found || name == "" || domainName == "" {
		return []loginName{asTyped}, nil
	}
	own, found, err := d.find(ctx, providers.Login(domainName).Key())
	stripped := loginName{login: login, user: name, domain: own.dn}
	switch {
	case err != nil:
		return nil, fmt.Errorf("find the domain's own names: %w", err)
	case !found:
		return []loginName{asTyped}, nil
	case own.dn != "" && !strings.Contains(login, `\`):
		return []loginName{asTyped, stripped}, nil
	}
	return []loginName{stripped}, nil
}

// find returns the domain of a name. The domain has no DN where names of all domains are
// searched for in the same place.
func (d *domains) find(ctx context.Context, key string) (domain, bool, error) {
	configured := slices.Contains(d.configured, key)
	if d.read == nil || len(d.configured) > 0 && !configured {
		return domain{}, configured, nil
	}
	all, err := d.known(ctx)
	if err != nil {
		return domain{}, false, err
	}
	i := slices.IndexFunc(all, func(one domain) bool { return slices.Contains(one.names, key) })
	if i < 0 {
		return domain{}, configured, nil // a configured suffix of user principal names
	}
	return all[i], true, nil
}

// known returns the domains, read from the directory at their first use and after each
// domainsTTL. Concurrent callers may each read them. While they cannot be read again, the
// old ones hold.
func (d *domains) known(ctx context.Context) ([]domain, error) {
	d.mu.Lock()
	cached, fresh := d.cached, time.Now().Before(d.expires)
	d.mu.Unlock()
	if fresh {
		return cached, nil
	}
	read, err := d.read(ctx)
	if err != nil && cached != nil {
		return cached, nil
	}
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cached, d.expires = read, time.Now().Add(domainsTTL)
	return read, nil
}

// Domains implements [providers.DomainOwner].
func (p *Provider) Domains() []string { return p.domains.configured }

// ownDomain returns the domain of a domain controller. Its DN is left out: all of
// users.base is in it.
func (d *directory) ownDomain(ctx context.Context) ([]domain, error) {
	root, err := d.find(ctx, query{scope: ldap.ScopeBaseObject, filter: anyEntry, attributes: []string{"defaultNamingContext"}})
	if err != nil {
		return nil, err
	}
	if len(root) != 1 || !root[0].has("defaultNamingContext") {
		return nil, errNoNamingContexts
	}
	own, err := d.crossRefs(ctx, "(nCName="+ldap.EscapeFilter(root[0].text("defaultNamingContext"))+")")
	for i := range own {
		own[i].dn = ""
	}
	return own, err
}

var errNoNamingContexts = errors.New("the server does not say its naming contexts; set users.domains")

// crossRefs reads domains from the configuration that all domain controllers of a forest
// share ([MS-ADTS], section 6.1.1.2.1.1).
func (d *directory) crossRefs(ctx context.Context, filter string) ([]domain, error) {
	root, err := d.find(ctx, query{scope: ldap.ScopeBaseObject, filter: anyEntry, attributes: []string{"configurationNamingContext"}})
	if err != nil {
		return nil, err
	}
	if len(root) != 1 || !root[0].has("configurationNamingContext") {
		return nil, errNoNamingContexts
	}
	found, err := d.find(ctx, query{
		base: "CN=Partitions," + root[0].text("configurationNamingContext"), scope: ldap.ScopeSingleLevel,
		filter: "(&(objectClass=crossRef)" + filter + ")", attributes: []string{"nETBIOSName", "dnsRoot", "nCName"},
	})
	if err != nil {
		return nil, err
	}
	var all []domain
	for _, e := range found {
		one := domain{dn: e.text("nCName")}
		for _, name := range append(e.texts("nETBIOSName"), e.texts("dnsRoot")...) {
			one.names = append(one.names, providers.Login(name).Key())
		}
		all = append(all, one)
	}
	if len(all) == 0 {
		return nil, errors.New("the directory does not say its domain's names; set users.domains")
	}
	return all, nil
}
