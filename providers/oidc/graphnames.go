package oidc

import (
	"context"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/text/unicode/norm"

	"shorepass/internal/lru"
	"shorepass/providers"
)

const (
	// nameTTL is the TTL of a name that one group has. ambiguousTTL is that of a name
	// that several have; it is short, so that a correction takes effect soon.
	nameTTL      = time.Hour
	ambiguousTTL = time.Minute

	maxNameEntries = 10_000

	// maxFilterName is the longest display name, in characters, that a filter of Graph
	// takes. A longer one cannot be looked up, so it counts as ambiguous.
	maxFilterName = 120

	nameBatch = 7 // names in one filter, of up to two spellings each; Graph takes 15
)

// graphNames is a cache (LRU, TTL) of the groups that have a display name, with a
// bound of maxNameEntries groups in all. Display names are not unique in Entra ID, so
// a rule that names a group by one means a group only while no other has it.
type graphNames struct {
	mu    sync.Mutex
	cache *lru.Cache[string, cachedIDs] // by nameKey
}

// cachedIDs are the IDs of the groups with one name, sorted.
type cachedIDs struct {
	ids     []string
	expires time.Time
}

func newGraphNames() *graphNames {
	return &graphNames{cache: lru.NewWeighted[string](maxNameEntries, func(c cachedIDs) int { return len(c.ids) })}
}

func (n *graphNames) get(name string) []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := time.Now()
	found, _ := n.cache.GetIf(name, func(c cachedIDs) bool { return !now.After(c.expires) })
	return found.ids
}

func (n *graphNames) put(name string, ids []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	ttl := nameTTL
	if len(ids) > 1 {
		ttl = ambiguousTTL
	}
	n.cache.Put(name, cachedIDs{ids, time.Now().Add(ttl)})
}

// unique reports which names only one group has. own are a person's groups by
// nameKey. A name is looked up if it is not cached, or if the person's group is not
// among the cached ones.
func (n *graphNames) unique(ctx context.Context, g *graph, own map[string][]providers.FoundGroup) (map[string]bool, error) {
	unique := make(map[string]bool, len(own))
	var unknown []string
	for _, name := range slices.Sorted(maps.Keys(own)) {
		switch known := n.get(name); {
		case len(own[name]) > 1: // the person is in several of that name
		case slices.Contains(known, own[name][0].ID):
			unique[name] = len(known) == 1
		default:
			unknown = append(unknown, name)
		}
	}
	for batch := range slices.Chunk(unknown, nameBatch) {
		found, complete, err := search(ctx, g, batch, own)
		if err != nil {
			return nil, err
		}
		for _, name := range batch {
			all := union(found[name], own[name])
			if unique[name] = complete && len(all) == 1; complete {
				n.put(name, all)
			}
		}
	}
	return unique, nil
}

// search returns the IDs of the groups that have one of the names, by nameKey, and
// whether these are all.
func search(ctx context.Context, g *graph, names []string, own map[string][]providers.FoundGroup) (found map[string][]string, complete bool, err error) {
	var texts []string
	for _, name := range names {
		for _, text := range spellings(own[name][0].Name) {
			texts = append(texts, "'"+strings.ReplaceAll(text, "'", "''")+"'")
		}
	}
	found = map[string][]string{}
	query := url.Values{"$select": {"id,displayName"}, "$top": {strconv.Itoa(graphPageOfNames)}, "$filter": {"displayName in (" + strings.Join(texts, ",") + ")"}}
	complete, err = g.pages(ctx, g.address("/groups", query), func(one graphObject) bool {
		key := nameKey(one.DisplayName)
		found[key] = append(found[key], one.ID)
		return true
	})
	return found, complete, err
}

// spellings returns a display name as Graph has it, and as rules see it if that
// differs: without blanks around it, and in normal form C.
func spellings(name string) []string {
	if plain := norm.NFC.String(strings.TrimSpace(name)); plain != name {
		return []string{name, plain}
	}
	return []string{name}
}

// nameKey returns a display name in the form in which Entra ID compares it.
func nameKey(name string) string {
	return providers.FoldCase(strings.Join(strings.Fields(name), " "))
}

// union returns ids and those of groups, sorted and without repetition.
func union(ids []string, groups []providers.FoundGroup) []string {
	all := slices.Clone(ids)
	for _, one := range groups {
		all = append(all, one.ID)
	}
	slices.Sort(all)
	return slices.Compact(all)
}
