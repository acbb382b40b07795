package config

import (
	"fmt"
	"slices"
	"strings"

	"shorepass/internal/fold"
	"shorepass/policy"
	"shorepass/providers"
)

// checkReach reports rules that can never match, given the prefixes, groups and methods
// of the providers.
func (l *loader) checkReach() {
	l.cfg.Policy.ValidateReachability(l.policyProviders(), l.faults.under(""), l.warn)
}

// policyProviders returns what the options determine about the people of each provider.
func (l *loader) policyProviders() []policy.Provider {
	var all []policy.Provider
	for _, p := range l.cfg.Providers {
		all = append(all, p.policyProvider())
	}
	for i := range all {
		all[i].ForeignPrefixes = foreignPrefixes(all[i].Prefix, l.cfg.Providers, i)
	}
	return all
}

// checkRequireGroups reports a require_groups of which no entry can match a group, so
// that every login is refused, and warns of an entry that can match none beside others.
func (l *loader) checkRequireGroups() {
	for i, known := range l.policyProviders() {
		entries := l.cfg.Providers[i].RequireGroups
		var reasons []string
		dead := 0
		for _, entry := range entries {
			why := whyNotRequired(&known, entry)
			if why != "" {
				dead++
			}
			reasons = append(reasons, why)
		}
		at := join(element("provider", i), "require_groups")
		if dead > 0 && dead == len(entries) {
			l.faults.under("")(at, "refuses every login of this provider: "+strings.Join(slices.Compact(reasons), "; "))
			continue
		}
		for j, why := range reasons {
			if why != "" {
				l.warn(element(at, j), "the entry can never match: "+why)
			}
		}
	}
}

// whyNotRequired says why no group can match an entry of require_groups, and is empty if
// one can.
func whyNotRequired(known *policy.Provider, entry string) string {
	if strings.EqualFold(entry, providers.GroupAuthenticated) || strings.EqualFold(entry, providers.GroupAnonymous) {
		return fmt.Sprintf("%q is a group of shorepass's own, which is not compared; leave it out, so that everyone may log in", entry)
	}
	return known.WhyNoGroup(strings.ReplaceAll(entry, "?", "*")) // in a rule "?" is no wildcard
}

// policyProvider returns what the options determine about the names and methods of a
// provider's people.
func (p Provider) policyProvider() policy.Provider {
	known := policy.Provider{Name: p.Name, FoldsCase: p.options.FoldsCase(), Methods: methods(p.options), IDTokensAuthenticated: p.IDTokensAuthenticated,
		NoGroups: !p.options.ReadsGroups(), NameProblem: providers.NameProblem}
	if p.Prefix != nil {
		known.Prefix = *p.Prefix
	}
	names := p.options.GroupNames()
	known.Groups = names.Only
	for from, to := range names.Rename {
		known.Renamed = append(known.Renamed, from)
		known.NewNames = append(known.NewNames, to)
	}
	if slices.ContainsFunc(slices.Concat(known.Groups, known.Renamed), mayMatchOtherName) {
		known.Groups, known.Renamed = nil, nil
	}
	slices.Sort(known.Renamed)
	slices.Sort(known.NewNames)
	return known
}

// methods returns the methods of a provider's people as rules name them: those of their
// logins and those of tokens that a person makes after a browser login, which an ID
// token cannot start.
func methods(options kindOptions) []string {
	all := options.Methods()
	if slices.ContainsFunc(all, func(m providers.Method) bool { return m != providers.MethodIDToken }) {
		all = append(all, providers.MethodBrowser, providers.MethodPAT, providers.MethodRobot)
	}
	var texts []string
	for _, method := range all {
		texts = append(texts, string(method))
	}
	return texts
}

// mayMatchOtherName reports whether an entry of groups.only or groups.rename may match a
// group with another name: a DN, or an entry with blanks that are trimmed from names.
func mayMatchOtherName(entry string) bool {
	return strings.Contains(entry, "=") || strings.TrimSpace(entry) != entry
}

// foreignPrefixes returns the longer prefixes of other providers, with which no name of
// provider i can begin: package providers refuses such a name.
func foreignPrefixes(prefix string, all []Provider, i int) []string {
	if all[i].Kind == "file" {
		return nil
	}
	var foreign []string
	for _, other := range all {
		if other.Prefix != nil && len(*other.Prefix) > len(prefix) && strings.HasPrefix(fold.Name(*other.Prefix), fold.Name(prefix)) {
			foreign = append(foreign, *other.Prefix)
		}
	}
	return foreign
}

// FoldsCase reports whether names of a provider's people are compared without regard to
// case. For an unknown provider it reports whether that holds for all providers.
func (c *Config) FoldsCase(provider string) bool {
	folds := len(c.Providers) > 0
	for _, p := range c.Providers {
		if p.Name == provider {
			return p.options.FoldsCase()
		}
		folds = folds && p.options.FoldsCase()
	}
	return folds
}
