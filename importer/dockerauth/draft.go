package dockerauth

import (
	"slices"
	"strings"
)

// draft is a rule in the making: the keys that entries become.
type draft struct {
	users, groups []string
	types         []string
	services      []string
	repositories  []string
	shape         []string // see aclRule, as the two below
	when          []string
	guards        []string
	compared      string
	doubt         string // why it denies what its entry does not grant; empty if it is the entry itself
}

func (d *draft) clone() draft {
	next := *d
	next.when, next.guards = slices.Clone(d.when), slices.Clone(d.guards)
	return next
}

// mergeDrafts merges drafts that differ in their people or types alone.
func mergeDrafts(drafts []draft) []draft {
	var all []draft
	for _, d := range drafts {
		i := slices.IndexFunc(all, func(other draft) bool { return other.mergeable(&d) })
		if i < 0 {
			all = append(all, d)
			continue
		}
		m := &all[i]
		for _, lists := range []struct{ to, from *[]string }{{&m.users, &d.users}, {&m.groups, &d.groups}, {&m.types, &d.types}} {
			for _, one := range *lists.from {
				if !slices.Contains(*lists.to, one) {
					*lists.to = append(*lists.to, one)
				}
			}
		}
	}
	return all
}

// mergeable reports whether two drafts say the same of other users, of people and
// requests without credentials, or of other types.
func (d *draft) mergeable(other *draft) bool {
	sameRest := slices.Equal(d.services, other.services) && slices.Equal(d.repositories, other.repositories) &&
		slices.Equal(d.when, other.when) && d.doubt == other.doubt
	samePeople := slices.Equal(d.users, other.users) && slices.Equal(d.groups, other.groups)
	sameTypes := slices.Equal(d.types, other.types)
	onlyUsers := d.groups == nil && other.groups == nil
	everyone := d.users == nil && other.users == nil && d.reserved() && other.reserved()
	return sameRest && (samePeople || sameTypes && (onlyUsers || everyone))
}

// reserved reports whether a draft is for people who logged in or for requests without
// credentials, and nothing else.
func (d *draft) reserved() bool {
	return !slices.ContainsFunc(d.groups, func(g string) bool { return g != authenticated && g != anonymous })
}

// The groups that our policy reserves.
const (
	authenticated = "authenticated"
	anonymous     = "anonymous"
)

// withoutCredentials returns the drafts of an entry for requests without credentials.
// An account that is empty fills no placeholder: such an entry grants them nothing.
func (t *aclTranslation) withoutCredentials(e *aclEntry, kinds []string) []draft {
	who := *t.anonymous
	if !t.covers(e, who, kinds[0]) || e.usesAccount() {
		return nil
	}
	all, complete := t.own(e, kinds, who, false)
	if !complete {
		return t.denied(e, kinds)
	}
	return all
}

// denied returns drafts that cover whatever an entry may cover, for an entry that cannot
// be translated. Its rules deny.
func (t *aclTranslation) denied(e *aclEntry, kinds []string) []draft {
	if !e.failed {
		e.failed = true
		t.note(e.Line, Lost, "the entry%s has no equal: what it may cover is denied; write a rule for it by hand in the place of the one that denies", e.remark())
	}
	d := draft{types: kinds, groups: []string{authenticated}}
	if t.anonymous != nil && t.covers(e, *t.anonymous, kinds[0]) {
		d.groups = append(d.groups, anonymous)
	}
	if d.repositories = t.widest(e, kinds); d.repositories == nil {
		return nil
	}
	d.shape = d.repositories
	return []draft{d}
}

// widest returns globs that match each name that an entry may cover.
func (t *aclTranslation) widest(e *aclEntry, kinds []string) []string {
	if e.name == nil {
		return []string{"**"}
	}
	made, ok := e.name.fill(noValue)
	if !ok {
		return nil
	}
	globs, _ := made.globs(pathName)
	var all []string
	for _, g := range globs {
		for n := range made.holes {
			g = strings.ReplaceAll(g, string(firstHole+rune(n)), "**")
		}
		if g = joinAsterisks(g); t.possible(g, kinds) {
			all = append(all, g)
		}
	}
	return all
}
