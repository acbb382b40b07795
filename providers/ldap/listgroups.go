package ldap

import (
	"context"
	"errors"
	"fmt"

	"shorepass/providers"
)

// maxListed bounds the groups that ListGroups reads.
const maxListed = 20_000

// ListGroups implements [providers.GroupLister], with the rights of the service account.
func (p *Provider) ListGroups(ctx context.Context) ([]providers.FoundGroup, *providers.GroupNamer, error) {
	switch {
	case p.groups == nil:
		return nil, nil, errors.New("groups are not read")
	case p.cfg.readsAsPerson():
		return nil, nil, providers.ErrCannotInspect
	}
	entries, err := p.dir.find(ctx, query{
		base: p.cfg.Groups.base(), scope: searchScope(p.cfg.Groups.Scope), filter: p.groupEntries(), attributes: []string{p.cfg.Groups.Name},
		sizeLimit: maxListed, paged: true,
	})
	if err != nil {
		return nil, nil, fmt.Errorf("list the groups under %q: %w", p.cfg.Groups.base(), err)
	}
	var found []providers.FoundGroup
	for _, e := range entries {
		if one, ok := p.groups.groupOfEntry(e); ok {
			found = append(found, one.foundGroup())
		}
	}
	return found, p.groups.namer, nil
}

// groupEntries returns a filter of the entries that have a group's name.
func (p *Provider) groupEntries() string {
	filter := "(" + p.cfg.Groups.Name + "=*)"
	if p.cfg.Preset == presetAD { // where people have the same attribute
		return "(&(objectClass=group)" + filter + ")"
	}
	return filter
}
