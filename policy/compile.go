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
	rules   []*rule  // in the order of the file
	ranked  []*rule  // in the order of evaluation
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
	index int // in the file
	rank  int // in the order of evaluation
	deny  bool

	users, groups ids  // the entries of the keys, as numbers in Policy.users and groups; empty if the key is left out
	namesGroups   bool // some entry of groups is no reserved group

	types, providers, services []glob
	patterns                   []pattern // repositories
	bits                       uint64    // the set of actions named
	star                       bool      // "*" is among them
	when                       *condition

	unless ids  // the rules that unless names, by rank
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
	p.rules = make([]*rule, len(rules))
	p.ranked = make([]*rule, len(rules))
	for rank, i := range rankRules(rules) {
		compiled, err := c.compileRule(i, rules[i])
		if err != nil {
			fault(fmt.Sprintf("rule[%d]", i), err.Error())
			return &Policy{}
		}
		compiled.rank = rank
		p.rules[i], p.ranked[rank] = compiled, compiled
	}
	p.resolveUnless()
	p.index = newIndex(p.ranked, len(p.claims))
	p.anonymous = p.newIdentity(names{groups: []string{anonymous}, anonymous: true})
	for _, c := range p.Claims() {
		p.referencedClaims = append(p.referencedClaims, c.Path)
	}
	p.compileTime = time.Since(began)
	return p
}

// rankRules returns the indexes of the rules in the order of their evaluation: by what
// is in them and not by the order of the file. So a decision does not depend on that
// even where a limit of the request ends the evaluation of conditions or of lists.
func rankRules(rules []Rule) []int {
	ranked := make([]int, len(rules))
	for i := range ranked {
		ranked[i] = i
	}
	slices.SortStableFunc(ranked, func(i, j int) int { return compareRules(rules, i, j) })
	return ranked
}

// compareRules compares two rules by what is in them: by their own names, or else by
// their keys.
func compareRules(rules []Rule, i, j int) int {
	a, b := &rules[i], &rules[j]
	for _, texts := range [...][2]string{{a.ownName(i), b.ownName(j)}, {a.When, b.When}, {a.Effect, b.Effect}} {
		if c := strings.Compare(texts[0], texts[1]); c != 0 {
			return c
		}
	}
	for _, lists := range [...][2][]string{
		{a.Repositories, b.Repositories}, {a.Groups, b.Groups}, {a.Users, b.Users}, {a.Actions, b.Actions},
		{a.Unless, b.Unless}, {a.Types, b.Types}, {a.Providers, b.Providers}, {a.Services, b.Services},
	} {
		if c := slices.Compare(lists[0], lists[1]); c != 0 {
			return c
		}
	}
	return 0
}

// ownName returns the name of the rule at an index, and "" if that is its position.
func (r *Rule) ownName(index int) string {
	if strings.HasPrefix(r.Name, "rule[") && r.Name == defaultName(index) {
		return ""
	}
	return r.Name
}

// resolveUnless turns the names in unless keys into ranks of rules.
func (p *Policy) resolveUnless() {
	ranks := make(map[string]int32, len(p.ranked))
	for rank, r := range p.ranked {
		ranks[r.Name] = int32(rank)
	}
	for _, r := range p.ranked {
		named := make([]int32, len(r.Unless))
		for i, name := range r.Unless {
			named[i] = ranks[name]
			p.ranked[named[i]].named = true
		}
		r.unless = newIDs(named)
		r.byAction = r.when.namesAction() || slices.ContainsFunc(named, func(n int32) bool { return p.ranked[n].when.namesAction() })
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
