package ldap

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	ldap "github.com/go-ldap/ldap/v3"

	"shorepass/providers"
)

// groupClasses matches the entries of groups, by the object classes of the usual schemas.
const groupClasses = "(|(objectClass=group)(objectClass=groupOfNames)(objectClass=groupOfUniqueNames)(objectClass=posixGroup)(objectClass=groupOfMembers)(objectClass=organizationalRole))"

// memberAttributes list the members of a group: by DN, but for memberUid.
var memberAttributes = []string{"member", "uniqueMember", "memberUid", "roleOccupant"}

const (
	// maxSample bounds the people whose groups a health check searches for.
	maxSample = 20

	attrGroupNumber = "gidNumber" // RFC 2307
)

// reportGroups reports whether the groups of people are found.
func (p *Provider) reportGroups(ctx context.Context, people []entry) providers.Findings {
	cfg := p.cfg.Groups
	groups, err := p.dir.find(ctx, query{
		base: cfg.base(), scope: searchScope(cfg.Scope), filter: p.groupEntries(), attributes: []string{cfg.Name}, sizeLimit: maxCounted,
	})
	groups = belowBase(groups, cfg.base())
	switch {
	case err != nil && !cutShort(err):
		return providers.Findings{p.searchFault(ctx, "groups.base", cfg.base(), err)}
	case err != nil && len(groups) == 0:
		return providers.Findings{providers.Warningf("", "the groups under %s cannot be listed, which no login needs, and are not checked: %v%s", place(cfg.base()), err, hint(err))}
	case len(groups) == 0:
		return providers.Findings{p.noGroups(ctx)}
	}
	found := providers.Findings{providers.Infof("%s entries under %s have a %s", formatCount(len(groups), err), place(cfg.base()), cfg.Name)}
	if nameless := p.sampleOf(ctx, cfg.base(), cfg.Scope, "(&"+groupClasses+"(!("+cfg.Name+"=*)))"); len(nameless) > 0 {
		found = append(found, providers.Warningf("groups.name", "some groups show no %s, such as %s: rules that deny a group hold for all their members", cfg.Name, nameless[0].dn))
	}
	if err == nil && !p.keepsAny(groups) {
		return append(found, providers.Faultf("groups.only", "groups.only keeps none of these groups, so that no person is in a group"))
	}
	found = append(found, p.reportForest(ctx)...)
	if len(people) == 0 {
		return found
	}
	return append(found, p.reportMemberships(ctx, people)...)
}

// keepsAny reports whether groups.only keeps any of the groups.
func (p *Provider) keepsAny(groups []entry) bool {
	return slices.ContainsFunc(groups, func(e entry) bool {
		one, ok := p.groups.groupOfEntry(e)
		_, kept := p.groups.finalName(one)
		return ok && kept
	})
}

// noGroups returns the fault of a base under which no entry has a group's name.
func (p *Provider) noGroups(ctx context.Context) providers.Finding {
	g := p.cfg.Groups
	groups := p.sampleOf(ctx, g.base(), g.Scope, groupClasses)
	below := p.sampleOf(ctx, g.base(), g.Scope, anyEntry)
	switch {
	case g.Scope == scopeOne && len(p.sampleOf(ctx, g.base(), scopeSub, groupClasses)) > 0:
		return providers.Faultf("groups.scope", `no group is directly under %s, but deeper ones are: write groups.scope = "sub"`, place(g.base()))
	case len(groups) > 0:
		return providers.Faultf("groups.name", "no entry under %s shows a %s; the group %s is there%s: correct groups.name, or let %s read it",
			place(g.base()), g.Name, groups[0].dn, p.suggest(ctx, groups[0].dn, []string{"cn", attrAccountName, "ou"}), p.account())
	case len(below) > 0:
		return providers.Faultf("groups.base", "%s sees no groups under %s: there are %s; write another DN in groups.base, or let it read the groups", p.account(), place(g.base()), nameEntries(below[:min(3, len(below))]))
	}
	return providers.Faultf("groups.base", "%q is empty, or %s may not read what is below it: write another DN in groups.base, or let it read the groups", g.base(), p.account())
}

// reportMemberships finds the groups of the first people as a login does, and reports
// what it does not find.
func (p *Provider) reportMemberships(ctx context.Context, people []entry) providers.Findings {
	var found, primary providers.Findings
	var refused error
	asked, members, failed, without := 0, 0, 0, 0
	for _, person := range people[:min(maxSample, len(people))] {
		e, all, err := p.groupsOfEntry(ctx, person.dn)
		switch {
		case errors.Is(err, providers.ErrRejected):
			asked, failed, refused = asked+1, failed+1, err
			continue
		case err != nil:
			return providers.Findings{membershipFault(err)}
		}
		asked++
		if inGroup(all) {
			members++
		}
		if !e.has(attrGroupNumber) && !e.has(attrPrimaryGroup) {
			without++
		}
		if len(primary) == 0 {
			primary = p.reportPrimaryGroup(ctx, e, all)
		}
	}
	switch {
	case failed == asked:
		return providers.Findings{providers.Faultf("groups.filter", "none of the first %d people can log in: %v", asked, refused)}
	case members == 0:
		return providers.Findings{p.noMemberships(ctx, asked)}
	case failed > 0:
		found = append(found, providers.Warningf("groups.filter", "%d of the first %d people cannot log in: %v", failed, asked, refused))
	}
	found = append(providers.Findings{providers.Infof("%d of the first %d people are in groups", members, asked)}, found...)
	if without == 0 { // else the directory does not go by primary groups
		found = append(found, primary...)
	}
	return append(found, p.reportNested(ctx)...)
}

// inGroup reports whether any of the groups is one: a value of groups.attribute that is no
// DN is none.
func inGroup(all []providers.FoundGroup) bool {
	return slices.ContainsFunc(all, func(one providers.FoundGroup) bool { return one.ID != "" })
}

// groupsOfEntry reads an entry and finds its groups before only and rename, as a login
// does.
func (p *Provider) groupsOfEntry(ctx context.Context, dn string) (entry, []providers.FoundGroup, error) {
	found, err := p.dir.find(ctx, query{
		base: dn, scope: ldap.ScopeBaseObject, filter: anyEntry, attributes: slices.Concat(p.attributes, []string{attrGroupNumber, attrPrimaryGroup, attrSID}),
	})
	if err != nil || len(found) != 1 {
		return entry{}, nil, err
	}
	e := found[0]
	name, err := p.userName(e)
	if err != nil {
		return entry{}, nil, err
	}
	if err := fetchRanges(ctx, p.dir, e); err != nil {
		return entry{}, nil, err
	}
	all, err := p.groups.find(ctx, p.dir, e, name)
	return e, all, err
}

// membershipFault returns the fault of groups that could not be searched for, at each
// login.
func membershipFault(err error) providers.Finding {
	key := providers.KeyOf(err)
	if errors.Is(err, errNoTokenGroups) {
		key = "groups.nested"
	}
	return providers.Faultf(key, "groups cannot be found, so that no person can log in: %v", err)
}

// noMemberships explains why none of the first people is in a group: it takes members that
// groups list, and looks for their groups.
func (p *Provider) noMemberships(ctx context.Context, asked int) providers.Finding {
	cfg := p.cfg.Groups
	members, limit := p.listedMembers(ctx)
	inner := "" // a group in a group
	for _, m := range members {
		switch kind, dn := p.kindOfMember(ctx, m.attribute, m.value); {
		case kind == memberPerson:
			_, all, err := p.groupsOfEntry(ctx, dn)
			if err == nil && inGroup(all) {
				return providers.Infof("none of the first %d people is in a group, but others are, such as %s", asked, dn)
			}
			return p.membersNotFound(m.group, m.attribute, dn)
		case kind == memberGroup && cfg.Nested == nestedNone:
			inner = fmt.Sprintf("%s contains the group %s", m.group, m.value)
		}
	}
	if inner != "" {
		return providers.Faultf("groups.nested", `no groups are found for the first %d people; groups are in other groups, as %s: write groups.nested = %q`, asked, inner, p.nestedAdvice())
	}
	if limit != nil {
		return providers.Warningf("", "no groups are found for the first %d people, and whether groups list people cannot be seen: %v%s", asked, limit, hint(limit))
	}
	return providers.Faultf("groups.base", "no groups are found for the first %d people, and no group under %s shows one of the people as its member: put people into the groups, write another DN in groups.base or users.base, or let %s read %s",
		asked, place(cfg.base()), p.account(), strings.Join(memberAttributes, ", "))
}

// listedMember is a value of a group's member attribute.
type listedMember struct{ group, attribute, value string }

// listedMembers returns some members that groups list, in each of memberAttributes. limit
// is the error of a limit of the server that hid all groups with one of these.
func (p *Provider) listedMembers(ctx context.Context) (members []listedMember, limit error) {
	cfg := p.cfg.Groups
	for _, attribute := range memberAttributes {
		groups, err := p.dir.find(ctx, query{
			base: cfg.base(), scope: searchScope(cfg.Scope), filter: "(" + attribute + "=*)", attributes: []string{attribute}, sizeLimit: maxNamed,
		})
		if cutShort(err) && len(groups) == 0 {
			limit = err
		}
		for _, group := range groups {
			values := group.texts(attribute)
			for _, value := range values[:min(maxNamed, len(values))] {
				members = append(members, listedMember{group.dn, attribute, value})
			}
		}
	}
	return members, limit
}

// memberKind is what a member of a group is.
type memberKind int

const (
	memberOther  memberKind = iota // no entry that is shown, or none of the other kinds
	memberPerson                   // an entry that users.filter can match
	memberGroup
)

// kindOfMember returns what a value of a member attribute names, and its DN.
func (p *Provider) kindOfMember(ctx context.Context, attribute, value string) (memberKind, string) {
	q := query{base: value, scope: ldap.ScopeBaseObject, filter: p.peopleFilter(), attributes: []string{"1.1"}, sizeLimit: 2}
	if attribute == "memberUid" {
		q.base, q.scope, q.filter = p.cfg.Users.base(), searchScope(p.cfg.Users.Scope), p.userFilter.filter(placeholderValues(value, value))
	} else if !isDN(value) {
		return memberOther, ""
	}
	found, err := p.dir.find(ctx, q)
	switch {
	case err == nil && len(found) == 1 && p.isUnderBase(found[0].dn):
		return memberPerson, found[0].dn
	case attribute == "memberUid":
		return memberOther, ""
	}
	q.filter = groupClasses
	if found, err = p.dir.find(ctx, q); err == nil && len(found) == 1 {
		return memberGroup, found[0].dn
	}
	return memberOther, ""
}

// membersNotFound returns the fault of a group that lists a person whose groups are not
// found.
func (p *Provider) membersNotFound(group, attribute, person string) providers.Finding {
	cfg := p.cfg.Groups
	filter := fmt.Sprintf("(%s={dn})", attribute)
	if attribute == "memberUid" {
		filter = "(memberUid={user})"
	}
	lists := fmt.Sprintf("%s lists %s in %s", group, person, attribute)
	switch {
	case cfg.Filter != "":
		return providers.Faultf("groups.filter", "%s, but groups.filter = %q does not find it: write groups.filter = %q", lists, cfg.Filter, filter)
	case cfg.Attribute != "":
		return providers.Faultf("groups.attribute", "%s, but the person's %s does not name it (OpenLDAP writes memberOf only with the overlay memberof): write groups.filter = %q in place of groups.attribute", lists, cfg.Attribute, filter)
	}
	return providers.Faultf("groups.nested", `%s, but groups.nested = %q does not find it: write groups.nested = "walk" and groups.filter = %q`, lists, cfg.Nested, filter)
}

// nestedAdvice returns the value to write for groups.nested.
func (p *Provider) nestedAdvice() string {
	if p.cfg.Preset == presetAD {
		return nestedTokenGroups
	}
	return nestedWalk
}

// reportNested reports groups that are members of groups, where groups.nested is "none".
func (p *Provider) reportNested(ctx context.Context) providers.Findings {
	cfg := p.cfg.Groups
	if cfg.Nested != nestedNone {
		return nil
	}
	filter := "(&" + groupClasses + "(" + cfg.Attribute + "=*))"
	if cfg.Attribute == "" {
		// An error, such as a size limit, comes with the entries before it.
		groups, _ := p.dir.find(ctx, query{base: cfg.base(), scope: searchScope(cfg.Scope), filter: groupClasses, attributes: []string{"1.1"}, sizeLimit: batchSize})
		if len(groups) == 0 || !p.groups.filter.hasOnly("dn") {
			return nil
		}
		filter = orFilter(groups, func(e entry) string { return p.groups.filter.filter(func(string) string { return e.dn }) })
	}
	outer := p.sampleOf(ctx, cfg.base(), cfg.Scope, filter)
	if len(outer) == 0 {
		return nil
	}
	text := fmt.Sprintf("%s contains other groups", outer[0].dn)
	if cfg.Attribute != "" {
		text = fmt.Sprintf("%s is in another group", outer[0].dn)
	}
	return providers.Findings{providers.Warningf("groups.nested", "%s, and members of an inner group are not found in the outer one: write groups.nested = %q", text, p.nestedAdvice())}
}

// reportPrimaryGroup reports a primary group of a person that is not among the groups
// found: it does not list its members.
func (p *Provider) reportPrimaryGroup(ctx context.Context, e entry, found []providers.FoundGroup) providers.Findings {
	cfg := p.cfg.Groups
	var filter, attribute, advice, key string
	switch {
	case cfg.Nested == nestedTokenGroups || cfg.Nested == nestedInChain:
		return nil
	case e.has(attrGroupNumber) && cfg.Filter != "":
		filter, attribute, key = "(&(objectClass=posixGroup)(gidNumber="+ldap.EscapeFilter(e.text(attrGroupNumber))+"))", attrGroupNumber, "groups.filter"
		advice = fmt.Sprintf("groups.filter = %q", "(|"+cfg.Filter+"(gidNumber={gidNumber}))")
	case e.has(attrPrimaryGroup):
		sid, err := primarySID(e)
		if err != nil {
			return nil
		}
		filter, attribute, key = "("+attrSID+"="+escapeBytes(sid)+")", attrPrimaryGroup, "groups.nested"
		way := "groups.filter"
		if cfg.Attribute != "" {
			way = "groups.attribute"
		}
		advice = fmt.Sprintf("groups.nested = %q and leave %s out", nestedTokenGroups, way)
	default:
		return nil
	}
	for _, primary := range p.sampleOf(ctx, cfg.base(), cfg.Scope, filter) {
		one := p.groups.dns.found(primary.dn)
		if !slices.ContainsFunc(found, func(g providers.FoundGroup) bool { return g.ID == one.id }) {
			return providers.Findings{providers.Warningf(key, "%s is the primary group of %s (%s), and is not found: if rules name such groups, write %s", primary.dn, e.dn, attribute, advice)}
		}
	}
	return nil
}
