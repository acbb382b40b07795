package ldap

import (
	"context"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	ldap "github.com/go-ldap/ldap/v3"

	"shorepass/providers"
)

// Inspect implements [providers.Inspector], with the rights of the service account.
func (p *Provider) Inspect(ctx context.Context, login providers.Login) (*providers.Inspection, error) {
	if p.cfg.readsAsPerson() {
		return nil, fmt.Errorf("%w: without bind_dn an entry is read with the person's own rights; set bind_dn and bind_password (and users.filter in place of users.bind_name) to read it here", providers.ErrCannotInspect)
	}
	if login == "" || !utf8.ValidString(string(login)) {
		return nil, fmt.Errorf("%w: a name that is empty or not text", providers.ErrNotMine)
	}
	names, err := p.domains.readings(ctx, string(login))
	if err != nil {
		return nil, err
	}
	s := p.dir.inShare(serviceShare)
	e, err := p.findOfLogin(ctx, s, names)
	if err != nil {
		return nil, err
	}
	return p.inspectEntry(ctx, s, e)
}

// findOfLogin returns the entry that a login would bind as, whose errors are those of
// the login.
func (p *Provider) findOfLogin(ctx context.Context, s searcher, names []loginName) (entry, error) {
	if p.dnTemplate == nil {
		return p.findByFilter(ctx, s, names)
	}
	dn, filter, err := p.templateDN(names[0].values())
	if err != nil {
		return entry{}, err
	}
	e, err := p.findOne(ctx, s, dn, ldap.ScopeBaseObject, filter)
	switch {
	case errors.Is(err, errNoEntry):
		return entry{}, providers.Reject(providers.Unknown, fmt.Errorf("%s is not shown, or users.filter leaves it out; users.dn_template makes a DN of every name, so that no later provider is asked", dn))
	case err != nil:
		return entry{}, fmt.Errorf("read the account %s: %w", dn, err)
	}
	return e, nil
}

// inspectEntry returns the inspection of an entry. An attribute of the account's state
// that cannot be read is an error, as at a login.
func (p *Provider) inspectEntry(ctx context.Context, s searcher, e entry) (*providers.Inspection, error) {
	found := &providers.Inspection{DN: e.dn}
	restrictions, err := p.restrictions(e)
	if err != nil {
		return nil, err
	}
	for _, r := range restrictions {
		found.Refusals = append(found.Refusals, providers.Refusal{Reason: r.reason, Text: r.text, EndsSessions: r.endsSessions})
	}
	permanent, err := p.lockedPermanently(ctx, s, e)
	if err != nil {
		return nil, err
	}
	if permanent {
		found.Refusals = append(found.Refusals, providers.Refusal{Reason: providers.Locked, Text: "locked until an administrator unlocks it", EndsSessions: true})
	} else if note := lockNote(e, time.Now()); note != "" {
		found.Notes = append(found.Notes, note)
	}
	found.Identity, err = p.identify(ctx, s, e)
	if rejected, ok := errors.AsType[*providers.RejectedError](err); ok {
		found.Refusals = append(found.Refusals, providers.Refusal{Reason: rejected.Reason, Text: rejected.Err.Error()})
	} else if err != nil {
		return nil, err
	}
	if found.Identity != nil && p.groups != nil {
		found.Namer = p.groups.namer
		name, err := p.userName(e)
		if err != nil {
			return nil, err
		}
		if found.Groups, err = p.groups.find(ctx, s, e, name); err != nil {
			return nil, fmt.Errorf("groups of %s: %w", e.dn, err)
		}
	}
	found.Notes = append(found.Notes, p.warnings.recent()...)
	return found, nil
}

// lockNote describes a lock that ends by itself, "" where the entry shows none. It is no
// refusal: OpenLDAP leaves its attribute in place after the lock.
func lockNote(e entry, now time.Time) string {
	if e.has(attrUACComputed) {
		if computed, err := e.number(attrUACComputed); err == nil && computed&uacLockout != 0 {
			return "locked for wrong passwords, until the directory's lockout duration ends (" + attrUACComputed + ")"
		}
	}
	if until, err := parseTime(e.text("accountUnlockTime")); err == nil && now.Before(until) {
		return "locked for wrong passwords until " + until.UTC().Format(time.DateTime) + " UTC (accountUnlockTime)"
	}
	if at, err := parseTime(e.text("pwdAccountLockedTime")); err == nil && lockState(e.text("pwdAccountLockedTime")) == "locked" {
		return "was locked for wrong passwords at " + at.UTC().Format(time.DateTime) + " UTC, and may be so still (pwdAccountLockedTime)"
	}
	return ""
}
