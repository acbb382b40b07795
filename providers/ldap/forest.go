package ldap

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	ldap "github.com/go-ldap/ldap/v3"

	"shorepass/providers"
)

// A forest of Active Directory is several domains that share a schema and a configuration.
// Each of its global catalogs has a part of the attributes of all accounts, and listens on
// ports of its own ([MS-ADTS], section 3.1.1.1.10). Account names are unique in a domain
// alone. Members of a group are known in every global catalog for universal groups, and
// for others only in the group's own domain.

const (
	// unsureTTL is the TTL of the cache of unsure groups, whose members a global catalog
	// does not all know.
	unsureTTL = 10 * time.Minute

	// maxUnsure bounds these groups. With more of them, any group may be a person's.
	maxUnsure = 1000

	// maxNamesakes bounds the accounts of one name that a search in one domain reads:
	// other domains may be below its base.
	maxNamesakes = 100
)

// globalCatalogPorts are the ports of global catalogs, without and with TLS.
var globalCatalogPorts = []string{"3268", "3269"}

// notUniversal matches groups that are not universal, by a bitwise AND of groupType
// ([MS-ADTS], section 2.2.12).
const notUniversal = "(&(objectClass=group)(!(groupType:1.2.840.113556.1.4.803:=8)))"

// searchesForest reports whether the servers are global catalogs of Active Directory.
func (c Config) searchesForest() bool {
	if c.Preset != presetAD {
		return false
	}
	return c.Users.Base != nil && c.Users.base() == "" || slices.ContainsFunc(c.URLs, func(raw string) bool {
		u, err := url.Parse(raw)
		return err == nil && (slices.Contains(globalCatalogPorts, u.Port()) || strings.HasPrefix(strings.ToLower(u.Hostname()), "_gc."))
	})
}

// forestDomains returns the domains of the forest: the naming contexts with accounts
// ([MS-ADTS], section 2.2.17: FLAG_CR_NTDS_NC and FLAG_CR_NTDS_DOMAIN of systemFlags).
func (d *directory) forestDomains(ctx context.Context) ([]domain, error) {
	return d.crossRefs(ctx, "(systemFlags:1.2.840.113556.1.4.803:=3)")
}

// findInDomain returns the one entry of a login name, in its domain if it has one.
func (p *Provider) findInDomain(ctx context.Context, s searcher, name loginName) (entry, error) {
	filter, scope := p.userFilter.filter(name.values()), searchScope(p.cfg.Users.Scope)
	if name.domain == "" {
		return p.findOne(ctx, s, p.cfg.Users.base(), scope, filter)
	}
	base, overlap := deeperBase(p.cfg.Users.base(), name.domain)
	if !overlap {
		return entry{}, fmt.Errorf("%w: users.base is in another domain than %s", errNoEntry, name.domain)
	}
	found, err := s.find(ctx, query{base: base, scope: scope, filter: filter, attributes: p.attributes, sizeLimit: maxNamesakes})
	found = slices.DeleteFunc(found, func(e entry) bool { // a child domain is below its parent
		own, err := domainOf(e.dn)
		return err != nil || !sameDN(own, name.domain)
	})
	return p.oneOf(ctx, s, found, err, base, scope, filter)
}

// deeperBase returns the one of two bases that is below the other. overlap is false if
// neither is.
func deeperBase(a, b string) (base string, overlap bool) {
	switch {
	case a == "" || isUnderAny([]string{a}, b):
		return b, true
	case isUnderAny([]string{b}, a):
		return a, true
	}
	return "", false
}

// severalDomains reports whether the servers are global catalogs of several domains.
func (p *Provider) severalDomains(ctx context.Context) (bool, error) {
	if !p.forest || p.domains.read == nil {
		return p.forest, nil // with a DN template there may be no account to read the domains with
	}
	all, err := p.domains.known(ctx)
	return len(all) > 1, err
}

// checkNameInForest rejects a user name that an account of another domain has too: rules
// would take the two for one person.
func (p *Provider) checkNameInForest(ctx context.Context, s searcher, name string) error {
	several, err := p.severalDomains(ctx)
	if err != nil || !several {
		return err
	}
	filter := "(&" + p.userFilter.wildcardFilter() + "(" + p.cfg.Users.Name + "=" + ldap.EscapeFilter(name) + "))"
	found, err := s.find(ctx, query{base: "", scope: ldap.ScopeWholeSubtree, filter: filter, attributes: []string{"1.1"}, sizeLimit: 2})
	if err != nil && resultCode(err) != ldap.LDAPResultSizeLimitExceeded {
		return fmt.Errorf("search for accounts of the same name: %w", err)
	}
	if len(found) < 2 {
		return nil
	}
	err = fmt.Errorf("%s and %s are both called %q: write an attribute that is unique in the forest in users.name, such as userPrincipalName", found[0].dn, found[1].dn, name)
	p.warnings.add("users.name", err.Error())
	return providers.Reject(providers.Ambiguous, providers.WithKey("users.name", err))
}

// unsureGroups is a cache with a TTL of the groups whose members a global catalog does not
// all know: those that are not universal, and those that contain such a group at any
// depth. Any person may be in one.
type unsureGroups struct {
	mu      sync.Mutex
	groups  []group
	all     bool // there are more than maxUnsure
	expires time.Time
}

// unsureGroups returns the groups under the base that any person of the forest may be in,
// from the cache or the directory. all is true if there are more than maxUnsure. What a
// search with a person's own rights finds is not cached: others may see other groups.
func (g *groupFinder) unsureGroups(ctx context.Context, s searcher) (groups []group, all bool, err error) {
	if _, ownRights := s.(personConn); ownRights {
		return g.searchUnsureGroups(ctx, s)
	}
	g.unsure.mu.Lock()
	groups, all = g.unsure.groups, g.unsure.all
	fresh := time.Now().Before(g.unsure.expires)
	g.unsure.mu.Unlock()
	if fresh {
		return groups, all, nil
	}
	if groups, all, err = g.searchUnsureGroups(ctx, s); err != nil {
		return nil, false, err
	}
	g.unsure.mu.Lock()
	defer g.unsure.mu.Unlock()
	g.unsure.groups, g.unsure.all, g.unsure.expires = groups, all, time.Now().Add(unsureTTL)
	return groups, all, nil
}

// searchUnsureGroups finds the groups of unsureGroups in the directory.
func (g *groupFinder) searchUnsureGroups(ctx context.Context, s searcher) (groups []group, all bool, err error) {
	find := func(base, filter, attribute string) []entry {
		if err != nil || all {
			return nil
		}
		var found []entry
		found, err = s.find(ctx, query{base: base, scope: ldap.ScopeWholeSubtree, filter: filter, attributes: []string{attribute}, sizeLimit: maxUnsure})
		if resultCode(err) == ldap.LDAPResultSizeLimitExceeded {
			all, err = true, nil
		}
		return found
	}
	for _, e := range find(g.cfg.base(), "(&"+notUniversal+g.onlyFilter()+")", g.cfg.Name) {
		if one, ok := g.groupOfEntry(e); ok {
			groups = append(groups, one)
		}
	}
	// A universal group that contains one of these is shown in memberOf of that one.
	frontier := find("", "(&"+notUniversal+"(memberOf=*))", "memberOf")
	seen := make(map[string]bool)
	for len(frontier) > 0 {
		var outer []group
		for _, e := range frontier {
			for _, value := range e.texts("memberOf") {
				if dn, err := ldap.ParseDN(value); err == nil && !seen[dnKey(dn)] {
					seen[dnKey(dn)] = true
					outer = append(outer, group{dn: value})
				}
			}
		}
		if all = all || len(seen) > maxUnsure; all {
			break
		}
		frontier = nil
		for chunk := range slices.Chunk(outer, batchSize) {
			byDN := orFilter(chunk, func(one group) string { return "(distinguishedName=" + ldap.EscapeFilter(one.dn) + ")" })
			frontier = append(frontier, find("", byDN, "memberOf")...)
			for _, e := range find(g.cfg.base(), byDN, g.cfg.Name) {
				if one, ok := g.groupOfEntry(e); ok {
					groups = append(groups, one)
				}
			}
		}
	}
	return union(groups, nil), all, err
}

// onlyFilter returns a filter that matches at least the groups that groups.only keeps.
func (g *groupFinder) onlyFilter() string {
	if len(g.cfg.Only) == 0 || slices.ContainsFunc(g.cfg.Only, func(text string) bool { return strings.Contains(text, "=") }) {
		return anyEntry // DNs, perhaps, by which no filter can select
	}
	return orFilter(g.cfg.Only, func(glob string) string {
		parts := strings.FieldsFunc("\x00"+glob+"\x00", func(r rune) bool { return r == '*' || r == '?' })
		for i, part := range parts {
			parts[i] = ldap.EscapeFilter(strings.Trim(part, "\x00"))
		}
		return "(" + g.cfg.Name + "=" + strings.Join(parts, "*") + ")"
	})
}

// unsureInForest returns the unsure groups of a person with the groups in found, which are
// certain.
func (g *groupFinder) unsureInForest(ctx context.Context, s searcher, found []providers.FoundGroup) (unsure []providers.FoundGroup, all bool, err error) {
	several, err := g.severalDomains(ctx)
	if err != nil || !several {
		return nil, false, err
	}
	groups, all, err := g.unsureGroups(ctx, s)
	if err != nil {
		return nil, false, fmt.Errorf("search for groups that are not universal: %w", err)
	}
	for _, one := range groups {
		if !slices.ContainsFunc(found, func(f providers.FoundGroup) bool { return strings.EqualFold(f.ID, one.id) }) {
			group := one.foundGroup()
			group.Unsure = true
			unsure = append(unsure, group)
		}
	}
	return unsure, all, nil
}

// reportForest reports the groups whose members a global catalog does not know.
func (p *Provider) reportForest(ctx context.Context) providers.Findings {
	unsure, all, err := p.groups.unsureInForest(ctx, p.dir, nil)
	switch {
	case err != nil:
		return providers.Findings{membershipFault(err)}
	case all:
		return providers.Findings{providers.Warningf("groups.base", "more than %d groups are not universal, and a global catalog does not know all their members: a rule that denies any group holds for every person; write a base with universal groups alone, or a provider for each domain", maxUnsure)}
	}
	unsure = slices.DeleteFunc(unsure, func(one providers.FoundGroup) bool {
		_, kept := p.groups.namer.Name(one)
		return !kept
	})
	if len(unsure) == 0 {
		return nil
	}
	return providers.Findings{providers.Warningf("groups.base", "%s is not universal, or contains a group that is not (%d such groups), and a global catalog does not know all its members: a rule that denies it holds for every person of the forest; leave it out in groups.only, make it universal, or configure a provider for each domain", unsure[0].ID, len(unsure))}
}
