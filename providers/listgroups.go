package providers

import "context"

// GroupLister is a Provider that can list its groups, for check --live.
type GroupLister interface {
	// ListGroups returns every group that a person can be in, before only and rename,
	// which namer applies. The error says that not all can be listed.
	ListGroups(ctx context.Context) (groups []FoundGroup, namer *GroupNamer, err error)
}

// ListGroups returns the names of all groups as rules see them, by provider. It leaves out
// a provider that cannot list them, or not all.
func (c *Chain) ListGroups(ctx context.Context) map[string][]string {
	ctx, cancel := context.WithTimeout(ctx, chainLimit)
	defer cancel()
	all := map[string][]string{}
	for _, m := range c.members {
		if m.groupLister == nil {
			continue
		}
		found, namer, err := m.groupLister.ListGroups(ctx)
		if err != nil {
			continue // Ping says why
		}
		names := []string{} // known to be none
		for _, g := range found {
			if name, kept := namer.Name(g); kept && name != "" && !ourGroup(name) {
				names = append(names, m.prefix+name)
			}
		}
		all[m.config.Name] = names
	}
	return all
}
