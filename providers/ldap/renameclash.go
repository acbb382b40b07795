package ldap

import (
	"context"
	"fmt"
	"slices"
	"strings"

	ldap "github.com/go-ldap/ldap/v3"
)

// addRenameClashes adds to ambiguous the keys of the groups whose own name is one
// that rename gives to another group. Rules mean the renamed group: with { "grp-*" =
// "*" } an administrator of a part of the tree could name a group "admins" to pass
// for "grp-admins".
func (g *groupFinder) addRenameClashes(ctx context.Context, s searcher, found []group, ambiguous map[string]bool) error {
	own := make(map[string][]group) // groups that rename leaves alone, by a name that it may give
	for _, one := range found {
		name, kept := g.finalName(one)
		if !kept || g.namer.Renames(one.foundGroup()) {
			continue
		}
		switch names, ids, given := g.namer.Origins(one.name); {
		case given:
			g.addRenameClash(ambiguous, one, "")
		case len(names)+len(ids) > 0:
			own[name] = append(own[name], one)
		}
	}
	renamed, err := g.groupsRenamedTo(ctx, s, own)
	if err != nil {
		return err
	}
	for name, all := range own {
		for _, one := range all {
			if targets := renamed[name]; len(targets) > 0 {
				g.addRenameClash(ambiguous, one, ", "+targets[0].dn)
			}
		}
	}
	return nil
}

// addRenameClash adds the key of a group whose name rename gives to target, and warns
// of it.
func (g *groupFinder) addRenameClash(ambiguous map[string]bool, one group, target string) {
	ambiguous[one.key] = true
	g.warnings.add("groups.rename", fmt.Sprintf("group %s is called %q, which groups.rename gives to another group%s: a rule that denies that one holds for the members of both, and a rule that allows it for its own alone; "+
		"write the name that this one should have in groups.rename as well", one.dn, one.name, target))
}

// groupsRenamedTo returns the groups to which rename gives one of the names, by name.
// It searches the base for names that are not cached.
func (g *groupFinder) groupsRenamedTo(ctx context.Context, s searcher, own map[string][]group) (map[string][]group, error) {
	all := make(map[string][]group, len(own))
	var names, ids, unknown []string
	for name, of := range own {
		if known := g.renameTargets.get(name); known != nil {
			all[name] = known[1:]
			continue
		}
		moreNames, moreIDs, _ := g.namer.Origins(of[0].name)
		unknown, names, ids = append(unknown, name), append(names, moreNames...), append(ids, moreIDs...)
	}
	entries, err := g.searchOrigins(ctx, s, names, ids)
	if err != nil {
		return nil, err
	}
	for _, one := range entries {
		if final, kept := g.finalName(one); kept && slices.Contains(unknown, final) && g.namer.Renames(one.foundGroup()) {
			all[final] = append(all[final], one)
		}
	}
	_, ownRights := s.(personConn)
	for _, name := range unknown {
		if !ownRights || len(all[name]) > 0 { // another person may see a group where this one sees none
			// The placeholder tells a cached name without groups from an uncached one.
			g.renameTargets.put(name, append([]group{own[name][0]}, all[name]...))
		}
	}
	return all, nil
}

// searchOrigins returns the groups that have one of the names or DNs, in which "?"
// may be any character.
func (g *groupFinder) searchOrigins(ctx context.Context, s searcher, names, ids []string) ([]group, error) {
	var entries []group
	for chunk := range slices.Chunk(names, batchSize) {
		found, err := g.search(ctx, s, orFilter(chunk, func(name string) string {
			return "(" + g.cfg.Name + "=" + strings.ReplaceAll(ldap.EscapeFilter(name), "?", "*") + ")"
		}))
		if err != nil {
			return nil, err
		}
		entries = append(entries, found...)
	}
	for _, id := range ids {
		if strings.Contains(id, "?") {
			entries = append(entries, g.dns.found(id)) // it cannot be searched for and may exist
			continue
		}
		found, err := s.find(ctx, query{base: id, scope: ldap.ScopeBaseObject, filter: "(objectClass=*)", attributes: []string{g.cfg.Name}})
		if err != nil && resultCode(err) != ldap.LDAPResultNoSuchObject {
			return nil, fmt.Errorf("read group %s: %w", id, err)
		}
		for _, e := range found {
			if one, ok := g.groupOfEntry(e); ok {
				entries = append(entries, one)
			}
		}
	}
	return entries, nil
}
