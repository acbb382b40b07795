package ldap

import (
	"context"
	"fmt"
	"math"
	"strings"

	ldap "github.com/go-ldap/ldap/v3"
)

// Attributes of how long Active Directory locks an account ([MS-ADTS], sections
// 3.1.1.4.5.17 and 3.1.1.4.5.36).
const (
	attrResultantPSO = "msDS-ResultantPSO"    // computed: the fine-grained policy that applies to an account
	attrPSODuration  = "msDS-LockoutDuration" // of a fine-grained policy
	attrDuration     = "lockoutDuration"      // of the domain's policy
)

// uacLockout is set in msDS-User-Account-Control-Computed while an account is locked.
const uacLockout = 0x10

// lockedPermanently reports whether Active Directory has locked an account until an
// administrator unlocks it. The entry shows only that there is a lock; its duration
// is in the password policy. If the service account may not read the policy, the lock
// counts as one that expires: the directory refuses passwords anyway, and a session
// must not end by a guess.
func (p *Provider) lockedPermanently(ctx context.Context, s searcher, e entry) (bool, error) {
	if !p.cfg.Users.readsState(attrUACComputed) || !e.has(attrUACComputed) {
		return false, nil
	}
	computed, err := e.number(attrUACComputed)
	if err != nil || computed&uacLockout == 0 {
		return false, err
	}
	own, err := readAttribute(ctx, s, e.dn, attrResultantPSO)
	if err != nil {
		return false, fmt.Errorf("read the password policy of %s: %w", e.dn, err)
	}
	policy, attribute := own.text(attrResultantPSO), attrPSODuration
	if policy == "" {
		if policy, err = domainOf(e.dn); err != nil {
			return false, err
		}
		attribute = attrDuration
	}
	found, err := readAttribute(ctx, s, policy, attribute)
	if err != nil {
		return false, fmt.Errorf("read the password policy %s: %w", policy, err)
	}
	if !found.has(attribute) {
		p.warnings.add("bind_dn", fmt.Sprintf("%s of %q is not shown, so that an account that is locked for good keeps its sessions: give the service account the right to read it", attribute, policy))
		return false, nil
	}
	duration, err := found.number(attribute)
	if err != nil {
		return false, err
	}
	return duration == 0 || duration == math.MinInt64, nil // else negative, in steps of 100 nanoseconds
}

// readAttribute reads one attribute of an entry. The result is empty if the directory
// does not show it.
func readAttribute(ctx context.Context, s searcher, dn, attribute string) (entry, error) {
	found, err := s.find(ctx, query{base: dn, scope: ldap.ScopeBaseObject, filter: "(objectClass=*)", attributes: []string{attribute}})
	switch {
	case resultCode(err) == ldap.LDAPResultNoSuchObject || resultCode(err) == ldap.LDAPResultInsufficientAccessRights:
		return entry{}, nil // how directories answer without the right to read
	case err != nil:
		return entry{}, err
	case len(found) == 0:
		return entry{}, nil
	}
	return found[0], nil
}

// domainOf returns the DN of the Active Directory domain of an entry: the DC components
// at its end.
func domainOf(dn string) (string, error) {
	parsed, err := ldap.ParseDN(dn)
	if err != nil {
		return "", fmt.Errorf("read the DN %q: %w", dn, err)
	}
	first := len(parsed.RDNs)
	for first > 0 && isDomainComponent(parsed.RDNs[first-1]) {
		first--
	}
	return (&ldap.DN{RDNs: parsed.RDNs[first:]}).String(), nil
}

func isDomainComponent(rdn *ldap.RelativeDN) bool {
	return len(rdn.Attributes) == 1 && strings.EqualFold(rdn.Attributes[0].Type, "DC")
}
