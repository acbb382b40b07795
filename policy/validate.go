package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Values of a rule's keys.
const (
	allow = "allow"
	deny  = "deny"

	// The reserved groups: of requests without credentials, and of people who
	// logged in.
	anonymous     = "anonymous"
	authenticated = "authenticated"
)

// maxActions bounds the different actions that all rules of a policy name, so
// that a set of them fits into one machine word.
const maxActions = 60

// WithDefaults returns the rules with the defaults of the keys that they leave
// out. A rule without a name is called by its index in the file: "rule[3]".
func WithDefaults(rules []Rule) []Rule {
	rules = slices.Clone(rules)
	for i := range rules {
		r := &rules[i]
		if r.Name == "" {
			r.Name = defaultName(i)
		}
		if r.Effect == "" {
			r.Effect = allow
		}
		if r.Types == nil {
			r.Types = []string{"repository"}
		}
	}
	return rules
}

// defaultName is the name of a rule that has none of its own.
func defaultName(index int) string { return "rule[" + strconv.Itoa(index) + "]" }

// ValidateNames calls fault for each entry of a rule's providers or services
// that matches none of those configured.
func ValidateNames(rules []Rule, providers, services []string, fault func(key, problem string)) {
	for i, r := range rules {
		for _, list := range []struct {
			key          string
			globs, names []string
		}{{"providers", r.Providers, providers}, {"services", r.Services, services}} {
			for n, text := range list.globs {
				g, err := parseGlob(text, plainName)
				if err != nil || slices.ContainsFunc(list.names, func(name string) bool { return g.match(name, nil) }) {
					continue
				}
				fault(fmt.Sprintf("rule[%d].%s[%d]", i, list.key, n),
					fmt.Sprintf("%q is not one of the %s: there are %s", text, list.key, quoted(list.names)))
			}
		}
	}
}

// checker reports the faults of one rule.
type checker struct {
	Rule
	index int
	fault func(key, problem string)
}

func (c *checker) report(key, format string, args ...any) {
	c.fault(fmt.Sprintf("rule[%d].%s", c.index, key), fmt.Sprintf(format, args...))
}

// checkRules calls fault for each fault in rules that have their defaults, and
// reports whether there is none.
func checkRules(rules []Rule, conditions *conditionCompiler, fault func(key, problem string)) (ok bool) {
	ok = true
	report := func(key, problem string) {
		ok = false
		fault(key, problem)
	}
	names := map[string]int{}
	actions := map[string]bool{"pull": true, "push": true, "delete": true}
	for i, r := range rules {
		c := &checker{r, i, report}
		if first, taken := names[r.Name]; taken {
			c.report("name", "%q is the name of rule[%d] already; give each rule its own, since audit lines go by it", r.Name, first)
		} else {
			names[r.Name] = i
		}
		c.checkLists()
		c.checkIdentityKeys()
		c.checkPlaceholders()
		for _, a := range r.Actions {
			actions[a] = true
		}
		if r.When != "" {
			if _, err := conditions.compile(r.When); err != nil {
				c.report("when", "%v", err)
			}
		}
	}
	for i, r := range rules {
		c := &checker{r, i, report}
		c.checkUnless(rules, names)
	}
	if len(actions) > maxActions {
		report("rule", fmt.Sprintf(`the rules name %d different actions, at most %d are possible; registries know "pull", "push" and "delete"`, len(actions), maxActions))
	}
	return ok
}

// checkLists checks each list by itself: that it is not empty, and the syntax
// of its entries.
func (c *checker) checkLists() {
	for _, list := range []struct {
		key      string
		entries  []string
		required bool
	}{
		{"users", c.Users, false},
		{"groups", c.Groups, false},
		{"providers", c.Providers, false},
		{"services", c.Services, false},
		{"types", c.Types, true},
		{"repositories", c.Repositories, true},
		{"actions", c.Actions, true},
	} {
		if len(list.entries) == 0 && list.entries != nil {
			c.report(list.key, "the list is empty, so the rule could never match; name something, or leave the key out")
		} else if list.entries == nil && list.required {
			c.report(list.key, `is missing; write for instance %s = ["%s"]`, list.key, map[string]string{"repositories": "team-a/**", "actions": "pull"}[list.key])
		}
		for i, entry := range list.entries {
			key := fmt.Sprintf("%s[%d]", list.key, i)
			switch list.key {
			case "actions":
				c.checkAction(key, entry)
			case "types":
				c.checkType(key, entry)
			default:
				c.checkGlob(key, entry, list.key == "repositories")
			}
		}
	}
	if c.Effect != allow && c.Effect != deny {
		c.report("effect", `%q is not an effect; write "allow" or "deny"`, c.Effect)
	}
}

func (c *checker) checkGlob(key, entry string, repositories bool) {
	g, err := parseGlob(entry, nameKind(repositories))
	if err != nil {
		c.report(key, "%q %v", entry, err)
	} else if repositories {
		if problem := whyImpossible(g, slices.Contains(c.Types, "repository")); problem != "" {
			c.report(key, "%q %s", entry, problem)
		}
	}
}

func (c *checker) checkAction(key, entry string) {
	if entry == "*" {
		return
	}
	if entry == "" || strings.Trim(entry, "abcdefghijklmnopqrstuvwxyz") != "" {
		c.report(key, `%q is not an action; write "pull", "push", "delete", or "*" for every action asked`, entry)
		return
	}
	for _, known := range []string{"pull", "push", "delete"} {
		if entry != known && withinOneEdit(entry, known) {
			c.report(key, "%q is not an action that registries know; did you mean %q?", entry, known)
		}
	}
}

func (c *checker) checkType(key, entry string) {
	if kind, _, isClass := strings.Cut(entry, "("); isClass {
		c.report(key, "%q names a class; write %q, which covers each class of it", entry, kind)
	} else if g, err := parseGlob(entry, plainName); err != nil {
		c.report(key, "%q %v", entry, err)
	} else if strings.Trim(entry, "*abcdefghijklmnopqrstuvwxyz0123456789") != "" || len(g) == 0 {
		c.report(key, `%q is not a type of resource; write "repository", or "registry" for the catalog`, entry)
	}
}

// checkIdentityKeys checks the keys that say which people the rule covers.
func (c *checker) checkIdentityKeys() {
	if c.Effect == allow && c.Users == nil && c.Groups == nil {
		c.report("groups", `an allow rule names users or groups; for everybody write groups = ["anonymous", "authenticated"]`)
	}
	for i, group := range c.Groups {
		if isReserved(group) && group != anonymous && group != authenticated {
			c.report(fmt.Sprintf("groups[%d]", i), "%q is never a group, because the name is reserved; write %q", group, strings.ToLower(group))
		}
	}
	onlyAnonymous := len(c.Groups) > 0 && !slices.ContainsFunc(c.Groups, func(g string) bool { return g != anonymous })
	if !onlyAnonymous {
		return
	}
	for _, key := range []struct {
		name string
		set  bool
	}{{"users", c.Users != nil}, {"providers", c.Providers != nil}} {
		if key.set {
			c.report(key.name, `the rule can never match: requests in the group "anonymous" have neither a user name nor a provider`)
		}
	}
}

// checkPlaceholders checks that the rule's other keys can give the placeholders
// a value.
func (c *checker) checkPlaceholders() {
	for i, entry := range c.Repositories {
		g, err := parseGlob(entry, pathName)
		if err != nil {
			continue // reported by checkLists
		}
		key := fmt.Sprintf("repositories[%d]", i)
		if g.has(groupName) && c.Groups == nil {
			c.report(key, "%q: {group} stands for the groups that the rule's own groups key matches, and the rule has none; add groups", entry)
		}
		personal := g.has(userName) || g.has(claimValue)
		if personal && len(c.Groups) == 1 && c.Groups[0] == anonymous {
			c.report(key, `%q: requests in the group "anonymous" have no user name and no claims to fill it with`, entry)
		}
	}
}

// whyImpossible says why a glob can never match a resource, and is empty if it
// can.
func whyImpossible(g glob, repository bool) string {
	slashes := 0
	for i, t := range g {
		if t.kind == doubleStar {
			slashes++
		}
		if t.kind != literal {
			continue
		}
		if bad := strings.IndexFunc(t.text, func(r rune) bool { return !nameRune(r) }); bad >= 0 {
			return fmt.Sprintf("can never match: a repository name has no %q; the wildcards are * and **", []rune(t.text[bad:])[0])
		}
		first, rest, slash := strings.Cut(t.text, "/")
		host := slashes == 0 && strings.ContainsAny(first, ".:") // a host name may have upper case
		if repository && (first != strings.ToLower(first) && !host || rest != strings.ToLower(rest)) {
			return "can never match: repository names are lower case"
		}
		if slash {
			slashes++
		}
		if strings.Contains(t.text, "//") || i == 0 && t.text[0] == '/' || i == len(g)-1 && strings.HasSuffix(t.text, "/") {
			return `can never match: a repository name has single slashes, and none at its ends; what lies below a folder is "folder/**"`
		}
	}
	return ""
}

func nameRune(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("._-:/", r)
}

// withinOneEdit reports whether the edit distance of a and b is at most one
// letter.
func withinOneEdit(a, b string) bool {
	for len(a) > 0 && len(b) > 0 && a[0] == b[0] {
		a, b = a[1:], b[1:]
	}
	for len(a) > 0 && len(b) > 0 && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	return len(a) <= 1 && len(b) <= 1
}

func quoted(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return fmt.Sprintf("%q", names)
}
