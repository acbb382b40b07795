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
	// maxGroups bounds the groups of one person. A person in more is refused: if
	// some were left out, a rule that denies one of them would not hold.
	maxGroups = 10_000

	// batchSize is how many groups one search filter asks for.
	batchSize = 40
)

var errTooManyGroups = fmt.Errorf("more than %d groups", maxGroups)

// groupFinder finds the groups of a person.
type groupFinder struct {
	cfg           Groups
	filter        template // finds direct groups; nil: groups.attribute holds their DNs
	parentFilter  template // finds the groups that a group is in
	namer         *providers.GroupNamer
	namesakes     *nameCache // groups by name; nil: the directory keeps names unique
	renameTargets *nameCache // groups by the name that rename gives them, after one entry that is a placeholder
	dnAttribute   string     // the attribute that matches an entry's own DN
	dns           *groupDNCache
	sids          *sidCache
	unsure        unsureGroups

	severalDomains func(ctx context.Context) (bool, error) // reports whether the groups are of a forest of several domains
	warnings       *warnings
}

func newGroupFinder(cfg Config, warn *warnings) (*groupFinder, error) {
	cfg.Groups.Name = commonName(cfg.Groups.Name)
	g := &groupFinder{cfg: cfg.Groups, namer: cfg.Groups.Compile(true, normalizeGroupDN), dnAttribute: "entryDN", renameTargets: newNameCache(), warnings: warn}
	if cfg.Preset == presetAD {
		g.dnAttribute = "distinguishedName"
	}
	if cfg.Preset != presetAD || cfg.searchesForest() || !strings.EqualFold(cfg.Groups.Name, attrAccountName) {
		g.namesakes = newNameCache()
	}
	base, err := ldap.ParseDN(cfg.Groups.base())
	if err != nil {
		return nil, fmt.Errorf("groups.base: %w", err)
	}
	g.dns = &groupDNCache{base: base, scope: cfg.Groups.Scope, attribute: cfg.Groups.Name, aliases: cfg.Deref != derefNever, cache: lru.New[string, groupOfDN](maxDNs)}
	if cfg.Groups.Filter != "" {
		if g.filter, err = filterTemplate(cfg.Groups.Filter); err != nil {
			return nil, fmt.Errorf("groups.filter: %w", err)
		}
	}
	switch cfg.Groups.Nested {
	case nestedWalk:
		if g.parentFilter, err = filterTemplate(cfg.Groups.NestedFilter, "dn"); err != nil {
			return nil, fmt.Errorf("groups.nested_filter: %w", err)
		}
	case nestedTokenGroups, nestedInChain:
		g.sids = newSIDCache()
	}
	return g, nil
}

// attributes returns the attributes of a person's entry that groups are found by.
func (g *groupFinder) attributes() []string {
	var names []string
	if g.cfg.Attribute != "" {
		names = append(names, g.cfg.Attribute)
	}
	for _, name := range g.filter.placeholders() {
		if name != "dn" && name != "user" {
			names = append(names, name)
		}
	}
	if g.cfg.Nested == nestedInChain {
		names = append(names, attrSID, attrPrimaryGroup)
	}
	return names
}

// group is a group of the directory.
type group struct {
	key  string // its DN, normalized and folded, or a text that is no DN
	dn   string
	id   string // its DN as only and rename write it; "" if it is not a DN
	name string // "" if it is not known, or not yet read
}

// memberships returns the names of a person's groups, in the directory's spelling.
// unsure are the names that may mean another group than the person's.
func (g *groupFinder) memberships(ctx context.Context, s searcher, e entry, user string) (names, unsure []string, err error) {
	found, err := g.find(ctx, s, e, user)
	if err != nil {
		return nil, nil, err
	}
	more, all, err := g.unsureInForest(ctx, s, found)
	if err != nil {
		return nil, nil, err
	}
	names, unsure, problems := g.namer.Names(append(found, more...))
	if all {
		unsure = []string{providers.UnsureAll}
	}
	for _, problem := range problems {
		g.warnings.add("groups.rename", problem)
	}
	return names, unsure, nil
}

// find returns a person's groups, before only and rename.
func (g *groupFinder) find(ctx context.Context, s searcher, e entry, user string) ([]providers.FoundGroup, error) {
	var found []group
	var err error
	switch g.cfg.Nested {
	case nestedTokenGroups:
		found, err = g.tokenGroups(ctx, s, e)
	case nestedInChain:
		found, err = g.inChain(ctx, s, e)
	default:
		found, err = g.directGroups(ctx, s, e, user)
		if err == nil && g.cfg.Nested == nestedWalk {
			found, err = g.walk(ctx, s, found)
		}
	}
	if err != nil {
		return nil, err
	}
	ambiguous, err := g.ambiguous(ctx, s, found)
	if err != nil {
		return nil, err
	}
	all := make([]providers.FoundGroup, len(found))
	for i, one := range found {
		all[i] = one.foundGroup()
		all[i].Unsure = ambiguous[one.key]
	}
	return all, nil
}

// foundGroup returns the group in the form that the GroupNamer takes.
func (g group) foundGroup() providers.FoundGroup {
	return providers.FoundGroup{Name: g.name, ID: g.id}
}

// directGroups returns the groups that the person is a direct member of.
func (g *groupFinder) directGroups(ctx context.Context, s searcher, e entry, user string) ([]group, error) {
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
func (g *groupFinder) search(ctx context.Context, s searcher, filter string) ([]group, error) {
	found, err := s.find(ctx, query{
		base: g.cfg.base(), scope: searchScope(g.cfg.Scope), filter: filter, attributes: []string{g.cfg.Name}, paged: true,
	})
	switch {
	case resultCode(err) == ldap.LDAPResultNoSuchObject:
		return nil, missingBaseError("groups.base", g.cfg.base(), err)
	case err != nil:
		return nil, fmt.Errorf("search for groups under %q: %w%s", g.cfg.base(), err, hint(err))
	}
	if len(found) > maxGroups {
		return nil, errTooManyGroups
	}
	var all []group
	for _, e := range found {
		if one, ok := g.groupOfEntry(e); ok {
			all = append(all, one)
		}
	}
	return all, nil
}

// groupOfEntry returns the group of an entry, if it is under the base. The name is
// "" if the entry does not show exactly one.
func (g *groupFinder) groupOfEntry(e entry) (group, bool) {
	one := g.dns.found(e.dn)
	if one.key == "" || one.id == "" {
		return group{}, false
	}
	if one.name != "" {
		return one, true
	}
	if value, ok := e.nameValue(g.cfg.Name); ok {
		one.name = value
	} else {
		g.warnings.add("groups.name", fmt.Sprintf("group %s shows %d values of %s, which must be one, or have one of them in the RDN: rules that deny a group hold for all its members; write another attribute as groups.name", e.dn, len(e.values(g.cfg.Name)), g.cfg.Name))
	}
	return one, true
}

// byAttribute returns the groups whose DNs the person's entry holds. It reads no
// group whose DN contains its name.
func (g *groupFinder) byAttribute(ctx context.Context, s searcher, e entry) ([]group, error) {
	values := e.values(g.cfg.Attribute)
	if len(values) > maxGroups {
		return nil, errTooManyGroups
	}
	var known, nameless, outside []group
	for _, value := range values {
		switch one := g.dns.parse(string(value)); {
		case one.outside:
			outside = append(outside, one.group)
		case one.id == "":
			g.warnings.add("groups.attribute", fmt.Sprintf("%s of %s holds %.200q, which is not a DN: rules that deny a group hold for this person until the value is corrected in the directory, or groups.attribute names another attribute", g.cfg.Attribute, e.dn, value))
			known = append(known, one.group)
		case one.name != "":
			known = append(known, one.group)
		default:
			nameless = append(nameless, one.group)
		}
	}
	read, err := g.readNames(ctx, s, nameless)
	if err != nil || !g.dns.aliases {
		return append(known, read...), err
	}
	aliased, err := g.searchDNs(ctx, s, outside)
	return slices.Concat(known, read, aliased), err
}

// searchDNs returns those of some groups that a search of the base finds by their DNs,
// if the server can match an entry by its DN.
func (g *groupFinder) searchDNs(ctx context.Context, s searcher, some []group) ([]group, error) {
	var all []group
	for chunk := range slices.Chunk(some, batchSize) {
		found, err := g.search(ctx, s, orFilter(chunk, func(one group) string { return "(" + g.dnAttribute + "=" + ldap.EscapeFilter(one.dn) + ")" }))
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

// readNames reads the names of groups by their DNs: in batches if the server can
// match an entry by its DN, and the rest one by one. A group that the directory
// does not show has no name in the result.
func (g *groupFinder) readNames(ctx context.Context, s searcher, nameless []group) ([]group, error) {
	found, err := g.searchDNs(ctx, s, nameless)
	if err != nil {
		return nil, err
	}
	read := make(map[string]group, len(nameless))
	for _, one := range found {
		read[one.key] = one
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
			if named, ok := g.groupOfEntry(e); ok {
				read[one.key] = named
			}
		}
	}
	return slices.Collect(maps.Values(read)), nil
}

// orFilter returns a filter that matches what any of the parts matches.
func orFilter[T any](list []T, part func(T) string) string {
	var b strings.Builder
	b.WriteString("(|")
	for _, one := range list {
		b.WriteString(part(one))
	}
	b.WriteByte(')')
	return b.String()
}

// walk follows nested groups upwards, breadth first, to the configured depth. It
// asks for each group once, so that cycles end.
func (g *groupFinder) walk(ctx context.Context, s searcher, start []group) ([]group, error) {
	all := make(map[string]group, len(start))
	frontier := start
	for _, one := range start {
		all[one.key] = one
	}
	for depth := 0; depth < g.cfg.Depth && len(frontier) > 0; depth++ {
		var next []group
		for chunk := range slices.Chunk(frontier, batchSize) {
			found, err := g.search(ctx, s, orFilter(chunk, func(one group) string { return g.parentFilter.filter(func(string) string { return one.dn }) }))
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
		frontier = next
	}
	return slices.Collect(maps.Values(all)), nil
}

// errNoTokenGroups means that the service account may not read tokenGroups: every
// account is in some group.
var errNoTokenGroups = errors.New("the entry shows no tokenGroups: put the service account into \"Windows Authorization Access Group\"")
