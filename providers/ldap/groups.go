package ldap

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	ldap "github.com/go-ldap/ldap/v3"

	"shorepass/internal/lru"
	"shorepass/providers"
)

const (
	// maxGroups is how many groups one person can be in. A person in more is
	// refused: with some left out, a rule that denies one of them would
	// not hold.
	maxGroups = 10_000

	// batch is how many groups one filter asks for.
	batch = 40
)

var errTooManyGroups = fmt.Errorf("more than %d groups", maxGroups)

// groups finds out which groups a person is in.
type groups struct {
	cfg     Groups
	filter  template // of direct groups; nil where an attribute has them
	parent  template // of the groups that a group is in
	namer   *providers.GroupNamer
	owners  *owners // nil where the directory keeps names unique
	renamed *owners // of names that rename gives; the first entry is none of them
	byDN    string  // the attribute by which a server finds an entry's own DN
	read    *dnReader
	sids    *sidNames
	warn    *warnings
}

func newGroups(cfg Config, warn *warnings) (*groups, error) {
	g := &groups{cfg: cfg.Groups, namer: cfg.Groups.Compile(true, spelledDN), byDN: "entryDN", renamed: newOwners(), warn: warn}
	if cfg.Preset == presetAD {
		g.byDN = "distinguishedName"
	}
	if cfg.Preset != presetAD || !strings.EqualFold(cfg.Groups.Name, attrAccountName) {
		g.owners = newOwners()
	}
	base, err := ldap.ParseDN(cfg.Groups.Base)
	if err != nil {
		return nil, fmt.Errorf("groups.base: %w", err)
	}
	g.read = &dnReader{base: base, scope: cfg.Groups.Scope, attribute: cfg.Groups.Name, known: lru.New[string, group](maxDNs)}
	if cfg.Groups.Filter != "" {
		if g.filter, err = filterTemplate(cfg.Groups.Filter); err != nil {
			return nil, fmt.Errorf("groups.filter: %w", err)
		}
	}
	switch cfg.Groups.Nested {
	case nestedWalk:
		if g.parent, err = filterTemplate(cfg.Groups.NestedFilter, "dn"); err != nil {
			return nil, fmt.Errorf("groups.nested_filter: %w", err)
		}
	case nestedTokenGroups, nestedInChain:
		g.sids = newSIDNames()
	}
	return g, nil
}

// attributes returns what is needed of a person's entry.
func (g *groups) attributes() []string {
	var names []string
	if g.cfg.Attribute != "" {
		names = append(names, g.cfg.Attribute)
	}
	for _, name := range g.filter.names() {
		if name != "dn" && name != "user" {
			names = append(names, name)
		}
	}
	if g.cfg.Nested == nestedInChain {
		names = append(names, attrSID, attrPrimaryGroup)
	}
	return names
}

// group is one that a person is in.
type group struct {
	key  string // which group it is, whatever it is called: its DN, folded
	dn   string
	id   string // the DN as only and rename spell it, "" where it is none
	name string // "" where it is not known, or not yet
}

// of returns the names of a person's groups, in the directory's spelling, and
// those of which it is not known whether the person is in the group that a rule
// means.
func (g *groups) of(ctx context.Context, s searcher, e entry, user string) (names, unsure []string, err error) {
	var found []group
	switch g.cfg.Nested {
	case nestedTokenGroups:
		found, err = g.tokenGroups(ctx, s, e)
	case nestedInChain:
		found, err = g.inChain(ctx, s, e)
	default:
		found, err = g.direct(ctx, s, e, user)
		if err == nil && g.cfg.Nested == nestedWalk {
			found, err = g.walk(ctx, s, found)
		}
	}
	if err != nil {
		return nil, nil, err
	}
	shared, err := g.shared(ctx, s, found)
	if err != nil {
		return nil, nil, err
	}
	all := make([]providers.FoundGroup, len(found))
	for i, one := range found {
		all[i] = one.found()
		all[i].Unsure = shared[one.key]
	}
	names, unsure, problems := g.namer.Names(all)
	for _, problem := range problems {
		g.warn.add(problem)
	}
	return names, unsure, nil
}

// found returns the group in the form that names are made of.
func (one group) found() providers.FoundGroup {
	return providers.FoundGroup{Name: one.name, ID: one.id}
}

func (g *groups) direct(ctx context.Context, s searcher, e entry, user string) ([]group, error) {
	if g.filter == nil {
		return g.byAttribute(ctx, s, e)
	}
	var missing string
	filter := g.filter.filter(func(name string) string {
		switch name {
		case "dn":
			return e.dn
		case "user":
			return user
		}
		if !e.has(name) {
			missing = name
		}
		return e.text(name)
	})
	if missing != "" {
		return nil, reject("the entry shows no %s, which groups.filter asks for", missing)
	}
	return g.search(ctx, s, filter)
}

// search returns the groups under the base that match a filter.
func (g *groups) search(ctx context.Context, s searcher, filter string) ([]group, error) {
	found, err := s.find(ctx, query{
		base: g.cfg.Base, scope: searchScope(g.cfg.Scope), filter: filter, attributes: []string{g.cfg.Name}, paged: true,
	})
	if err != nil {
		return nil, fmt.Errorf("search for groups under %q: %w%s", g.cfg.Base, err, hint(err))
	}
	if len(found) > maxGroups {
		return nil, errTooManyGroups
	}
	var all []group
	for _, e := range found {
		if one, ok := g.named(e); ok {
			all = append(all, one)
		}
	}
	return all, nil
}

// named makes a group of its entry, if that is under the base. Its name is ""
// where the entry does not show one.
func (g *groups) named(e entry) (group, bool) {
	one := g.read.group(e.dn)
	if one.key == "" || one.id == "" {
		return group{}, false
	}
	if one.name != "" {
		return one, true
	}
	if values := e.values(g.cfg.Name); len(values) == 1 {
		one.name = string(values[0])
	} else {
		g.warn.add(fmt.Sprintf("group %s shows %d values of %s, which must be one: rules that deny a group hold for all its members", e.dn, len(values), g.cfg.Name))
	}
	return one, true
}

// byAttribute takes the groups that the person's entry names. Where the DN
// holds the name itself, the group is not read.
func (g *groups) byAttribute(ctx context.Context, s searcher, e entry) ([]group, error) {
	values := e.values(g.cfg.Attribute)
	if len(values) > maxGroups {
		return nil, errTooManyGroups
	}
	var known, nameless []group
	for _, value := range values {
		switch one := g.read.group(string(value)); {
		case one.key == "":
		case one.id == "":
			g.warn.add(fmt.Sprintf("%s of %s holds %.200q, which is no DN: rules that deny a group hold for this person", g.cfg.Attribute, e.dn, value))
			known = append(known, one)
		case one.name != "":
			known = append(known, one)
		default:
			nameless = append(nameless, one)
		}
	}
	read, err := g.readNames(ctx, s, nameless)
	return append(known, read...), err
}

// readNames reads groups whose DNs are known and whose names are not: many at
// once where the server can find an entry by its DN, and one by one what is
// left. A group that is not shown comes back without a name.
func (g *groups) readNames(ctx context.Context, s searcher, nameless []group) ([]group, error) {
	read := make(map[string]group, len(nameless))
	for some := range slices.Chunk(nameless, batch) {
		found, err := g.search(ctx, s, anyOf(some, func(one group) string { return "(" + g.byDN + "=" + ldap.EscapeFilter(one.dn) + ")" }))
		if err != nil {
			return nil, err
		}
		for _, one := range found {
			read[one.key] = one
		}
	}
	for _, one := range nameless {
		if _, known := read[one.key]; known {
			continue
		}
		found, err := s.find(ctx, query{base: one.dn, scope: ldap.ScopeBaseObject, filter: "(objectClass=*)", attributes: []string{g.cfg.Name}})
		if err != nil && resultCode(err) != ldap.LDAPResultNoSuchObject {
			return nil, fmt.Errorf("read group %s: %w", one.dn, err)
		}
		read[one.key] = one
		for _, e := range found {
			if named, ok := g.named(e); ok {
				read[one.key] = named
			}
		}
	}
	return slices.Collect(maps.Values(read)), nil
}

// anyOf makes a filter that matches what any of the parts would.
func anyOf[T any](of []T, part func(T) string) string {
	var b strings.Builder
	b.WriteString("(|")
	for _, one := range of {
		b.WriteString(part(one))
	}
	b.WriteByte(')')
	return b.String()
}

// walk goes from the groups to those they are in, up to the depth. Each group
// is asked about once, so that groups in a circle come to an end.
func (g *groups) walk(ctx context.Context, s searcher, start []group) ([]group, error) {
	all := make(map[string]group, len(start))
	edge := start
	for _, one := range start {
		all[one.key] = one
	}
	for depth := 0; depth < g.cfg.Depth && len(edge) > 0; depth++ {
		var next []group
		for some := range slices.Chunk(edge, batch) {
			found, err := g.search(ctx, s, anyOf(some, func(one group) string { return g.parent.filter(func(string) string { return one.dn }) }))
			if err != nil {
				return nil, err
			}
			for _, one := range found {
				if _, seen := all[one.key]; !seen {
					all[one.key] = one
					next = append(next, one)
				}
			}
			if len(all) > maxGroups {
				return nil, errTooManyGroups
			}
		}
		edge = next
	}
	return slices.Collect(maps.Values(all)), nil
}

// errNoTokenGroups says that the server does not show what it shows to
// everybody who may see it: each account is in some group.
var errNoTokenGroups = errors.New("the entry shows no tokenGroups: put the service account into \"Windows Authorization Access Group\"")
