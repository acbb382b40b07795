package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"shorepass/policy"
	"shorepass/registry"
)

// crossCheck looks at what one room's options say about another's, which no
// room can see by itself.
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
	names := make(map[string]int)
	directories := 0 // providers that are no file
	for i, options := range l.options {
		if options == nil {
			continue
		}
		c, at := common(options), element("provider", i)
		if first, ok := names[c.Name]; ok && c.Name != "" {
			l.faults.add(at+".name", fmt.Sprintf("%q is also the name of the provider on line %d; give each its own",
				c.Name, l.text.line(element("provider", first))))
		} else {
			names[c.Name] = i
		}
		if c.Kind != "file" {
			directories++
		}
	}
	for i, options := range l.options {
		if options == nil || directories < 2 {
			continue
		}
		if c := common(options); c.Kind != "file" && c.Prefix == nil {
			l.faults.add(element("provider", i)+".prefix", fmt.Sprintf("is missing, and %d providers are no file, "+
				"so that one's groups could pass for another's; write for instance prefix = %q, or \"\" on purpose", directories, c.Name+":"))
		}
	}
	if len(l.options) == 0 {
		l.warn("", "there is no [[provider]], so nobody can log in; see config.example.toml")
	}
}

// checkServices compares the [[service]] tables with token.services.
func (l *loader) checkServices() {
	served := l.document.Token.Services
	names := make(map[string]int)
	for i, s := range l.document.Services {
		at := element("service", i)
		switch first, ok := names[s.Name]; {
		case s.Name == "":
			continue // the room says it
		case ok:
			l.faults.add(at+".name", fmt.Sprintf("%q has its table on line %d already; make one of the two",
				s.Name, l.text.line(element("service", first))))
		case slices.Contains(served, s.Name):
		case nearest(s.Name, served) != "":
			l.faults.add(at+".name", fmt.Sprintf("%q is not in token.services; did you mean %q?", s.Name, nearest(s.Name, served)))
		default:
			l.faults.add(at+".name", fmt.Sprintf("%q is not in token.services; add it there", s.Name))
		}
		names[s.Name] = i
	}
	registry.ValidateServices(l.document.Token, l.document.Services, l.faults.under(""))
}

// checkRules looks at what the rules name.
func (l *loader) checkRules() {
	rules := l.document.Rules
	if len(rules) == 0 {
		l.warn("", "there is no [[rule]], so nobody may do anything; see config.example.toml")
		return
	}
	var names []string
	for i, options := range l.options {
		if options == nil {
			// Its name counts all the same: one fault is enough.
			name, _ := l.document.Providers[i]["name"].(string)
			names = append(names, name)
			continue
		}
		names = append(names, common(options).Name)
	}
	policy.ValidateNames(rules, slices.Compact(names), l.document.Token.Services, l.faults.under(""))
	l.checkClaims(rules)
}

// checkClaims warns of claims that rules ask for and no provider keeps, so
// that an allow rule never matches and a deny rule always does.
func (l *loader) checkClaims(rules []policy.Rule) {
	kept := make(map[string]bool)
	for _, options := range l.options {
		if options != nil {
			for _, name := range l.claims(options) {
				kept[name] = true
			}
		}
	}
	for _, claim := range policy.Claims(rules) {
		name, _, _ := strings.Cut(claim, ".")
		if kept[claim] || kept[name] {
			continue
		}
		for i, r := range rules {
			if strings.Contains(r.When+strings.Join(r.Repositories, " "), name) && slices.Contains(policy.Claims([]policy.Rule{r}), claim) {
				l.warn(element("rule", i), fmt.Sprintf("no provider keeps the claim %q; add it to the claims of one", name))
			}
		}
	}
}

// claims returns what the key claims of a provider's options names: a list of
// claims, or a table of claims and where they are from.
func (l *loader) claims(options any) []string {
	v := reflect.ValueOf(options).Elem()
	for _, f := range l.strict.fields(v.Type()) {
		if f.name != "claims" {
			continue
		}
		switch c := v.FieldByIndex(f.index).Interface().(type) {
		case []string:
			return c
		case map[string]string:
			var names []string
			for name := range c {
				names = append(names, name)
			}
			return names
		}
	}
	return nil
}
