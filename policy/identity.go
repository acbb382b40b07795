package policy

import (
	"hash/maphash"
	"slices"
	"strings"
	"sync"

	"shorepass/internal/fold"
	"shorepass/internal/lru"
	"shorepass/registry"
)

// identity holds a person's names once they were matched with the entries of the
// rules. It is never changed.
type identity struct {
	names

	users       ids    // the entries that match the user name
	userText    string // what stands in for {user}
	userCanFill bool   // it can

	// What allow rules go by, and what deny rules go by: groups that the person
	// is in, and those too that the person may be in. The two are one where all
	// groups are known.
	sure, possible *membership
}

// names are the names of a person as a request has them.
type names struct {
	user      string
	groups    []string
	unsure    []string
	foldsCase bool
	anonymous bool
}

func namesOf(req *Request) names {
	return names{req.User, req.Groups, req.Unsure, req.FoldsCase, req.Anonymous}
}

func (n *names) equal(other *names) bool {
	return n.user == other.user && n.foldsCase == other.foldsCase && n.anonymous == other.anonymous &&
		slices.Equal(n.groups, other.groups) && slices.Equal(n.unsure, other.unsure)
}

// membership is a set of groups, with the entries of rules that match them.
type membership struct {
	entries    ids     // that match any of the groups; without credentials, those of "anonymous" alone
	all        bool    // any group at all may be among them
	fillable   []group // the groups that can stand in for {group}, by their text
	unfillable []group // the groups that an entry matches and that cannot
}

// group is a group of a person, with the entries that match it.
type group struct {
	name    string // as it was given
	text    string // what stands in for {group}
	entries ids
}

// matches reports whether the rule's groups key matches.
func (m *membership) matches(r *rule) bool {
	return m.entries.intersects(&r.groups) || m.all && r.namesGroups
}

// newIdentity matches the names of a person with the entries of all rules.
func (p *Policy) newIdentity(n names) *identity {
	n.groups, n.unsure = slices.Clone(n.groups), slices.Clone(n.unsure)
	w := &identity{names: n}
	if !n.anonymous {
		w.users = newIDs(p.users.matching(n.user, n.foldsCase))
		w.userText = w.canonical(n.user)
		w.userCanFill = registry.IsComponent(w.userText)
	}
	w.sure = p.newMembership(w, n.groups)
	w.possible = w.sure
	if len(n.unsure) > 0 && !n.anonymous {
		named := slices.DeleteFunc(slices.Clone(n.unsure), func(name string) bool { return name == UnsureAll })
		w.possible = p.newMembership(w, slices.Concat(n.groups, named))
		w.possible.all = len(named) < len(n.unsure)
	}
	return w
}

// canonical returns a name of the person in the form in which it is compared
// with a repository or a text in a condition.
func (w *identity) canonical(name string) string {
	if w.foldsCase {
		return fold.Name(name)
	}
	return name
}

func (p *Policy) newMembership(w *identity, names []string) *membership {
	m := &membership{}
	var union []int32
	for _, name := range names {
		entries := p.matchingEntries(w, name)
		if len(entries) == 0 {
			continue
		}
		union = append(union, entries...)
		g := group{name, w.canonical(name), newIDs(entries)}
		if registry.IsComponent(g.text) {
			m.fillable = append(m.fillable, g)
		} else {
			m.unfillable = append(m.unfillable, g)
		}
	}
	m.entries = newIDs(union)
	byText := func(a, b group) int { return strings.Compare(a.text, b.text) }
	slices.SortStableFunc(m.fillable, byText)
	slices.SortStableFunc(m.unfillable, byText)
	return m
}

// matchingEntries returns the entries of groups keys that match a group. Our own
// two are matched by these very words only, in whatever way their provider
// compares names, and no person with credentials is in "anonymous", wherever the
// name comes from.
func (p *Policy) matchingEntries(w *identity, name string) []int32 {
	switch {
	case (name == anonymous) != w.anonymous:
		return nil
	case isReserved(name):
		return p.groups.exactly(name)
	}
	return p.groups.matching(name, w.foldsCase)
}

// isReserved reports whether a group is one of our own two, or would pass for one: a
// provider's groups of these names are dropped.
func isReserved(group string) bool {
	if len(group) != len(anonymous) && len(group) != len(authenticated) {
		return false
	}
	return strings.EqualFold(group, anonymous) || strings.EqualFold(group, authenticated)
}

// withText returns the groups that stand in for {group} as that text. Groups that
// differ in case alone are several.
func (m *membership) withText(text string) []group {
	at := func(g group, text string) int { return strings.Compare(g.text, text) }
	first, found := slices.BinarySearchFunc(m.fillable, text, at)
	if !found {
		return nil
	}
	end := first + 1
	for end < len(m.fillable) && m.fillable[end].text == text {
		end++
	}
	return m.fillable[first:end]
}

// size is about how many bytes a person takes.
func (w *identity) size() int {
	n := 384 + len(w.user) + 16*(len(w.groups)+len(w.unsure)) + 4*len(w.users.all) + w.sure.size()
	if w.possible != w.sure {
		n += w.possible.size()
	}
	return n
}

func (m *membership) size() int {
	n := 96 + 4*len(m.entries.all)
	for _, groups := range [][]group{m.fillable, m.unfillable} {
		for i := range groups {
			n += 72 + 4*len(groups[i].entries.all)
		}
	}
	return n
}

// identityCache is an LRU cache of the persons who asked lately, so that the names of a
// person are matched once and not with each request. It is bounded by memory
// and has no TTL, since a policy never changes. Its key is a hash; a person
// found by it is compared in full, so that a collision costs time and never
// rights.
type identityCache struct {
	mu    sync.Mutex // of cache
	cache *lru.Cache[uint64, *identity]
}

// maxIdentityCache bounds the memory of the cache: some five thousand persons of twenty
// groups.
const maxIdentityCache = 12 << 20

func newIdentityCache() identityCache {
	return identityCache{cache: lru.NewWeighted[uint64](maxIdentityCache, (*identity).size)}
}

func (p *identityCache) get(key uint64) *identity {
	p.mu.Lock()
	defer p.mu.Unlock()
	w, _ := p.cache.Get(key)
	return w
}

func (p *identityCache) put(key uint64, w *identity) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cache.Put(key, w)
}

// identity returns the person that a request comes from.
func (p *Policy) identity(req *Request) *identity {
	switch {
	case p.anonymous == nil: // the zero Policy, by which no name matches
		return p.newIdentity(names{anonymous: req.Anonymous})
	case req.Anonymous:
		return p.anonymous
	}
	n := namesOf(req)
	key := n.hash()
	if w := p.identities.get(key); w != nil && w.names.equal(&n) {
		return w
	}
	w := p.newIdentity(n)
	p.identities.put(key, w)
	return w
}

// hash goes by the name and some of the groups, which tells most persons apart.
func (n *names) hash() uint64 {
	h := maphash.String(seed, n.user) ^ uint64(len(n.groups)) ^ uint64(len(n.unsure))<<32
	for i := 0; i < len(n.groups); i += 1 + len(n.groups)/4 {
		h = h*31 + maphash.String(seed, n.groups[i])
	}
	return h
}

var seed = maphash.MakeSeed()

// MatchedGroups returns, for the audit line, the person's groups that an entry of
// some rule's groups key matches, sorted, and in the same way the unsure ones,
// which may include UnsureAll. After a decision it finds the person in the cache.
func (p *Policy) MatchedGroups(req Request) (groups, unsure []string) {
	w := p.identity(&req)
	for _, matched := range [][]group{w.sure.fillable, w.sure.unfillable} {
		for i := range matched {
			groups = append(groups, matched[i].name)
		}
	}
	slices.Sort(groups)
	for _, name := range w.unsure {
		if name == UnsureAll || len(p.matchingEntries(w, name)) > 0 {
			unsure = append(unsure, name)
		}
	}
	return groups, unsure
}

// ReferencedClaims returns, by their dotted paths, the person's claims that some
// rule names. It is the counterpart of [Policy.MatchedGroups]. The values are
// those of the request; the caller must not change them.
func (p *Policy) ReferencedClaims(req Request) map[string]any {
	if req.Anonymous {
		return nil
	}
	var found map[string]any
	for _, path := range p.referencedClaims {
		value, ok := path.lookUp(req.Claims)
		if !ok {
			continue
		}
		if found == nil {
			found = make(map[string]any)
		}
		found[path.String()] = value
	}
	return found
}
