package policy

import (
	"fmt"
	"slices"
	"strings"

	"shorepass/internal/fold"
)

// Provider describes the names and methods that the people of a provider can
// have, by its configuration.
type Provider struct {
	Name            string
	Prefix          string   // of its user names and groups
	ForeignPrefixes []string // longer prefixes, of other providers: no name of this one begins with them
	FoldsCase       bool
	Methods         []string // by which its people log in

	// NoGroups says that its people are in no groups but the reserved ones.
	NoGroups bool

	// NameProblem says why a text cannot be a name of the provider, without the
	// prefix, and is empty if it can. Nil allows any text.
	NameProblem func(text string) string

	// Groups are globs; each group of the provider matches one of them, without
	// the prefix: "*" is any text, "?" any character. Nil allows any name.
	// Renamed are names that no group has, unless a glob of NewNames matches.
	Groups, Renamed, NewNames []string

	// IDTokensAuthenticated puts people with an ID token into the group
	// "authenticated".
	IDTokensAuthenticated bool
}

// origin is where a request can come from: a provider and a method, or neither
// for a request without credentials.
type origin struct {
	provider *Provider
	method   string
}

// ValidateReachability reports unreachable rules: those that can match no
// person, whatever accounts and groups there are, because the prefixes, groups
// keys and methods of the providers rule it out. It calls fault for a whole
// rule and warn for an entry of a rule. It has no false positives: what can
// match is never reported. Texts in conditions that cannot be names of a
// provider that ignores case are reported in the same way.
func (p *Policy) ValidateReachability(providers []Provider, fault, warn func(key, problem string)) {
	if len(providers) == 0 {
		return
	}
	for _, r := range p.rules {
		v := &reachability{rule: r, origins: r.origins(providers), report: fault, warn: warn}
		if v.checkUsers() && v.checkGroups() && v.checkCondition() {
			v.report = warn
			v.reportDeadEntries()
			p.reportShadowed(r, warn)
			v.report = fault
			v.reportUpperCase()
		}
	}
}

// reportShadowed reports the entries of unless that cover all that the rule covers, so
// that it never applies.
func (p *Policy) reportShadowed(r *rule, report func(key, problem string)) {
	if len(r.Unless) == 0 {
		return
	}
	for _, id := range r.unless.all {
		if named := p.ranked[id]; named.shadows(r) {
			i := slices.Index(r.Unless, named.Name)
			report(fmt.Sprintf("rule[%d].unless[%d]", r.index, i),
				fmt.Sprintf("the rule %q never applies: %q covers all that it covers; leave it out, or narrow %q", r.Name, named.Name, named.Name))
		}
	}
}

// shadows reports whether a rule certainly covers all that another one matches. It
// compares entries as written. A deny rule also applies where it fails, so the keys by
// which the other may fail must not narrow it.
func (r *rule) shadows(other *rule) bool {
	hasPlaceholders := r.needsUser || r.needsGroup || len(r.needsClaims) > 0
	if r.when != nil || other.deny && (r.Groups != nil || hasPlaceholders) {
		return false
	}
	return includesAll(r.Users, other.Users, "*") &&
		includesAll(r.Groups, other.Groups, "") && // "*" leaves out the two reserved groups
		includesAll(r.Providers, other.Providers, "*") &&
		includesAll(r.Services, other.Services, "*") &&
		includesAll(r.Types, other.Types, "*") &&
		includesAll(r.Repositories, other.Repositories, "**")
}

// includesAll reports whether each entry of a key is one of those of another rule, or
// whether that rule has no such key, or has the glob everything there.
func includesAll(wide, narrow []string, everything string) bool {
	if wide == nil {
		return true
	}
	return narrow != nil && (slices.Contains(wide, everything) || !slices.ContainsFunc(narrow, func(entry string) bool { return !slices.Contains(wide, entry) }))
}

// origins returns the origins of requests that the rule's providers key
// matches.
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

// reachability checks whether a rule can match any person.
type reachability struct {
	rule    *rule
	origins []origin // the origins that the keys checked so far can match
	report  func(key, problem string)
	warn    func(key, problem string)
}

// checkUsers drops the origins whose user names the users key cannot match, and
// reports whether any is left.
func (v *reachability) checkUsers() bool {
	return v.filterOrigins("users", v.rule.Users, origin.whyNoUser)
}

// checkGroups does the same for the groups key. If no provider has groups, an
// allow rule that names some is only a warning: it grants nothing, and the
// groups may still come.
func (v *reachability) checkGroups() bool {
	defer func(report func(key, problem string)) { v.report = report }(v.report)
	if !v.rule.deny && !slices.ContainsFunc(v.origins, func(o origin) bool { return o.provider != nil && !o.provider.NoGroups }) {
		v.report = v.warn
	}
	return v.filterOrigins("groups", v.rule.Groups, origin.whyNoGroup)
}

// filterOrigins drops the origins for which each entry of a key is ruled out,
// and reports the rule if none is left.
func (v *reachability) filterOrigins(key string, entries []string, whyNot func(origin, string) string) bool {
	if entries == nil || len(v.origins) == 0 {
		return len(v.origins) > 0 // that no provider has the name is another fault
	}
	var left []origin
	var reasons []string
	for _, o := range v.origins {
		possible := false
		for _, entry := range entries {
			why := whyNot(o, entry)
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

// checkCondition drops the origins for which the condition is always false.
func (v *reachability) checkCondition() bool {
	if v.rule.when == nil || !v.rule.when.byOrigin {
		return true
	}
	v.origins = slices.DeleteFunc(v.origins, func(o origin) bool { return v.rule.when.isFalseFor(o.name(), o.method) })
	if len(v.origins) == 0 {
		v.report(v.keyPath("when"), fmt.Sprintf("the rule %q can never match: the condition is false for each provider that the rule is for, and each method by which its people log in", v.rule.Name))
	}
	return len(v.origins) > 0
}

// reportDeadEntries reports the entries that can match no person, in a rule
// that can.
func (v *reachability) reportDeadEntries() {
	for _, key := range []struct {
		name    string
		entries []string
		whyNot  func(origin, string) string
	}{{"users", v.rule.Users, origin.whyNoUser}, {"groups", v.rule.Groups, origin.whyNoGroup}} {
		for i, entry := range key.entries {
			var reasons []string
			possible := slices.ContainsFunc(v.origins, func(o origin) bool {
				why := key.whyNot(o, entry)
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

// reportUpperCase reports texts with upper case that the condition compares
// with names: in conditions the names of a provider that ignores case are lower
// case.
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
	report(v.keyPath("when"), fmt.Sprintf("the condition compares user or groups with %s, but they are lower case for %s, where case is ignored; write %s",
		quotedList(v.rule.when.upperCase), quotedList(folding), quotedList(foldAll(v.rule.when.upperCase))))
}

// keyPath returns the path of a key of the rule.
func (v *reachability) keyPath(key string) string {
	return fmt.Sprintf("rule[%d].%s", v.rule.index, key)
}

// name returns the name of the provider; it is empty without credentials.
func (o origin) name() string {
	if o.provider == nil {
		return ""
	}
	return o.provider.Name
}

// whyNoUser says why no user name of the origin can match an entry of a users
// key, and is empty if one can.
func (o origin) whyNoUser(entry string) string {
	if o.provider == nil {
		return "without credentials there is no user name"
	}
	return o.provider.whyNoName(entry, "user names", []string{"*"})
}

// whyNoGroup says the same of a group and an entry of a groups key.
func (o origin) whyNoGroup(entry string) string {
	switch {
	case o.provider == nil && entry == anonymous:
		return ""
	case o.provider == nil:
		return fmt.Sprintf("without credentials the only group is %q", anonymous)
	case entry == anonymous:
		return fmt.Sprintf("people of %q have credentials, and are not in the group %q", o.provider.Name, anonymous)
	case entry == authenticated && o.method == methodIDToken && !o.provider.IDTokensAuthenticated:
		return fmt.Sprintf("people of %q who log in with an ID token are not in the group %q; set id_tokens_authenticated = true there", o.provider.Name, authenticated)
	case entry == authenticated:
		return ""
	}
	return o.provider.WhyNoGroup(entry)
}

// methodIDToken is the method of a login with an ID token.
const methodIDToken = "id_token"

// WhyNoGroup says why no group that the provider itself has can match a glob, and is empty
// if one can.
func (p *Provider) WhyNoGroup(entry string) string {
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

// whyNoName says why an entry matches no name that consists of the prefix and a
// text that some glob matches.
func (p *Provider) whyNoName(entry, names string, globs []string) string {
	if problem := p.nameProblem(entry); problem != "" {
		return fmt.Sprintf("%q matches none of the %s of %q, since it %s", entry, names, p.Name, problem)
	}
	if p.Prefix == "" && len(p.ForeignPrefixes) == 0 && slices.Contains(globs, "*") {
		return ""
	}
	if p.FoldsCase && !isASCII(entry+p.Prefix+strings.Join(globs, "")) {
		return "" // a letter with an accent can be one character in the one and two in the other
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

// nameProblem says why no text that an entry matches can be a name. A prefix
// may have characters that a name may not.
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

// canonical returns a text in the form in which the provider's names are
// compared.
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
