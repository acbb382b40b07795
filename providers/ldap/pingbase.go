package ldap

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	ldap "github.com/go-ldap/ldap/v3"

	"shorepass/providers"
)

const anyEntry = "(objectClass=*)"

// containers matches the entries that people and groups are usually under.
const containers = "(|(objectClass=organizationalUnit)(objectClass=container)(objectClass=organization)(objectClass=domain)(objectClass=nsContainer))"

// maxNamed bounds the entries and values that a finding names.
const maxNamed = 8

// place returns a base as a finding names it.
func place(base string) string {
	if base == "" {
		return `"" (the whole forest)`
	}
	return strconv.Quote(base)
}

// account names the account that searches, as the subject of a sentence.
func (p *Provider) account() string {
	if p.cfg.BindDN == "" {
		return "an anonymous search"
	}
	return fmt.Sprintf("the service account %q", p.cfg.BindDN)
}

// readRights is what to do where the account that searches sees too little.
func (p *Provider) readRights() string {
	if p.cfg.BindDN == "" {
		return "write bind_dn and bind_password"
	}
	return "give it the right to read there, or write another account in bind_dn"
}

// searchFault returns the fault of a search that failed under a base, which is written in
// a key.
func (p *Provider) searchFault(ctx context.Context, key, base string, err error) providers.Finding {
	switch own := providers.KeyOf(err); {
	case resultCode(err) == ldap.LDAPResultNoSuchObject, resultCode(err) == ldap.LDAPResultReferral:
		return p.missingBase(ctx, key, base)
	case own != "":
		return providers.Faultf(own, "search under %s: %v", place(base), err)
	}
	return providers.Faultf(key, "search under %s: %v%s", place(base), err, hint(err))
}

// missingBase returns the fault of a base that does not exist or is hidden: it names the
// nearest entry above that the directory shows, and what that one contains.
func (p *Provider) missingBase(ctx context.Context, key, base string) providers.Finding {
	if base == "" {
		return providers.Faultf("urls", "%s is empty, for the whole forest, and the servers are no global catalogs: write port 3269 in urls, or 3268 with start_tls", key)
	}
	contexts := p.shownContexts(ctx)
	if len(contexts) > 0 && !isUnderAny(contexts, base) {
		return otherDirectory(key, base, contexts)
	}
	above := p.nearestAbove(ctx, base)
	if above == "" {
		return providers.Faultf("bind_dn", "%s sees neither %q nor an entry above it: %s", p.account(), base, p.readRights())
	}
	return providers.Faultf(key, "%q does not exist, or %s may not see it; %q contains %s", base, p.account(), above, p.contents(ctx, above))
}

// otherDirectory returns the fault of a base that is under none of the naming contexts.
func otherDirectory(key, base string, contexts []string) providers.Finding {
	return providers.Faultf(key, "%q is not in this directory, which holds %s: write a DN under that", base, providers.Quoted(contexts))
}

// reportBases reports bases in other directories, where there is no account to search them
// with: most servers show their naming contexts to all.
func (p *Provider) reportBases(ctx context.Context) providers.Findings {
	var root entry
	err := p.dir.search.do(ctx, serviceShare, func(c *conn) (err error) {
		root, err = readRootDSE(c.ldap, []string{"namingContexts"})
		return err
	})
	contexts := root.texts("namingContexts")
	if err != nil || len(contexts) == 0 {
		return nil
	}
	var found providers.Findings
	for _, one := range []struct{ key, base string }{{p.usersBaseKey(), p.cfg.Users.base()}, {"groups.base", p.cfg.Groups.base()}} {
		if one.base != "" && !isUnderAny(contexts, one.base) {
			found = append(found, otherDirectory(one.key, one.base, contexts))
		}
	}
	return found
}

// shownContexts returns the naming contexts that the root DSE shows, or nil.
func (p *Provider) shownContexts(ctx context.Context) []string {
	root, err := p.dir.find(ctx, query{scope: ldap.ScopeBaseObject, filter: anyEntry, attributes: []string{"namingContexts"}})
	if err != nil || len(root) != 1 {
		return nil
	}
	return root[0].texts("namingContexts")
}

// isUnderAny reports whether a DN is one of the bases or below one.
func isUnderAny(bases []string, dn string) bool {
	parsed, err := ldap.ParseDN(dn)
	if err != nil {
		return false
	}
	for _, text := range bases {
		if base, err := ldap.ParseDN(text); err == nil && (dnKey(base) == dnKey(parsed) || isDescendant(base, parsed, scopeSub)) {
			return true
		}
	}
	return false
}

// nearestAbove returns the nearest entry above a DN that the directory shows, or "".
func (p *Provider) nearestAbove(ctx context.Context, dn string) string {
	parsed, err := ldap.ParseDN(dn)
	if err != nil {
		return ""
	}
	for i := 1; i < len(parsed.RDNs); i++ {
		above := normalizeDN(&ldap.DN{RDNs: parsed.RDNs[i:]})
		found, err := p.dir.find(ctx, query{base: above, scope: ldap.ScopeBaseObject, filter: anyEntry, attributes: []string{"1.1"}})
		if err == nil && len(found) == 1 {
			return above
		}
	}
	return ""
}

// contents names some entries directly below a DN, containers first.
func (p *Provider) contents(ctx context.Context, dn string) string {
	for _, filter := range []string{containers, anyEntry} {
		// An error, such as a size limit, comes with the entries before it.
		found, _ := p.dir.find(ctx, query{base: dn, scope: ldap.ScopeSingleLevel, filter: filter, attributes: []string{"1.1"}, sizeLimit: maxNamed})
		if len(found) > 0 {
			return nameEntries(found)
		}
	}
	return "nothing that is shown"
}

// nameEntries returns the first RDNs of entries.
func nameEntries(found []entry) string {
	var names []string
	for _, e := range found {
		if dn, err := ldap.ParseDN(e.dn); err == nil && len(dn.RDNs) > 0 {
			names = append(names, normalizeDN(&ldap.DN{RDNs: dn.RDNs[:1]}))
		}
	}
	return strings.Join(names, ", ")
}

// shownOf returns those of the attributes that an entry shows with one value.
func (p *Provider) shownOf(ctx context.Context, dn string, attributes []string) []string {
	found, err := p.dir.find(ctx, query{base: dn, scope: ldap.ScopeBaseObject, filter: anyEntry, attributes: attributes})
	if err != nil || len(found) != 1 {
		return nil
	}
	var shown []string
	for _, name := range attributes {
		if len(found[0].values(name)) == 1 {
			shown = append(shown, name)
		}
	}
	return shown
}

// belowBase returns the entries but for the base itself, which is no person and no group,
// sorted by DN: a server may return them in another order each time.
func belowBase(entries []entry, base string) []entry {
	entries = slices.DeleteFunc(entries, func(e entry) bool { return sameDN(e.dn, base) })
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.dn, b.dn) })
	return entries
}

// maxSearched bounds the entries among which sampleOf finds the first.
const maxSearched = 64

// sampleOf returns the first of up to maxSearched entries below a base, at most maxNamed,
// without the service account.
func (p *Provider) sampleOf(ctx context.Context, base, scope, filter string) []entry {
	found, _ := p.dir.find(ctx, query{base: base, scope: searchScope(scope), filter: filter, attributes: []string{"1.1"}, sizeLimit: maxSearched})
	found = slices.DeleteFunc(belowBase(found, base), func(e entry) bool { return sameDN(e.dn, p.cfg.BindDN) })
	return found[:min(len(found), maxNamed)]
}

// sameDN reports whether two texts are one DN.
func sameDN(a, b string) bool {
	first, err := ldap.ParseDN(a)
	if err != nil {
		return false
	}
	second, err := ldap.ParseDN(b)
	return err == nil && dnKey(first) == dnKey(second)
}
