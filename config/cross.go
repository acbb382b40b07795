package config

import (
	"fmt"
	"slices"

	"shorepass/policy"
	"shorepass/providers"
	"shorepass/registry"
)

// crossCheck checks the options of one package against those of another, which
// no package's Validate can see.
func (l *loader) crossCheck() {
	l.checkProviders()
	l.checkServices()
	l.checkRules()
}

// warn notes what is allowed and yet hardly meant.
func (l *loader) warn(key, problem string) {
	l.warnings = append(l.warnings, l.faults.at(key, problem))
}

// checkProviders looks at the [[provider]] tables side by side.
func (l *loader) checkProviders() {
	if len(l.cfg.Providers) == 0 {
		l.warn("", "there is no [[provider]], so nobody can log in; see config.example.toml")
	}
	var all []providers.Config
	var tables []int // of all
	for i, p := range l.cfg.Providers {
		if p.options != nil {
			all, tables = append(all, p.Config), append(tables, i)
		}
	}
	providers.ValidateTogether(all, func(i int, key, problem string) {
		l.faults.under(element("provider", tables[i]))(key, problem)
	})
}

// checkServices checks the [[service]] tables against [token]. About a name that
// comes twice, or is misspelt, its fault says more than registry's can.
func (l *loader) checkServices() {
	served := l.cfg.Token.Services
	names := make(map[string]int)
	for i, s := range l.cfg.Services {
		at := element("service", i)
		switch first, ok := names[s.Name]; {
		case s.Name == "":
			continue
		case ok:
			l.faults.add(at+".name", fmt.Sprintf("%q has its table on line %d already; make one of the two",
				s.Name, l.text.line(element("service", first))))
		case !slices.Contains(served, s.Name) && closest(s.Name, served) != "":
			l.faults.add(at+".name", fmt.Sprintf("%q is not in token.services; did you mean %q?", s.Name, closest(s.Name, served)))
		}
		names[s.Name] = i
	}
	registry.ValidateServices(l.cfg.Token, l.cfg.Services, l.faults.under(""))
}

// checkRules looks at what the rules name.
func (l *loader) checkRules() {
	rules := l.cfg.Rules
	if len(rules) == 0 {
		l.warn("", "there is no [[rule]], so nobody may do anything; see config.example.toml")
		return
	}
	var names []string
	for _, p := range l.cfg.Providers {
		names = append(names, p.Name)
	}
	slices.Sort(names)
	policy.ValidateNames(rules, slices.Compact(names), l.cfg.Token.Services, l.faults.under(""))
	misread := func(p Provider) bool { return p.options == nil }
	if len(names) > 0 && !slices.ContainsFunc(l.cfg.Providers, misread) {
		l.checkClaims()
		l.checkReach()
	}
}

// checkClaims finds claims that rules ask for and no provider keeps, so that an
// allow rule never matches and a deny rule always does.
func (l *loader) checkClaims() {
	kept := make(map[string]bool)
	for _, p := range l.cfg.Providers {
		for _, name := range p.options.ClaimNames() {
			kept[name] = true
		}
	}
	for _, claim := range l.cfg.Policy.Claims() {
		if name := claim.Path[0]; !kept[name] {
			// One rule is enough to find the others by.
			l.faults.add(element("rule", claim.Rule), fmt.Sprintf("no provider keeps the claim %q; add it to the claims of one", name))
		}
	}
}
