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

// identity is the identity of a person, with the entries of users and groups
// keys that match it. It is immutable.
type identity struct {
	names

	users       ids    // the entries that match the user name
	userText    string // the value of {user}
	userCanFill bool   // the value can fill {user}

	// sure are the groups that the person is in, by which allow rules go.
	// possible adds the unsure ones, by which deny rules go. Both are one
	// pointer if no group is unsure.
	sure, possible *membership

	matched, matchedUnsure []string // for MatchedGroups
}

// names are the names of a person in a request.
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
	entries    ids     // the entries that match any of the groups; without credentials, those of "anonymous" alone
	all        bool    // any group at all may be in the set
	fillable   []group // the groups that an entry matches and that can fill {group}, sorted by their text
	unfillable []group // the groups that an entry matches and that cannot fill {group}
}

// group is a group of a person, with the entries that match it.
type group struct {
	name    string // as in the request
	text    string // the value of {group}
	entries ids
}

// matches reports whether the rule's groups key matches.
func (m *membership) matches(r *rule) bool {
	return m.entries.intersects(&r.groups) || m.all && r.namesGroups
}

// newIdentity matches the names of a person with the entries of all rules.
func (p *Policy) newIdentity(n names) *identity {
	n.groups, n.unsure = slices.Clone(n.groups), slices.Clone(n.unsure)
	id := &identity{names: n}
	if !n.anonymous {
		id.users = newIDs(p.users.matching(n.user, n.foldsCase))
		id.userText = id.canonical(n.user)
		id.userCanFill = registry.IsComponent(id.userText)
	}
	id.sure = p.newMembership(id, n.groups)
	id.possible = id.sure
	if len(n.unsure) > 0 && !n.anonymous {
		named := slices.DeleteFunc(slices.Clone(n.unsure), func(name string) bool { return name == UnsureAll })
		id.possible = p.newMembership(id, slices.Concat(n.groups, named))
		id.possible.all = len(named) < len(n.unsure)
	}
	id.matched, id.matchedUnsure = p.matchedGroups(id)
	return id
}

// matchedGroups returns what MatchedGroups does of an identity.
func (p *Policy) matchedGroups(id *identity) (groups, unsure []string) {
	for _, matched := range [][]group{id.sure.fillable, id.sure.unfillable} {
		for i := range matched {
			groups = append(groups, matched[i].name)
		}
	}
	slices.Sort(groups)
	for _, name := range id.unsure {
		if name == UnsureAll || len(p.matchingEntries(id, name)) > 0 {
			unsure = append(unsure, name)
		}
	}
	return groups, unsure
}

// canonical returns a name of the person as it fills a placeholder: folded if
// the provider ignores case.
func (id *identity) canonical(name string) string {
	if id.foldsCase {
		return fold.Name(name)
	}
	return name
}

// newMembership matches groups with the entries of all rules.
func (p *Policy) newMembership(id *identity, names []string) *membership {
	m := &membership{}
	var union []int32
	for _, name := range names {
		entries := p.matchingEntries(id, name)
		if len(entries) == 0 {
			continue
		}
		union = append(union, entries...)
		g := group{name, id.canonical(name), newIDs(entries)}
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

// matchingEntries returns the entries of groups keys that match a group. The
// two reserved groups are matched by these very words only, however the
// provider compares names, and no person with credentials is in "anonymous",
// wherever the name comes from.
func (p *Policy) matchingEntries(id *identity, name string) []int32 {
	switch {
	case (name == anonymous) != id.anonymous:
		return nil
	case isReserved(name):
		return p.groups.exactly(name)
	}
	return p.groups.matching(name, id.foldsCase)
}

// isReserved reports whether a group has one of the reserved names in any case.
// The groups of a provider with such a name are dropped.
func isReserved(group string) bool {
	if len(group) != len(anonymous) && len(group) != len(authenticated) {
		return false
	}
	return strings.EqualFold(group, anonymous) || strings.EqualFold(group, authenticated)
}

// withText returns the groups that fill {group} with that text: several if they
// differ only in case.
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

// size returns about how many bytes an identity takes.
func (id *identity) size() int {
	n := 432 + len(id.user) + 16*(len(id.groups)+len(id.unsure)+len(id.matched)+len(id.matchedUnsure)) + 4*len(id.users.all) + id.sure.size()
	if id.possible != id.sure {
		n += id.possible.size()
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

// identityCache is an LRU cache of identities, so that the names of a person
// are matched with the rules once and not in each request. It is bounded in
// bytes. It has no TTL, because a policy never changes. Its key is a hash; the
// names of an entry are compared in full, so that a collision costs time and
// never grants rights.
type identityCache struct {
	mu    sync.Mutex // guards cache
	cache *lru.Cache[uint64, *identity]
}

// maxIdentityCache bounds the cache in bytes: about five thousand identities of
// twenty groups.
const maxIdentityCache = 12 << 20

func newIdentityCache() identityCache {
	return identityCache{cache: lru.NewWeighted[uint64](maxIdentityCache, (*identity).size)}
}

func (c *identityCache) get(key uint64) *identity {
	c.mu.Lock()
	defer c.mu.Unlock()
	id, _ := c.cache.Get(key)
	return id
}

func (c *identityCache) put(key uint64, id *identity) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cache.Put(key, id)
}

// identity returns the identity of a request, from the cache if it is there.
func (p *Policy) identity(req *Request) *identity {
	switch {
	case p.anonymous == nil: // the zero Policy, which has no rules
		return p.newIdentity(names{anonymous: req.Anonymous})
	case req.Anonymous:
		return p.anonymous
	}
	n := namesOf(req)
	key := n.hash()
	if id := p.identities.get(key); id != nil && id.names.equal(&n) {
		return id
	}
	id := p.newIdentity(n)
	p.identities.put(key, id)
	return id
}

// hash covers the user name and a sample of the groups, which tells most
// persons apart.
func (n *names) hash() uint64 {
	h := maphash.String(seed, n.user) ^ uint64(len(n.groups)) ^ uint64(len(n.unsure))<<32
	for i := 0; i < len(n.groups); i += 1 + len(n.groups)/4 {
		h = h*31 + maphash.String(seed, n.groups[i])
	}
	return h
}

var seed = maphash.MakeSeed()

// MatchedGroups returns, for the audit line, those of the person's groups that
// an entry of some rule's groups key matches, sorted, and likewise the unsure
// groups, UnsureAll included. After a decision the identity is in the cache. The
// caller must not change them.
func (p *Policy) MatchedGroups(req Request) (groups, unsure []string) {
	id := p.identity(&req)
	return id.matched, id.matchedUnsure
}

// ReferencedClaims returns, by their dotted paths, those of the person's claims
// that some rule names. It is the counterpart of [Policy.MatchedGroups]. The
// values are those of the request; the caller must not change them.
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
