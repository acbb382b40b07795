package ldap

import (
	"context"
	"fmt"
	"strings"
	"time"

	"shorepass/providers"
)

// identify returns the identity of an entry, after a login or a revalidation.
func (p *Provider) identify(ctx context.Context, s searcher, e entry) (*providers.Identity, error) {
	subject, err := subjectOf(e, p.cfg.Users.Subject)
	if err != nil {
		return nil, err
	}
	name, err := p.userName(e)
	if err != nil {
		return nil, err
	}
	id := &providers.Identity{
		Subject:   subject,
		FoldsCase: true,
		Claims:    claimsOf(e, p.cfg.Claims),
		Stamp:     stampOf(e, p.cfg.Users.Stamp),
	}
	if id.User, err = providers.UserName(name, id.FoldsCase); err != nil {
		return nil, fmt.Errorf("%s: %w", e.dn, err)
	}
	if err := p.checkNameInForest(ctx, s, name); err != nil {
		return nil, err
	}
	if p.groups != nil {
		if id.Groups, id.Unsure, err = p.groups.memberships(ctx, s, e, name); err != nil {
			return nil, fmt.Errorf("groups of %s: %w", e.dn, err)
		}
	}
	return id, nil
}

// userName returns the value of users.name without blanks at its ends, which a directory
// ignores (RFC 4518, section 2.6.1).
func (p *Provider) userName(e entry) (string, error) {
	value, ok := e.nameValue(p.cfg.Users.Name)
	if !ok {
		return "", reject("%s shows %d values of %s, which must be one, or have one of them in the RDN: write another attribute as users.name", e.dn, len(e.values(p.cfg.Users.Name)), p.cfg.Users.Name)
	}
	return strings.TrimSpace(value), nil
}

// claimsOf returns the attributes that rules may read. Values that are not UTF-8
// are left out: a rule cannot compare them.
func claimsOf(e entry, names []string) map[string]any {
	claims := make(map[string]any, len(names))
	for _, name := range names {
		switch texts := e.texts(name); len(texts) {
		case 0:
		case 1:
			claims[name] = texts[0]
		default:
			list := make([]any, len(texts))
			for i, text := range texts {
				list[i] = text
			}
			claims[name] = list
		}
	}
	return claims
}

// checkRestrictions rejects an account whose entry shows a restriction.
func (p *Provider) checkRestrictions(e entry) error {
	restrictions, err := p.restrictions(e)
	if err != nil {
		return err
	}
	if len(restrictions) > 0 {
		return providers.Reject(restrictions[0].reason, fmt.Errorf("%s: %s", e.dn, restrictions[0].text))
	}
	return nil
}

// restrictions returns the entry's restrictions. Each state attribute has one value
// by its schema; with two the state is unknown, which is an error.
func (p *Provider) restrictions(e entry) ([]restriction, error) {
	for _, name := range p.cfg.Users.State {
		if n := len(e.values(name)); n > 1 {
			return nil, fmt.Errorf("state of %s: it shows %d values of %s, which must be one", e.dn, n, name)
		}
	}
	found, err := restrictionsOf(e, p.cfg.Users.State, time.Now())
	if err != nil {
		return nil, fmt.Errorf("state of %s: %w", e.dn, err)
	}
	return found, nil
}
