package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Policy is a compiled set of rules. It is immutable but for its cache of
// identities, and safe for concurrent use. The zero Policy grants nothing.
type Policy struct {
	rules   []*rule
	actions []string // every action that a rule names; bit n of a set of actions is actions[n]
	claims  []string // every claim that a placeholder names, as a dotted path, by slot

	users, groups entries // those of all users keys, of all groups keys
	index         index
	identities    identityCache
	anonymous     *identity // the identity of requests without credentials

	referencedClaims []claimPath // every claim that a rule names
	compileTime      time.Duration
}

// rule is a compiled [Rule].
type rule struct {
	Rule
	index int
	deny  bool

	users, groups ids  // the entries of the keys, as numbers in Policy.users and groups; empty if the key is left out
	namesGroups   bool // some entry of groups is no reserved group

	types, providers, services []glob
	patterns                   []pattern // repositories
	bits                       uint64    // the set of actions named
	star                       bool      // "*" is among them
	when                       *condition

	unless ids  // the rules that unless names, by index
	named  bool // the unless of some rule names this one

	byAction bool // it may match for some of the requested actions only: a condition names request.action, its own or that of a rule in unless

	needsUser, needsGroup bool  // some pattern has the placeholder
	needsClaims           []int // the slots of the claims that some pattern has
}

// pattern is one entry of a rule's repositories: a glob, and what is needed to
// index it and to fill its placeholders.
type pattern struct {
	glob
	text       string
	needsGroup bool
	wholeGroup bool // {group} is a whole component, so that only a group that is a component of the requested name can match
}

// Compile checks rules, with or without their defaults, and compiles them. It
// calls fault for each fault; key is its path, with indexes from 0:
// "rule[3].when", "rule[3].repositories[1]". After a fault the policy is empty
// and grants nothing.
//
// Each different condition costs about a quarter of a millisecond, so a
// configuration should be compiled once in each load.
func Compile(rules []Rule, fault func(key, problem string)) *Policy {
	began := time.Now()
	rules = WithDefaults(rules)
	p := &Policy{actions: []string{"pull", "push", "delete"}, identities: newIdentityCache()}
	c := &compiler{Policy: p, bit: map[string]int{"pull": 0, "push": 1, "delete": 2}, slot: map[string]int{}}
	if !checkRules(rules, &c.conditions, fault) {
		return &Policy{}
	}
	for i, r := range rules {
		compiled, err := c.compileRule(i, r)
		if err != nil {
			fault(fmt.Sprintf("rule[%d]", i), err.Error())
			return &Policy{}
		}
		p.rules = append(p.rules, compiled)
	}
	p.resolveUnless()
	p.index = newIndex(p.rules, len(p.claims))
	p.anonymous = p.newIdentity(names{groups: []string{anonymous}, anonymous: true})
	for _, c := range p.Claims() {
		p.referencedClaims = append(p.referencedClaims, c.Path)
	}
	p.compileTime = time.Since(began)
	return p
}

// resolveUnless turns the names in unless keys into indexes of rules.
func (p *Policy) resolveUnless() {
	numbers := make(map[string]int32, len(p.rules))
	for i, r := range p.rules {
		numbers[r.Name] = int32(i)
	}
	for _, r := range p.rules {
		named := make([]int32, len(r.Unless))
		for i, name := range r.Unless {
			named[i] = numbers[name]
			p.rules[named[i]].named = true
		}
		r.unless = newIDs(named)
		r.byAction = r.when.namesAction() || slices.ContainsFunc(named, func(n int32) bool { return p.rules[n].when.namesAction() })
	}
}

// Claim is a claim that rules name, in a placeholder or a condition.
type Claim struct {
	Path []string // the path through nested objects: "realm_access", "roles"
	Rule int      // the index of the first rule that names it
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

// compileRule compiles the rule at index i.
func (c *compiler) compileRule(i int, r Rule) (*rule, error) {
	out := &rule{Rule: r, index: i, deny: r.Effect == deny}
	var err error
	out.users = c.users.add(r.Users)
	out.groups = c.groups.add(r.Groups)
	out.namesGroups = slices.ContainsFunc(r.Groups, func(entry string) bool { return !isReserved(entry) })
	for _, key := range []struct {
		globs *[]glob
		texts []string
	}{{&out.types, r.Types}, {&out.providers, r.Providers}, {&out.services, r.Services}} {
		for _, text := range key.texts {
			g, err := parseGlob(text, plainName)
			if err != nil {
				return nil, err
			}
			*key.globs = append(*key.globs, g)
		}
	}
	for _, text := range r.Repositories {
		if err := c.compilePattern(out, text); err != nil {
			return nil, err
		}
	}
	for _, action := range r.Actions {
		if action == "*" {
			out.star = true
			continue
		}
		out.bits |= 1 << c.actionNumber(action)
	}
	if r.When != "" {
		out.when, err = c.conditions.compile(r.When)
	}
	return out, err
}

// actionNumber returns the number of an action in Policy.actions, and adds it
// if it is new.
func (c *compiler) actionNumber(name string) int {
	n, ok := c.bit[name]
	if !ok {
		n = len(c.actions)
		c.bit[name], c.actions = n, append(c.actions, name)
	}
	return n
}

// compilePattern compiles one entry of repositories into r.
func (c *compiler) compilePattern(r *rule, text string) error {
	g, err := parseGlob(text, pathName)
	if err != nil {
		return err
	}
	for i := range g {
		switch t := &g[i]; t.kind {
		case userName:
			r.needsUser = true
		case groupName:
			r.needsGroup = true
		case claimValue:
			n, ok := c.slot[t.text]
			if !ok {
				n = len(c.claims)
				c.slot[t.text], c.claims = n, append(c.claims, t.text)
			}
			t.slot = n
			if !slices.Contains(r.needsClaims, n) {
				r.needsClaims = append(r.needsClaims, n)
			}
		}
	}
	whole := slices.Contains(components(text), "{group}")
	r.patterns = append(r.patterns, pattern{g, text, g.has(groupName), whole})
	return nil
}
