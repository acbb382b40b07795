package config

import (
	"fmt"
	"slices"

	"shorepass/policy"
	"shorepass/providers"
	"shorepass/registry"
)

// crossCheck checks the options of one package against those of another. The packages'
// own Validate methods cannot.
func (l *loader) crossCheck() {
	l.checkProviders()
	l.checkServices()
	l.checkPages()
	l.checkRules()
}

// warn records a warning about a valid option that is probably a mistake.
func (l *loader) warn(key, problem string) {
	l.warnings = append(l.warnings, l.faults.at(key, problem))
}

// checkProviders checks the [[provider]] tables against one another.
func (l *loader) checkProviders() {
	if len(l.cfg.Providers) == 0 {
		l.warn("", "there is no [[provider]], so nobody can log in; see config.example.toml")
	}
	var all []providers.Config
	var tables []int // the index of its table for each of all
	for i, p := range l.cfg.Providers {
		if p.options != nil {
			all, tables = append(all, p.Config), append(tables, i)
		}
	}
	providers.ValidateTogether(all, func(i int, key, problem string) {
		l.faults.under(element("provider", tables[i]))(key, problem)
	})
	if len(all) == len(l.cfg.Providers) {
		l.checkRequireGroups()
		l.checkIssuers()
	}
}

// checkIssuers warns of tables with the issuer of an earlier one at which people log in
// too. A person is a provider and a subject, so that one who logs in at both is two.
func (l *loader) checkIssuers() {
	first := make(map[string]string) // the name of the first table for people, by issuer
	for i, p := range l.cfg.Providers {
		issuer := p.issuerOfPeople()
		switch name, seen := first[issuer]; {
		case issuer == "":
		case !seen:
			first[issuer] = p.Name
		default:
			l.warn(element("provider", i)+".issuer", fmt.Sprintf("people log in at %q with the same issuer, and each of them is another person here: "+
				"sessions are listed, counted and ended apart; merge the two tables, or leave only id_token in the grants of one", name))
		}
	}
}

// issuerOfPeople returns the issuer of a provider at which people log in, and not jobs alone,
// or "".
func (p Provider) issuerOfPeople() string {
	issuer, ok := p.options.(issuerOptions)
	if !ok || !slices.ContainsFunc(p.options.Methods(), func(m providers.Method) bool { return m != providers.MethodIDToken }) {
		return ""
	}
	return issuer.TokenIssuer()
}

// checkServices checks the [[service]] tables against [token]. It reports a duplicate
// or misspelt name itself, with the line or the near name that registry cannot know.
func (l *loader) checkServices() {
	served := l.cfg.Token.Services
	names := make(map[string]int)
	for i, s := range l.cfg.Services {
		at := element("service", i)
		switch first, ok := names[s.Name]; {
		case s.Name == "":
			continue
		case ok:
			l.faults.add(at+".name", fmt.Sprintf("%q has a table on line %d already; merge the two",
				s.Name, l.text.line(element("service", first))))
		case !slices.Contains(served, s.Name) && Closest(s.Name, served) != "":
			l.faults.add(at+".name", fmt.Sprintf("%q is not in token.services; did you mean %q?", s.Name, Closest(s.Name, served)))
		}
		names[s.Name] = i
	}
	registry.ValidateServices(l.cfg.Token, l.cfg.Services, l.faults.under(""))
}

// checkRules checks the names in rules against providers, services and claims.
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

// checkClaims reports claims that rules use and no provider has. An allow rule with
// such a claim would never match and a deny rule always.
func (l *loader) checkClaims() {
	kept := make(map[string]bool)
	for _, p := range l.cfg.Providers {
		for _, name := range p.options.ClaimNames() {
			kept[name] = true
		}
	}
	for _, claim := range l.cfg.Policy.Claims() {
		if name := claim.Path[0]; !kept[name] {
			// Only the first rule with the claim is reported.
			l.faults.add(element("rule", claim.Rule), fmt.Sprintf("no provider reads the claim %q; add it to the claims of a provider", name))
		}
	}
}
