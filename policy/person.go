package policy

import (
	"hash/maphash"
	"slices"
	"strings"
	"sync"

	"shorepass/internal/lru"
	"shorepass/registry"
)

// names are the entries of all users keys, or of all groups keys, of a policy,
// each different text once and with a number. It finds the entries that match
// a name without trying all.
type names struct {
	number    map[string]int32
	beginning map[string][]entry // globs by their literal beginning, at most maxAffix bytes
	lengths   []int
	wide      []entry // globs that begin with a wildcard
}

type entry struct {
	glob
	number int32
}

// add numbers the entries of one key.
func (n *names) add(texts []string) ids {
	var all []int32
	for _, text := range texts {
		number, ok := n.number[text]
		if !ok {
			number = int32(len(n.number))
			if n.number == nil {
				n.number, n.beginning = map[string]int32{}, map[string][]entry{}
			}
			n.number[text] = number
			n.addGlob(text, number)
		}
		all = append(all, number)
	}
	return newIDs(all)
}

func (n *names) addGlob(text string, number int32) {
	g, err := parseGlob(text, false)
	if _, plain := g.literal(); plain || err != nil {
		return // Compile has refused what cannot be parsed
	}
	if g[0].kind != literal {
		n.wide = append(n.wide, entry{g, number})
		return
	}
	begin := g[0].text[:min(len(g[0].text), maxAffix)]
	n.beginning[begin] = append(n.beginning[begin], entry{g, number})
	if !slices.Contains(n.lengths, len(begin)) {
		n.lengths = append(n.lengths, len(begin))
	}
}

// literally returns the number of the entry that is the name itself.
func (n *names) literally(name string) []int32 {
	if number, ok := n.number[name]; ok {
		return []int32{number}
	}
	return nil
}

// matching returns the numbers of the entries that match a name.
func (n *names) matching(name string) []int32 {
	all := n.literally(name)
	for _, length := range n.lengths {
		if len(name) < length {
			continue
		}
		for _, e := range n.beginning[name[:length]] {
			if e.match(name, nil) {
				all = append(all, e.number)
			}
		}
	}
	for _, e := range n.wide {
		if e.match(name, nil) {
			all = append(all, e.number)
		}
	}
	return all
}

// ids is a set of entries' numbers, sorted. mask has a bit for each of them,
// which several share: most sets that have nothing in common differ there.
type ids struct {
	all  []int32
	mask uint64
}

func newIDs(all []int32) ids {
	slices.Sort(all)
	s := ids{all: slices.Compact(all)}
	for _, id := range s.all {
		s.mask |= 1 << (uint(id) % 64)
	}
	return s
}

// meets reports whether two sets have an element in common.
func (s *ids) meets(other *ids) bool {
	if s.mask&other.mask == 0 {
		return false
	}
	few, many := s.all, other.all
	if len(few) > len(many) {
		few, many = many, few
	}
	for _, id := range few {
		if _, found := slices.BinarySearch(many, id); found {
			return true
		}
	}
	return false
}

// person is what a policy knows of somebody once the names were matched. It is
// never changed.
type person struct {
	user      string
	given     []string // the groups as the request had them
	anonymous bool

	users, groups ids     // the entries that match the user name, and any of the groups; without credentials, those of "anonymous" alone
	userFills     bool    // the user name can stand in for {user}
	fill          []group // the groups that can stand in for {group}, by name
	misfit        []group // the groups that an entry matches and that cannot
}

// group is a group of a person, with the entries that match it.
type group struct {
	name    string
	entries ids
}

func (p *Policy) newPerson(user string, groups []string, anonymous bool) *person {
	w := &person{user: user, given: slices.Clone(groups), anonymous: anonymous}
	if !anonymous {
		w.users = newIDs(p.users.matching(user))
		w.userFills = registry.IsComponent(user)
	}
	var union []int32
	for _, name := range w.given {
		entries := p.groupEntries(name, anonymous)
		if len(entries) == 0 {
			continue
		}
		union = append(union, entries...)
		if registry.IsComponent(name) {
			w.fill = append(w.fill, group{name, newIDs(entries)})
		} else {
			w.misfit = append(w.misfit, group{name, newIDs(entries)})
		}
	}
	w.groups = newIDs(union)
	byName := func(a, b group) int { return strings.Compare(a.name, b.name) }
	slices.SortFunc(w.fill, byName)
	slices.SortFunc(w.misfit, byName)
	return w
}

// groupEntries returns the entries of groups keys that match a group. Our own
// two are matched by these very words only, and nobody who has credentials is
// in "anonymous", wherever the name comes from.
func (p *Policy) groupEntries(name string, nobody bool) []int32 {
	switch {
	case (name == anonymous) != nobody:
		return nil
	case name == anonymous || name == authenticated:
		return p.groups.literally(name)
	}
	return p.groups.matching(name)
}

// find returns the group of that name, if it can stand in for {group}.
func (w *person) find(name string) *group {
	i, found := slices.BinarySearchFunc(w.fill, name, func(g group, name string) int { return strings.Compare(g.name, name) })
	if !found {
		return nil
	}
	return &w.fill[i]
}

// size is about how many bytes a person takes.
func (w *person) size() int {
	n := 256 + len(w.user) + 16*len(w.given) + 4*(len(w.users.all)+len(w.groups.all))
	for _, groups := range [][]group{w.fill, w.misfit} {
		for i := range groups {
			n += 48 + 4*len(groups[i].entries.all)
		}
	}
	return n
}

// people is an LRU cache of the persons who asked lately, so that the names of a
// person are matched once and not with each request. It is bounded by memory
// and has no TTL, since a policy never changes. Its key is a hash; a person
// found by it is compared in full, so that a collision costs time and never
// rights.
type people struct {
	mu    sync.Mutex // of cache
	cache *lru.Cache[uint64, *person]
}

// maxPeople bounds the memory of the cache: some four thousand persons of twenty
// groups.
const maxPeople = 8 << 20

func newPeople() people {
	return people{cache: lru.NewWeighted[uint64](maxPeople, (*person).size)}
}

func (p *people) get(key uint64) *person {
	p.mu.Lock()
	defer p.mu.Unlock()
	w, _ := p.cache.Get(key)
	return w
}

func (p *people) put(key uint64, w *person) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cache.Put(key, w)
}

// person returns the person that a request comes from.
func (p *Policy) person(req *Request) *person {
	switch {
	case p.nobody == nil: // the zero Policy, by which no name matches
		return &person{anonymous: req.Anonymous}
	case req.Anonymous:
		return p.nobody
	}
	key := hash(req.User, req.Groups)
	if w := p.people.get(key); w != nil && w.user == req.User && slices.Equal(w.given, req.Groups) {
		return w
	}
	w := p.newPerson(req.User, req.Groups, false)
	p.people.put(key, w)
	return w
}

// hash goes by the name and some of the groups, which tells most persons apart.
func hash(user string, groups []string) uint64 {
	h := maphash.String(seed, user) ^ uint64(len(groups))
	for i := 0; i < len(groups); i += 1 + len(groups)/4 {
		h = h*31 + maphash.String(seed, groups[i])
	}
	return h
}

var seed = maphash.MakeSeed()
