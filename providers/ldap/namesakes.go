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
	// section 3.1.1.8.4).
	attrAccountName = "sAMAccountName"

	// nameTTL is the TTL of a name that one entry has, sharedFor that of one
	// that several have, so that a cure helps soon.
	nameTTL      = time.Hour
	ambiguousTTL = time.Minute

	maxNameEntries = 10_000 // entries
)

// nameCache is a cache of the entries that have a group name, with a bound of
// maxOwners entries. A rule that names a group means one entry, and with several
// it is not known which: an administrator of a part of the tree could give a group
// the name of another one, to be a member of that or to escape a rule that denies
// it.
type nameCache struct {
	mu    sync.Mutex
	cache *lru.Cache[string, cachedName] // by the name, folded
}

type cachedName struct {
	entries []group
	expires time.Time
}

func newNameCache() *nameCache {
	return &nameCache{cache: lru.NewWeighted[string](maxNameEntries, func(o cachedName) int { return len(o.entries) })}
}

// get returns the entries that have a name, if they are known.
func (o *nameCache) get(name string) []group {
	o.mu.Lock()
	defer o.mu.Unlock()
	found, _ := o.cache.Get(name)
	if time.Now().After(found.expires) {
		return nil
	}
	return found.entries
}

func (o *nameCache) put(name string, entries []group) {
	o.mu.Lock()
	defer o.mu.Unlock()
	ttl := nameTTL
	if len(entries) > 1 {
		ttl = ambiguousTTL
	}
	o.cache.Put(name, cachedName{entries, time.Now().Add(ttl)})
}

// ambiguous returns the keys of those groups whose name, as only and rename leave it,
// is that of another group too.
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

// finalName returns the name that a group has after rename, folded. It is not kept
// where it has no name, or only drops it.
func (g *groupFinder) finalName(one group) (string, bool) {
	name, kept := g.namer.Name(one.foundGroup())
	return nameKey(name), kept && one.name != ""
}

// addAmbiguous adds the keys of several groups of one name, and warns of them.
func (g *groupFinder) addAmbiguous(ambiguous map[string]bool, name string, several []group) {
	for _, one := range several {
		ambiguous[one.key] = true
	}
	slices.SortFunc(several, func(a, b group) int { return strings.Compare(a.dn, b.dn) })
	g.warnings.add(fmt.Sprintf("groups %s and %s are both called %q: a rule that denies it holds for the members of both, and a rule that allows it for none; "+
		"write the DN of the group that rules mean in groups.only, or give one of them another name by its DN in groups.rename", several[0].dn, several[1].dn, name))
}

// addNamesakes adds the other entries that have the same name to the groups of each.
// It searches the base for names that are not cached, and for those that belonged
// to another entry when they were searched for.
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
			if ownRights { // with rights that differ from person to person, each sees a part
				all = union(all, g.namesakes.get(name))
			}
			g.namesakes.put(name, all)
			byName[name] = all
		}
	}
	return nil
}

// searchNames returns the entries under the base that have one of the names, by
// name. An error, such as a size limit, means that the groups cannot be told now.
func (g *groupFinder) searchNames(ctx context.Context, s searcher, names []string, own map[string][]group) (map[string][]group, error) {
	entries, err := s.find(ctx, query{
		base: g.cfg.Base, scope: searchScope(g.cfg.Scope), attributes: []string{g.cfg.Name}, paged: true,
		filter: orFilter(names, func(name string) string { return g.nameFilter(own[name][0].name) }),
	})
	switch {
	case resultCode(err) == ldap.LDAPResultNoSuchObject:
		return nil, fmt.Errorf("%q does not exist, or the service account may not search it for other groups of a name: %w", g.cfg.Base, err)
	case err != nil:
		return nil, fmt.Errorf("search for other groups of a name under %q: %w%s", g.cfg.Base, err, hint(err))
	}
	if len(entries) > maxGroups {
		return nil, errTooManyGroups
	}
	found := make(map[string][]group, len(names))
	for _, e := range entries {
		one := g.dns.group(e.dn)
		if one.id == "" {
			continue
		}
		candidates := e.texts(g.cfg.Name) // what its name may be, where the DN does not hold it
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

// nameFilter matches the entries of a name: as this entry has it, and as rules have
// it where that differs, for a server that tells the two apart.
func (g *groupFinder) nameFilter(name string) string {
	filter := "(" + g.cfg.Name + "=" + ldap.EscapeFilter(name) + ")"
	if plain := norm.NFC.String(strings.TrimSpace(name)); plain != name {
		filter += "(" + g.cfg.Name + "=" + ldap.EscapeFilter(plain) + ")"
	}
	return filter
}

// nameKey returns a group's name in the form in which a directory compares it.
func nameKey(name string) string {
	return providers.FoldCase(strings.Join(strings.Fields(name), " "))
}

// union returns the groups of both lists, each once.
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
