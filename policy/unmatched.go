package policy

import "fmt"

// KnownGroups are all groups of a provider, as rules see them.
type KnownGroups struct {
	FoldsCase bool     // the provider ignores case in names
	Names     []string // with the prefix
}

// UnmatchedGroups calls report for each entry of a groups key that matches no group of
// the providers that its rule is for. providers are the names of all providers, and known
// has the groups of those that can list them. The rule of another provider is not looked
// at: the entry may match there. key is the path of the entry: "rule[3].groups[0]".
func (p *Policy) UnmatchedGroups(providers []string, known map[string]KnownGroups, report func(key, entry string)) {
	matched := make(map[string]map[int32]bool, len(known)) // the entries, by provider
	for provider, groups := range known {
		matched[provider] = map[int32]bool{}
		for _, name := range groups.Names {
			for _, number := range p.groups.matching(name, groups.FoldsCase) {
				matched[provider][number] = true
			}
		}
	}
	for _, r := range p.rules {
		if !r.groupsAreKnown(providers, known) {
			continue
		}
		for i, entry := range r.Groups {
			if !isReserved(entry) && !r.matchesAny(p.groups.number[entry], providers, matched) {
				report(fmt.Sprintf("rule[%d].groups[%d]", r.index, i), entry)
			}
		}
	}
}

// isFor reports whether the rule's providers key has a provider.
func (r *rule) isFor(provider string) bool {
	return r.providers == nil || matchAny(r.providers, provider)
}

// groupsAreKnown reports whether each provider that the rule is for is in known.
func (r *rule) groupsAreKnown(providers []string, known map[string]KnownGroups) bool {
	for _, provider := range providers {
		if _, ok := known[provider]; !ok && r.isFor(provider) {
			return false
		}
	}
	return true
}

// matchesAny reports whether an entry matches a group of a provider that the rule is for.
func (r *rule) matchesAny(number int32, providers []string, matched map[string]map[int32]bool) bool {
	for _, provider := range providers {
		if r.isFor(provider) && matched[provider][number] {
			return true
		}
	}
	return false
}
