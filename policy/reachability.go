package policy

import (
	"fmt"
	"slices"
	"strings"

	"shorepass/internal/fold"
)

// Provider holds which names and methods the people of a provider can have, by its
// configuration.
type Provider struct {
	Name            string
	Prefix          string   // of its user names and groups
	ForeignPrefixes []string // longer prefixes that are other providers', so that no name of this one begins with them
	FoldsCase       bool
	Methods         []string // in which its people log in

	// NoGroups says that its people are in no groups but our own.
	NoGroups bool

	// NameProblem says why a text cannot be a name of it before the prefix, and is
	// empty where it can. Nil stands for any text.
	NameProblem func(text string) string

	// Groups are globs, one of which each of its groups matches before the
	// prefix: "*" is any text, "?" any character. Nil stands for any name.
	// Renamed are names that no group has, unless a glob of NewNames matches.
	Groups, Renamed, NewNames []string

	// IDTokensAuthenticated puts those who come with an ID token into the
	// group "authenticated".
	IDTokensAuthenticated bool
}

// origin is where a request can come from: a provider and a method, or neither
// for a request without credentials.
type origin struct {
	provider *Provider
	method   string
}

// ValidateReachability reports the rules that can match no person, whatever accounts
// and groups there are, since the providers' prefixes, groups keys and methods
// rule it out: by fault where a whole rule cannot, by warn where an entry of a
// rule cannot. It never reports what can match. Texts in conditions that are no
// names of a provider that ignores case are reported in the same way.
func (p *Policy) ValidateReachability(providers []Provider, fault, warn func(key, problem string)) {
	if len(providers) == 0 {
		return
	}
	for _, r := range p.rules {
		v := &reachability{rule: r, origins: r.origins(providers), report: fault, warn: warn}
		if v.checkUsers() && v.checkGroups() && v.checkCondition() {
			v.report = warn
			v.reportDeadEntries()
			v.report = fault
			v.reportUpperCase()
		}
	}
}

// origins returns where a request that the rule's providers key matches can
// come from.
func (r *rule) origins(providers []Provider) []origin {
	var all []origin
	if r.providers == nil {
		all = append(all, origin{})
	}
	for i := range providers {
		if r.providers == nil || matchAny(r.providers, providers[i].Name) {
			for _, method := range providers[i].Methods {
				all = append(all, origin{&providers[i], method})
			}
		}
	}
	return all
}

// reachability finds out whether a rule can match any person.
type reachability struct {
	rule    *rule
	origins []origin // those that the keys looked at so far let through
	report  func(key, problem string)
	warn    func(key, problem string)
}

// checkUsers keeps the origins whose user names the users key can match, and reports
// whether there is one.
func (v *reachability) checkUsers() bool {
	return v.filterOrigins("users", v.rule.Users, origin.whyNoUser)
}

// checkGroups is the same for the groups key. Where no provider has groups an allow rule
// that names some is a warning: it opens nothing, and they may still come.
func (v *reachability) checkGroups() bool {
	defer func(report func(key, problem string)) { v.report = report }(v.report)
	if !v.rule.deny && !slices.ContainsFunc(v.origins, func(o origin) bool { return o.provider != nil && !o.provider.NoGroups }) {
		v.report = v.warn
	}
	return v.filterOrigins("groups", v.rule.Groups, origin.whyNoGroup)
}

func (v *reachability) filterOrigins(key string, entries []string, rulesOut func(origin, string) string) bool {
	if entries == nil || len(v.origins) == 0 {
		return len(v.origins) > 0 // no provider of that name is another fault
	}
	var left []origin
	var reasons []string
	for _, o := range v.origins {
		possible := false
		for _, entry := range entries {
			why := rulesOut(o, entry)
			possible = possible || why == ""
			if why != "" && !slices.Contains(reasons, why) {
				reasons = append(reasons, why)
			}
		}
		if possible {
			left = append(left, o)
		}
	}
	if v.origins = left; len(left) == 0 {
		v.report(v.keyPath(key), fmt.Sprintf("the rule %q can never match: %s", v.rule.Name, joinReasons(reasons)))
	}
	return len(left) > 0
}

// checkCondition keeps the origins for which the condition can hold.
func (v *reachability) checkCondition() bool {
	if v.rule.when == nil || v.rule.when.partial == nil {
		return true
	}
	v.origins = slices.DeleteFunc(v.origins, func(o origin) bool { return v.rule.when.isFalseFor(o.name(), o.method) })
	if len(v.origins) == 0 {
		v.report(v.keyPath("when"), fmt.Sprintf("the rule %q can never match: the condition is false for each provider that the rule is for, and each method by which its people log in", v.rule.Name))
	}
	return len(v.origins) > 0
}

// reportDeadEntries reports the entries that can match no person, in a rule that can.
func (v *reachability) reportDeadEntries() {
	for _, key := range []struct {
		name     string
		entries  []string
		rulesOut func(origin, string) string
	}{{"users", v.rule.Users, origin.whyNoUser}, {"groups", v.rule.Groups, origin.whyNoGroup}} {
		for i, entry := range key.entries {
			var reasons []string
			possible := slices.ContainsFunc(v.origins, func(o origin) bool {
				why := key.rulesOut(o, entry)
				if !slices.Contains(reasons, why) {
					reasons = append(reasons, why)
				}
				return why == ""
			})
			if !possible {
				v.report(fmt.Sprintf("%s[%d]", v.keyPath(key.name), i), fmt.Sprintf("the entry can never match: %s", joinReasons(reasons)))
			}
		}
	}
}

// reportUpperCase reports texts of the condition that are compared with names: where a
// provider ignores case, those are lower case in conditions.
func (v *reachability) reportUpperCase() {
	if v.rule.when == nil || len(v.rule.when.upperCase) == 0 {
		return
	}
	var folding []string
	exact := false
	for _, o := range v.origins {
		if o.provider != nil && !o.provider.FoldsCase {
			exact = true
		} else if o.provider != nil && !slices.Contains(folding, o.provider.Name) {
			folding = append(folding, o.provider.Name)
		}
	}
	if len(folding) == 0 {
		return
	}
	report := v.report
	if exact {
		report = v.warn
	}
	report(v.keyPath("when"), fmt.Sprintf("the condition compares user or groups with %s, which are lower case there for %s, where case is ignored; write %s",
		quotedList(v.rule.when.upperCase), quotedList(folding), quotedList(foldAll(v.rule.when.upperCase))))
}

// keyPath returns the place of a key.
func (v *reachability) keyPath(key string) string {
	return fmt.Sprintf("rule[%d].%s", v.rule.index, key)
}

func (o origin) name() string {
	if o.provider == nil {
		return ""
	}
	return o.provider.Name
}

// whyNoUser says why no user name from here can match an entry of a users
// key, and is empty where one can.
func (o origin) whyNoUser(entry string) string {
	if o.provider == nil {
		return "without credentials there is no user name"
	}
	return o.provider.whyNoName(entry, "user names", []string{"*"})
}

// whyNoGroup is the same for a group.
func (o origin) whyNoGroup(entry string) string {
	switch {
	case o.provider == nil && entry == anonymous:
		return ""
	case o.provider == nil:
		return fmt.Sprintf("without credentials one is in the group %q alone", anonymous)
	case entry == anonymous:
		return fmt.Sprintf("people of %q have credentials, and are not in the group %q", o.provider.Name, anonymous)
	case entry == authenticated && o.method == methodIDToken && !o.provider.IDTokensAuthenticated:
		return fmt.Sprintf("who comes to %q with an ID token is not in the group %q; set id_tokens_authenticated = true there", o.provider.Name, authenticated)
	case entry == authenticated:
		return ""
	}
	return o.provider.whyNoGroup(entry)
}

// methodIDToken is the method of those who come with an ID token.
const methodIDToken = "id_token"

func (p *Provider) whyNoGroup(entry string) string {
	if p.NoGroups {
		return fmt.Sprintf("people of %q are in no groups, since its groups key is left out", p.Name)
	}
	globs, newNames := p.Groups, p.NewNames
	if globs == nil {
		globs = []string{"*"}
	}
	renamed := slices.ContainsFunc(p.Renamed, func(name string) bool {
		return p.canonical(entry) == p.canonical(p.Prefix+name) && !strings.Contains(entry, "*")
	})
	if renamed {
		globs = nil
	}
	why := p.whyNoName(entry, "groups", slices.Concat(globs, newNames))
	if why != "" && renamed {
		return fmt.Sprintf("%q is renamed by groups.rename of %q; write the new name", entry, p.Name)
	}
	return why
}

// whyNoName says why an entry matches no name that a glob of those matches, with
// the prefix before it.
func (p *Provider) whyNoName(entry, names string, globs []string) string {
	if problem := p.nameProblem(entry); problem != "" {
		return fmt.Sprintf("%q is like none of the %s of %q, since it %s", entry, names, p.Name, problem)
	}
	if p.Prefix == "" && len(p.ForeignPrefixes) == 0 && slices.Contains(globs, "*") {
		return ""
	}
	if p.FoldsCase && !isASCII(entry+p.Prefix+strings.Join(globs, "")) {
		return "" // a letter and its accent can be one character here and two there
	}
	pattern, prefix := parseSymbols(p.canonical(entry), false), literalSymbols(p.canonical(p.Prefix))
	if !overlap(pattern, append(slices.Clone(prefix), anyText)) {
		return fmt.Sprintf("the %s of %q begin with %q; write %q", names, p.Name, p.Prefix, p.Prefix+entry)
	}
	for _, foreign := range p.ForeignPrefixes {
		if begin, _, _ := strings.Cut(p.canonical(entry), "*"); strings.HasPrefix(begin, p.canonical(foreign)) {
			return fmt.Sprintf("the %s of %q never begin with %q, the prefix of another provider; name that one in providers", names, p.Name, foreign)
		}
	}
	if !slices.ContainsFunc(globs, func(glob string) bool {
		return overlap(pattern, slices.Concat(prefix, parseSymbols(p.canonical(glob), true)))
	}) {
		return fmt.Sprintf("groups.only of %q leaves %q out; add it there", p.Name, strings.TrimPrefix(entry, p.Prefix))
	}
	return ""
}

// nameProblem says why nothing that an entry matches can be a name. A prefix may hold
// what a name may not.
func (p *Provider) nameProblem(entry string) string {
	if p.NameProblem == nil || strings.Contains(entry, "*") && p.Prefix != "" {
		return ""
	}
	name := entry
	if strings.HasPrefix(p.canonical(entry), p.canonical(p.Prefix)) {
		name = strings.TrimPrefix(p.canonical(entry), p.canonical(p.Prefix))
	}
	return p.NameProblem(strings.ReplaceAll(name, "*", "x"))
}

// canonical returns a text in the form in which the provider's names are compared.
func (p *Provider) canonical(text string) string {
	if p.FoldsCase {
		return fold.Name(text)
	}
	return text
}

// joinReasons joins the reasons of all origins, of which a few are enough.
func joinReasons(reasons []string) string {
	const enough = 3
	if len(reasons) > enough {
		return strings.Join(reasons[:enough], "; ") + fmt.Sprintf("; and %d more", len(reasons)-enough)
	}
	return strings.Join(reasons, "; ")
}
