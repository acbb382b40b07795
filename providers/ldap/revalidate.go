package ldap

import (
	"context"
	"errors"
	"fmt"

	"shorepass/providers"
)

// PerSignIn implements [providers.Revalidator]: one answer is valid for all sessions
// of a person.
func (p *Provider) PerSignIn() bool { return false }

// Revalidate implements [providers.Revalidator]. It finds the entry by its subject, so
// that a moved or renamed entry is found, if users.filter still matches it.
func (p *Provider) Revalidate(ctx context.Context, id *providers.Identity) (*providers.Identity, error) {
	if p.cfg.readsAsPerson() {
		return nil, fmt.Errorf("%w: there is no bind_dn", providers.ErrCannotRevalidate)
	}
	subject, err := subjectFilter(id.Subject, p.cfg.Users.Subject)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", providers.ErrGone, err)
	}
	search := p.dir.inShare(accountShareKey(id.Subject))
	e, err := p.findOne(ctx, search, p.cfg.Users.base(), searchScope(p.cfg.Users.Scope), "(&"+subject+p.userFilter.wildcardFilter()+")")
	switch {
	case errors.Is(err, errNoEntry):
		return nil, fmt.Errorf("%w: %w for %s", providers.ErrGone, errNoEntry, id.Subject)
	case err != nil:
		return nil, fmt.Errorf("search for the account: %w", err)
	}
	restrictions, err := p.restrictions(e)
	if err != nil {
		return nil, err
	}
	for _, r := range restrictions {
		if r.endsSessions {
			return nil, providers.Reject(r.reason, fmt.Errorf("%w: %s: %s", providers.ErrEnded, e.dn, r.text))
		}
	}
	switch permanent, err := p.lockedPermanently(ctx, search, e); {
	case err != nil:
		return nil, err
	case permanent:
		return nil, providers.Reject(providers.Locked, fmt.Errorf("%w: %s: locked until an administrator unlocks it", providers.ErrEnded, e.dn))
	}
	return p.identify(ctx, search, e)
}
