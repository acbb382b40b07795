package ldap

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	ldap "github.com/go-ldap/ldap/v3"

	"shorepass/internal/lru"
)

const (
	attrTokenGroups  = "tokenGroups"
	attrPrimaryGroup = "primaryGroupID"

	// matchingRuleInChain is Active Directory's matching rule for membership through
	// nested groups ([MS-ADTS], section 3.1.1.3.4.4.3).
	matchingRuleInChain = "member:1.2.840.113556.1.4.1941:="

	// sidTTL is the TTL of a sidCache, and how long a renamed group keeps its old
	// name. SIDs are never used again.
	sidTTL = time.Hour

	maxSIDs = 10_000
)

// sidCache is a cache (LRU, TTL) of groups by their security identifiers (SIDs). That a
// person sees none of a SID is not cached: others may.
type sidCache struct {
	mu    sync.Mutex
	cache *lru.Cache[string, cachedSID] // by the SID's bytes
}

type cachedSID struct {
	group   group // the zero group if none under the base has the SID
	expires time.Time
}

func newSIDCache() *sidCache {
	return &sidCache{cache: lru.New[string, cachedSID](maxSIDs)}
}

func (c *sidCache) get(sid string) (group, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	found, ok := c.cache.GetIf(sid, func(s cachedSID) bool { return now.Before(s.expires) })
	return found.group, ok
}

func (c *sidCache) put(sid string, g group) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cache.Put(sid, cachedSID{g, time.Now().Add(sidTTL)})
}

// tokenGroups returns the groups in the entry's tokenGroups attribute, Active
// Directory's own list of direct, nested and primary groups ([MS-ADTS], section
// 3.1.1.4.5.19). Only a search with scope base shows it.
func (g *groupFinder) tokenGroups(ctx context.Context, s searcher, e entry) ([]group, error) {
	found, err := s.find(ctx, query{base: e.dn, scope: ldap.ScopeBaseObject, filter: "(objectClass=*)", attributes: []string{attrTokenGroups}})
	if err != nil {
		return nil, fmt.Errorf("read tokenGroups: %w", err)
	}
	if len(found) != 1 || !found[0].has(attrTokenGroups) {
		return nil, errNoTokenGroups
	}
	values := found[0].values(attrTokenGroups)
	if len(values) > maxGroups {
		return nil, errTooManyGroups
	}
	var all []group
	var unknown []string
	for _, sid := range values {
		one, known := g.sids.get(string(sid))
		switch {
		case !known:
			unknown = append(unknown, string(sid))
		case one.key != "":
			all = append(all, one)
		}
	}
	for chunk := range slices.Chunk(unknown, batchSize) {
		named, err := g.searchSIDs(ctx, s, chunk)
		if err != nil {
			return nil, err
		}
		all = append(all, named...)
	}
	return all, nil
}

// searchSIDs returns the groups under the base that have one of the SIDs, and caches
// also which SIDs have none.
func (g *groupFinder) searchSIDs(ctx context.Context, s searcher, sids []string) ([]group, error) {
	found, err := s.find(ctx, query{
		base: g.cfg.base(), scope: searchScope(g.cfg.Scope), attributes: []string{attrSID, g.cfg.Name}, paged: true,
		filter: orFilter(sids, func(sid string) string { return "(" + attrSID + "=" + escapeBytes([]byte(sid)) + ")" }),
	})
	switch {
	case resultCode(err) == ldap.LDAPResultNoSuchObject:
		return nil, missingBaseError("groups.base", g.cfg.base(), err)
	case err != nil:
		return nil, fmt.Errorf("search for groups under %q: %w%s", g.cfg.base(), err, hint(err))
	}
	named := make(map[string]group, len(found))
	for _, e := range found {
		if one, ok := g.groupOfEntry(e); ok {
			named[e.text(attrSID)] = one
		}
	}
	_, ownRights := s.(personConn)
	var all []group
	for _, sid := range sids {
		one, ok := named[sid]
		if ok || !ownRights {
			g.sids.put(sid, one)
		}
		if ok {
			all = append(all, one)
		}
	}
	return all, nil
}

// inChain searches for direct and nested groups with the matching rule. The rule does
// not cover the primary group, which does not list the person as a member; the entry
// names it by a number within the domain's SID.
func (g *groupFinder) inChain(ctx context.Context, s searcher, e entry) ([]group, error) {
	primary, err := primarySID(e)
	if err != nil {
		return nil, err
	}
	dn, err := g.dnOf(ctx, s, primary)
	if err != nil {
		return nil, err
	}
	filter := "(" + matchingRuleInChain + ldap.EscapeFilter(e.dn) + ")(" + attrSID + "=" + escapeBytes(primary) + ")"
	if dn != "" {
		filter += "(" + matchingRuleInChain + ldap.EscapeFilter(dn) + ")"
	}
	return g.search(ctx, s, "(&(objectClass=group)(|"+filter+"))")
}

// primarySID returns the SID of the primary group: the person's own with another last
// part.
func primarySID(e entry) ([]byte, error) {
	id, err := e.number(attrPrimaryGroup)
	if err != nil {
		return nil, err
	}
	sid := slices.Clone([]byte(e.text(attrSID)))
	if len(sid) < 12 || id < 0 || id > 1<<32-1 {
		return nil, fmt.Errorf("the entry shows no %s that can be read", attrSID)
	}
	binary.LittleEndian.PutUint32(sid[len(sid)-4:], uint32(id))
	return sid, nil
}

// dnOf returns the DN of the entry that has a SID, or "". Only Active Directory takes a
// base of this form ([MS-ADTS], section 3.1.1.3.1.2.4).
func (g *groupFinder) dnOf(ctx context.Context, s searcher, sid []byte) (string, error) {
	if one, known := g.sids.get(string(sid)); known {
		return one.dn, nil
	}
	found, err := s.find(ctx, query{base: "<SID=" + formatSID(sid) + ">", scope: ldap.ScopeBaseObject, filter: "(objectClass=*)", attributes: []string{"distinguishedName"}})
	if err != nil && resultCode(err) != ldap.LDAPResultNoSuchObject {
		return "", fmt.Errorf("read the primary group: %w", err)
	}
	var one group
	if len(found) == 1 {
		one.dn = found[0].dn
	}
	if _, ownRights := s.(personConn); one.dn != "" || !ownRights {
		g.sids.put(string(sid), one)
	}
	return one.dn, nil
}

// formatSID returns the text form of a SID ([MS-DTYP], section 2.4.2): revision,
// authority, and parts of 32 bits.
func formatSID(sid []byte) string {
	if len(sid) < 8 || len(sid) != 8+4*int(sid[1]) {
		return ""
	}
	authority := binary.BigEndian.Uint64(append([]byte{0, 0}, sid[2:8]...))
	var b strings.Builder
	fmt.Fprintf(&b, "S-%d-%d", sid[0], authority)
	for part := range slices.Chunk(sid[8:], 4) {
		fmt.Fprintf(&b, "-%d", binary.LittleEndian.Uint32(part))
	}
	return b.String()
}
