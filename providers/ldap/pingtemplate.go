package ldap

import (
	"strings"

	ldap "github.com/go-ldap/ldap/v3"

	"shorepass/providers"
)

// peopleFilter returns a filter that matches the people who could log in. A DN template
// names the attribute that each of them has.
func (p *Provider) peopleFilter() string {
	filter := p.userFilter.wildcardFilter()
	if p.dnTemplate == nil {
		return filter
	}
	dn, err := ldap.ParseDN(p.dnTemplate.dn(func(string) string { return "x" }))
	if err != nil {
		return filter
	}
	return "(&" + filter + "(" + dn.RDNs[0].Attributes[0].Type + "=*))"
}

// usersBaseKey returns the key that the base of people is written in.
func (p *Provider) usersBaseKey() string {
	if p.dnTemplate != nil && sameDN(p.cfg.Users.base(), parentOfTemplate(p.cfg.Users.DNTemplate)) {
		return "users.dn_template"
	}
	return "users.base"
}

// reportTemplate reports people whose DNs users.dn_template does not make, and returns the
// others.
func (p *Provider) reportTemplate(people []entry) (providers.Findings, []entry) {
	if p.dnTemplate == nil {
		return nil, people
	}
	var fit, others []entry
	for _, e := range people {
		if p.fitsTemplate(e) {
			fit = append(fit, e)
		} else {
			others = append(others, e)
		}
	}
	switch {
	case len(others) == 0:
		return nil, people
	case len(fit) == 0:
		return providers.Findings{providers.Faultf("users.dn_template", "users.dn_template = %q makes the DN of no person, so that no person can log in; %s is there: correct users.dn_template", p.cfg.Users.DNTemplate, others[0].dn)}, nil
	}
	return providers.Findings{providers.Warningf("users.dn_template", "users.dn_template = %q does not make the DNs of %d people, such as %s, who cannot log in", p.cfg.Users.DNTemplate, len(others), others[0].dn)}, fit
}

// fitsTemplate reports whether users.dn_template can make the DN of an entry: both have the
// same attributes, and the same RDNs after the last placeholder.
func (p *Provider) fitsTemplate(e entry) bool {
	made, err := ldap.ParseDN(p.dnTemplate.dn(func(string) string { return "x" }))
	own, ownErr := ldap.ParseDN(e.dn)
	if err != nil || ownErr != nil || len(made.RDNs) != len(own.RDNs) {
		return false
	}
	types := func(dn *ldap.DN) string {
		var all []string
		for _, rdn := range dn.RDNs {
			for _, a := range rdn.Attributes {
				all = append(all, e.names.key(a.Type))
			}
		}
		return strings.Join(all, ",")
	}
	parent := parentOfTemplate(p.cfg.Users.DNTemplate)
	return types(made) == types(own) && (parent == "" || isUnderAny([]string{parent}, e.dn))
}
