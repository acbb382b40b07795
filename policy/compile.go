package policy

import (
	"fmt"
	"slices"
	"strings"
)

// Policy is a compiled set of rules. It is safe for concurrent use, and never
// changes but for its cache of people. The zero Policy grants nothing.
type Policy struct {
	rules   []*rule
	actions []string // every action that a rule names; bit n of a set is actions[n]
	claims  []string // every claim under a placeholder, as a dotted path; token.slot indexes it

	users, groups entries // of all users and groups keys
	index         index
	identities    identityCache
	anonymous     *identity // anyone without credentials

	referencedClaims []claimPath // every claim that a rule names
}

// rule is a [Rule], compiled.
type rule struct {
	Rule
	index int
	deny  bool

	users, groups ids  // what the keys hold, as numbers in Policy.users and groups; empty when the key is left out
	namesGroups   bool // some entry of groups is none of our own two

	types, providers, services []glob
	patterns                   []pattern // repositories
	bits                       uint64    // the actions named
	star                       bool      // "*" is among them
	when                       *condition

	needsUser, needsGroup bool  // some pattern has the placeholder
	needsClaims           []int // the slots of those that some pattern has
}

// pattern is one entry of a rule's repositories: a glob with what is needed to
// find it and to fill its placeholders.
type pattern struct {
	glob
	text       string
	needsGroup bool
	wholeGroup bool // {group} fills a component, so that only groups the asked name has can match
}

// Compile checks rules, with or without their defaults, and compiles them. It
// calls fault for each thing that is wrong. key is the place, counted from 0:
// "rule[3].when", "rule[3].repositories[1]". After a fault the policy is empty
// and grants nothing.
//
// Each different condition costs about a quarter of a millisecond, so that a
// configuration should be compiled once a load.
func Compile(rules []Rule, fault func(key, problem string)) *Policy {
	rules = WithDefaults(rules)
	p := &Policy{actions: []string{"pull", "push", "delete"}, identities: newIdentityCache()}
	b := &compiler{Policy: p, bit: map[string]int{"pull": 0, "push": 1, "delete": 2}, slot: map[string]int{}}
	if !checkRules(rules, &b.conditions, fault) {
		return &Policy{}
	}
	for i, r := range rules {
		compiled, err := b.compileRule(i, r)
		if err != nil {
			fault(fmt.Sprintf("rule[%d]", i), err.Error())
			return &Policy{}
		}
		p.rules = append(p.rules, compiled)
	}
	p.index = newIndex(p.rules, len(p.claims))
	p.anonymous = p.newIdentity(names{groups: []string{anonymous}, anonymous: true})
	for _, c := range p.Claims() {
		p.referencedClaims = append(p.referencedClaims, c.Path)
	}
	return p
}

// Claim is a claim that rules name, in a placeholder or a condition.
type Claim struct {
	Path []string // one name within the other: "realm_access", "roles"
	Rule int      // the first rule that names it, by its place in the file
}

// Claims returns the claims that rules name, sorted by their paths.
func (p *Policy) Claims() []Claim {
	var all []Claim
	for _, r := range p.rules {
		for _, slot := range r.needsClaims {
			all = append(all, Claim{strings.Split(p.claims[slot], "."), r.index})
		}
		if r.when == nil {
			continue
		}
		for _, path := range r.when.claims {
			all = append(all, Claim{path, r.index})
		}
	}
	slices.SortStableFunc(all, func(a, b Claim) int { return slices.Compare(a.Path, b.Path) })
	return slices.CompactFunc(all, func(a, b Claim) bool { return slices.Equal(a.Path, b.Path) })
}

// compiler holds what only the compilation needs.
type compiler struct {
	*Policy
	conditions conditionCompiler
	bit        map[string]int // of an action in Policy.actions
	slot       map[string]int // of a claim in Policy.claims
}

func (b *compiler) compileRule(i int, r Rule) (*rule, error) {
	c := &rule{Rule: r, index: i, deny: r.Effect == deny}
	var err error
	c.users = b.users.add(r.Users)
	c.groups = b.groups.add(r.Groups)
	c.namesGroups = slices.ContainsFunc(r.Groups, func(entry string) bool { return !isReserved(entry) })
	for _, key := range []struct {
		globs *[]glob
		texts []string
	}{{&c.types, r.Types}, {&c.providers, r.Providers}, {&c.services, r.Services}} {
		for _, text := range key.texts {
			g, err := parseGlob(text, plainName)
			if err != nil {
				return nil, err
			}
			*key.globs = append(*key.globs, g)
		}
	}
	for _, text := range r.Repositories {
		if err := b.compilePattern(c, text); err != nil {
			return nil, err
		}
	}
	for _, action := range r.Actions {
		if action == "*" {
			c.star = true
			continue
		}
		c.bits |= 1 << b.actionNumber(action)
	}
	if r.When != "" {
		c.when, err = b.conditions.compile(r.When)
	}
	return c, err
}

func (b *compiler) actionNumber(name string) int {
	n, ok := b.bit[name]
	if !ok {
		n = len(b.actions)
		b.bit[name], b.actions = n, append(b.actions, name)
	}
	return n
}

// compilePattern compiles one entry of repositories into c.
func (b *compiler) compilePattern(c *rule, text string) error {
	g, err := parseGlob(text, pathName)
	if err != nil {
		return err
	}
	for i := range g {
		switch t := &g[i]; t.kind {
		case userName:
			c.needsUser = true
		case groupName:
			c.needsGroup = true
		case claimValue:
			n, ok := b.slot[t.text]
			if !ok {
				n = len(b.claims)
				b.slot[t.text], b.claims = n, append(b.claims, t.text)
			}
			t.slot = n
			if !slices.Contains(c.needsClaims, n) {
				c.needsClaims = append(c.needsClaims, n)
			}
		}
	}
	whole := slices.Contains(components(text), "{group}")
	c.patterns = append(c.patterns, pattern{g, text, g.has(groupName), whole})
	return nil
}
