package ldap

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	ldap "github.com/go-ldap/ldap/v3"
	"golang.org/x/text/unicode/norm"

	"shorepass/internal/lru"
	"shorepass/providers"
)

const (
	// attrAccountName is unique in a domain of Active Directory ([MS-SAMR],
	// section 3.1.1.8.4), and not in a forest.
	attrAccountName = "sAMAccountName"

	// nameTTL is the TTL of a name that one group has. ambiguousTTL is that of a
	// name that several have; it is short, so that a correction takes effect soon.
	nameTTL      = time.Hour
	ambiguousTTL = time.Minute

	maxNameEntries = 10_000
)

// nameCache is a cache (LRU, TTL) of the groups that have a name, with a bound of
// maxNameEntries groups in all. A rule that names a group means one group, and with
// several it is not known which: an administrator of a part of the tree could give
// a group the name of another, to gain its rights or to escape a rule that denies
// it.
type nameCache struct {
	mu    sync.Mutex
	cache *lru.Cache[string, cachedName] // by nameKey
}

type cachedName struct {
	groups  []group
	expires time.Time
}

func newNameCache() *nameCache {
	return &nameCache{cache: lru.NewWeighted[string](maxNameEntries, func(n cachedName) int { return len(n.groups) })}
}

// get returns the groups of a name, or nil if they are not cached.
func (c *nameCache) get(name string) []group {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	found, _ := c.cache.GetIf(name, func(n cachedName) bool { return !now.After(n.expires) })
	return found.groups
}

func (c *nameCache) put(name string, groups []group) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ttl := nameTTL
	if len(groups) > 1 {
		ttl = ambiguousTTL
	}
	c.cache.Put(name, cachedName{groups, time.Now().Add(ttl)})
}

// ambiguous returns the keys of the groups whose name, after only and rename,
// another group has too.
func (g *groupFinder) ambiguous(ctx context.Context, s searcher, found []group) (map[string]bool, error) {
	byName := make(map[string][]group, len(found))
	for _, one := range found {
		if _, kept := g.finalName(one); kept {
			byName[nameKey(one.name)] = append(byName[nameKey(one.name)], one)
		}
	}
	if g.namesakes != nil {
		if err := g.addNamesakes(ctx, s, byName); err != nil {
			return nil, err
		}
	}
	ambiguous := make(map[string]bool)
	for _, entries := range byName {
		byFinal := make(map[string][]group, 1)
		for _, one := range union(entries, nil) {
			if final, kept := g.finalName(one); kept {
				byFinal[final] = append(byFinal[final], one)
			}
		}
		for final, several := range byFinal {
			if len(several) > 1 {
				g.addAmbiguous(ambiguous, final, several)
			}
		}
	}
	return ambiguous, g.addRenameClashes(ctx, s, found, ambiguous)
}

// finalName returns the key of the name that a group has after rename. kept is false
// if the group has no name or only drops it.
func (g *groupFinder) finalName(one group) (key string, kept bool) {
	name, kept := g.namer.Name(one.foundGroup())
	return nameKey(name), kept && one.name != ""
}

// addAmbiguous adds the keys of the groups that have one name, and warns of them.
func (g *groupFinder) addAmbiguous(ambiguous map[string]bool, name string, several []group) {
	for _, one := range several {
		ambiguous[one.key] = true
	}
	slices.SortFunc(several, func(a, b group) int { return strings.Compare(a.dn, b.dn) })
	g.warnings.add("groups.only", fmt.Sprintf("groups %s and %s are both called %q: a rule that denies it holds for the members of both, and a rule that allows it for none; "+
		"write the DN of the group that rules mean in groups.only, or give one of them another name by its DN in groups.rename", several[0].dn, several[1].dn, name))
}

// addNamesakes adds to the groups of each name the other groups that have it. It
// searches the base for names that are not cached, and for names of a group that is
// not among the cached ones.
func (g *groupFinder) addNamesakes(ctx context.Context, s searcher, byName map[string][]group) error {
	var unknown []string
	for name, own := range byName {
		known := g.namesakes.get(name)
		if all := union(known, own); len(all) > len(known) {
			unknown = append(unknown, name)
		} else {
			byName[name] = all
		}
	}
	slices.Sort(unknown)
	_, ownRights := s.(personConn)
	for chunk := range slices.Chunk(unknown, batchSize) {
		found, err := g.searchNames(ctx, s, chunk, byName)
		if err != nil {
			return err
		}
		for _, name := range chunk {
			all := union(byName[name], found[name])
			if ownRights { // each person may see other groups
				all = union(all, g.namesakes.get(name))
			}
			g.namesakes.put(name, all)
			byName[name] = all
		}
	}
	return nil
}

// searchNames returns the groups under the base that have one of the names, by name.
// An error, such as a size limit, means that the groups are not known now.
func (g *groupFinder) searchNames(ctx context.Context, s searcher, names []string, own map[string][]group) (map[string][]group, error) {
	entries, err := s.find(ctx, query{
		base: g.cfg.base(), scope: searchScope(g.cfg.Scope), attributes: []string{g.cfg.Name}, paged: true,
		filter: orFilter(names, func(name string) string { return g.nameFilter(own[name][0].name) }),
	})
	switch {
	case resultCode(err) == ldap.LDAPResultNoSuchObject:
		return nil, missingBaseError("groups.base", g.cfg.base(), err)
	case err != nil:
		return nil, fmt.Errorf("search for groups of the same name under %q: %w%s", g.cfg.base(), err, hint(err))
	}
	if len(entries) > maxGroups {
		return nil, errTooManyGroups
	}
	found := make(map[string][]group, len(names))
	for _, e := range entries {
		one := g.dns.found(e.dn)
		if one.id == "" {
			continue
		}
		candidates := e.texts(g.cfg.Name) // one of them may be the name, if the DN does not contain it
		if one.name != "" {
			candidates = []string{one.name}
		}
		for _, candidate := range candidates {
			if key := nameKey(candidate); slices.Contains(names, key) {
				one.name = candidate
				found[key] = append(found[key], one)
			}
		}
	}
	return found, nil
}

// nameFilter matches the groups of a name as the entry spells it, and as rules spell
// it if that differs, for a server that tells the two apart.
func (g *groupFinder) nameFilter(name string) string {
	filter := "(" + g.cfg.Name + "=" + ldap.EscapeFilter(name) + ")"
	if plain := norm.NFC.String(strings.TrimSpace(name)); plain != name {
		filter += "(" + g.cfg.Name + "=" + ldap.EscapeFilter(plain) + ")"
	}
	return filter
}

// nameKey returns a group's name in the form that a directory compares.
func nameKey(name string) string {
	return providers.FoldCase(strings.Join(strings.Fields(name), " "))
}

// union returns the groups of both lists without repetition.
func union(a, b []group) []group {
	seen := make(map[string]bool, len(a)+len(b))
	var all []group
	for _, one := range slices.Concat(a, b) {
		if !seen[one.key] {
			seen[one.key] = true
			all = append(all, one)
		}
	}
	return all
}
