package ldap

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"shorepass/providers"
)

// Attributes to suggest, of an entry that shows them.
var (
	nameAttributes    = []string{"uid", attrAccountName, "userPrincipalName", "mail", "cn"}
	subjectAttributes = []string{"entryUUID", attrGUID, "ipaUniqueID", "nsUniqueId", "GUID"}
)

// personClasses matches the entries of people, by the object classes of the usual schemas.
const personClasses = "(|(objectClass=person)(objectClass=inetOrgPerson)(objectClass=posixAccount)(objectClass=account)(objectClass=user))"

const attrPrincipal = "krbPrincipalName" // MIT Kerberos

// reportPeople reports whether people can log in: which entries users.filter could match,
// and what they lack. It returns these entries, at most maxCounted, or none after a fault.
func (p *Provider) reportPeople(ctx context.Context) (providers.Findings, []entry) {
	people, err := p.dir.find(ctx, query{
		base: p.cfg.Users.base(), scope: searchScope(p.cfg.Users.Scope), filter: p.peopleFilter(), sizeLimit: maxCounted,
		attributes: slices.Concat([]string{p.cfg.Users.Name, p.cfg.Users.Subject, attrPrincipal}, p.cfg.Users.State, p.cfg.Users.Stamp, p.cfg.Claims),
	})
	people = belowBase(people, p.cfg.Users.base())
	switch {
	case err != nil && !cutShort(err):
		return providers.Findings{p.searchFault(ctx, p.usersBaseKey(), p.cfg.Users.base(), err)}, nil
	case err != nil && len(people) == 0:
		return providers.Findings{p.unlistedPeople(ctx, err)}, nil
	case len(people) == 0:
		return providers.Findings{p.noPeople(ctx)}, nil
	}
	found := providers.Findings{providers.Infof("%s people under %s match users.filter", formatCount(len(people), err), place(p.cfg.Users.base()))}
	misfits, people := p.reportTemplate(people)
	if found = append(found, misfits...); len(people) == 0 {
		return found, nil
	}
	found = append(found, p.reportNames(ctx, people)...)
	found = append(found, p.reportSubjects(ctx, people)...)
	found = append(found, p.reportStates(people)...)
	found = append(found, p.reportRealms(people)...)
	found = append(found, p.reportStamps(people)...)
	for _, name := range p.cfg.Claims {
		if n := count(people, func(e entry) bool { return !e.has(name) }); n == len(people) {
			found = append(found, providers.Warningf("claims", "none of these people shows %s, so that no rule can read claims.%s", name, name))
		}
	}
	if len(found.Faults()) > 0 {
		return found, nil
	}
	return found, people
}

// unlistedPeople returns the finding of a search for all people that a limit of the server
// ended before the first: a warning, if it does not end the search of a login.
func (p *Provider) unlistedPeople(ctx context.Context, err error) providers.Finding {
	base := p.cfg.Users.base()
	if p.dnTemplate == nil { // with one, a login reads one entry
		_, own := p.dir.find(ctx, query{
			base: base, scope: searchScope(p.cfg.Users.Scope), filter: p.userFilter.filter(placeholderValues("no-one", "no-one")), attributes: []string{"1.1"}, sizeLimit: 2,
		})
		if own != nil {
			return providers.Faultf("users.filter", "search for one person under %s: %v%s", place(base), own, hint(own))
		}
	}
	return providers.Warningf("", "the people under %s cannot be listed, which no login needs, and are not checked: %v%s", place(base), err, hint(err))
}

// count returns how many entries have a property.
func count(entries []entry, has func(entry) bool) int {
	n := 0
	for _, e := range entries {
		if has(e) {
			n++
		}
	}
	return n
}

// noPeople returns the fault of a base under which no entry matches users.filter.
func (p *Provider) noPeople(ctx context.Context) providers.Finding {
	u, key := p.cfg.Users, p.usersBaseKey()
	people := p.sampleOf(ctx, u.base(), u.Scope, personClasses)
	below := p.sampleOf(ctx, u.base(), u.Scope, anyEntry)
	switch {
	case u.Scope == scopeOne && len(p.sampleOf(ctx, u.base(), scopeSub, p.peopleFilter())) > 0:
		return providers.Faultf("users.scope", `no entry directly under %s matches users.filter, but deeper ones do: write users.scope = "sub"`, place(u.base()))
	case len(people) > 0:
		key = "users.filter"
		if p.dnTemplate != nil && len(p.sampleOf(ctx, u.base(), u.Scope, "(&"+personClasses+p.userFilter.wildcardFilter()+")")) > 0 {
			key = "users.dn_template"
		}
		return providers.Faultf(key, "no entry under %s matches %s, whatever the name; %s are there%s: correct %s",
			place(u.base()), p.peopleFilter(), nameEntries(people[:min(3, len(people))]), p.suggest(ctx, people[0].dn, nameAttributes), key)
	case len(below) > 0:
		return providers.Faultf(key, "%s sees no people under %s: there are %s; write another DN in %s, or let it read the people", p.account(), place(u.base()), nameEntries(below[:min(3, len(below))]), key)
	case isUnderAny([]string{u.base()}, p.cfg.BindDN):
		return providers.Faultf("bind_dn", "%s sees nothing under %s but itself: %s", p.account(), place(u.base()), p.readRights())
	}
	return providers.Faultf(key, "%q is empty, or %s may not read what is below it: write another DN in %s, or let it read the people", u.base(), p.account(), key)
}

// suggest returns a part of a sentence with the attributes that an entry shows.
func (p *Provider) suggest(ctx context.Context, dn string, attributes []string) string {
	shown := p.shownOf(ctx, dn, attributes)
	if len(shown) == 0 {
		return ""
	}
	return ", with " + strings.Join(shown, ", ")
}

// reportNames reports people without a user name, and people who share one.
func (p *Provider) reportNames(ctx context.Context, people []entry) providers.Findings {
	seen := make(map[string]string, len(people))
	var found providers.Findings
	nameless := count(people, func(e entry) bool {
		name, err := p.userName(e)
		if err != nil {
			return true
		}
		key := providers.FoldCase(name)
		if other, taken := seen[key]; taken {
			found = append(found, providers.Warningf("users.name", "%s and %s are both called %q, %s", other, e.dn, name, p.sharedName()))
		}
		seen[key] = e.dn
		return false
	})
	return append(p.lacking(ctx, "users.name", p.cfg.Users.Name, nameless, people, nameAttributes), found[:min(len(found), maxNamed)]...)
}

// sharedName says what happens to people who share a user name, and what to do.
func (p *Provider) sharedName() string {
	if p.forest {
		return `and cannot log in: write an attribute that is unique in the forest in users.name, such as "userPrincipalName"`
	}
	return "which rules take for one person: have one of them renamed, or leave one out in users.filter"
}

// reportSubjects reports people without a subject, and a subject that several people
// have.
func (p *Provider) reportSubjects(ctx context.Context, people []entry) providers.Findings {
	attribute := p.cfg.Users.Subject
	seen := make(map[string]string, len(people))
	var found providers.Findings
	lacking := count(people, func(e entry) bool {
		subject, err := subjectOf(e, attribute)
		if err != nil {
			return true
		}
		if other, taken := seen[subject]; taken && len(found) == 0 {
			found = append(found, providers.Faultf("users.subject", "%s and %s have the same %s, and would share sessions and limits: write an attribute that only one person can have%s",
				other, e.dn, attribute, p.suggest(ctx, e.dn, subjectAttributes)))
		}
		seen[subject] = e.dn
		return false
	})
	return append(p.lacking(ctx, "users.subject", attribute, lacking, people, subjectAttributes), found...)
}

// lacking reports how many people do not show one value of a required attribute.
func (p *Provider) lacking(ctx context.Context, key, attribute string, n int, people []entry, candidates []string) providers.Findings {
	switch n {
	case 0:
		return nil
	case len(people):
		return providers.Findings{providers.Faultf(key, "none of these people shows one %s, so that no person can log in; %s is there%s: correct %s, or let %s read it",
			attribute, people[0].dn, p.suggest(ctx, people[0].dn, candidates), key, p.account())}
	}
	return providers.Findings{providers.Warningf(key, "%d of these people do not show one %s, and cannot log in", n, attribute)}
}

// reportStates reports how many accounts users.state shows as disabled, expired or locked.
func (p *Provider) reportStates(people []entry) providers.Findings {
	var unreadable error
	reasons := make(map[string]int)
	barred := count(people, func(e entry) bool {
		restrictions, err := p.restrictions(e)
		if err != nil {
			unreadable = err
			return true
		}
		if len(restrictions) > 0 {
			reasons[restrictions[0].text]++
		}
		return len(restrictions) > 0
	})
	var texts []string
	for text, n := range reasons {
		texts = append(texts, fmt.Sprintf("%d %s", n, text))
	}
	slices.Sort(texts)
	all := strings.Join(texts, ", ")
	switch {
	case barred == 0:
		return nil
	case barred == len(people) && unreadable != nil:
		return providers.Findings{providers.Faultf("bind_dn", "no person can log in: %v", unreadable)}
	case barred == len(people):
		return providers.Findings{providers.Faultf("users.state", "no person can log in, since all entries show disabled, expired or locked accounts: %s", all)}
	case unreadable != nil:
		return providers.Findings{providers.Warningf("bind_dn", "some people cannot log in: %v", unreadable)}
	}
	return providers.Findings{providers.Infof("%d of these may not log in: %s", barred, all)}
}

// reportRealms reports the Kerberos realm of people, which they may type after their
// names, if it is not among users.domains.
func (p *Provider) reportRealms(people []entry) providers.Findings {
	var realms []string
	for _, e := range people {
		principals := e.texts(attrPrincipal)
		if !slices.Contains(loginAttributes(p.cfg.Users.Filter), strings.ToLower(p.cfg.Users.Name)) {
			principals = append(principals, e.texts(p.cfg.Users.Name)...)
		}
		for _, principal := range principals {
			if _, realm, ok := strings.Cut(principal, "@"); ok && !slices.Contains(realms, realm) {
				realms = append(realms, realm)
			}
		}
	}
	realms = slices.DeleteFunc(realms, func(realm string) bool {
		return slices.Contains(p.domains.configured, providers.Login(realm).Key())
	})
	if len(realms) == 0 || len(realms) > maxNamed {
		return nil
	}
	example := "name@" + realms[0]
	return providers.Findings{providers.Warningf("users.domains", "the names of people end in @%s, and a login as %s finds no account: write users.domains = [%s]", realms[0], example, providers.Quoted(realms))}
}

// filterAttribute matches an attribute that a filter compares with a placeholder.
var filterAttribute = regexp.MustCompile(`\(([a-zA-Z0-9.;-]+)[~<>]?=[^()]*\{`)

// loginAttributes returns the attributes, in lower case, that a filter compares with the
// login name.
func loginAttributes(filter string) []string {
	var names []string
	for _, m := range filterAttribute.FindAllStringSubmatch(filter, -1) {
		names = append(names, strings.ToLower(m[1]))
	}
	return names
}

// reportStamps reports how many people show no attribute that changes with the password.
func (p *Provider) reportStamps(people []entry) providers.Findings {
	stamp := p.cfg.Users.Stamp
	effect := "a changed password does not end their sessions"
	if p.forest {
		effect += " (a global catalog has only the attributes that are replicated to it: have these replicated, or configure a provider for each domain)"
	}
	if stamp != nil && len(stamp) == 0 {
		return providers.Findings{providers.Infof("users.stamp is empty, as it is written: %s", effect)}
	}
	if len(stamp) == 0 {
		return providers.Findings{providers.Warningf("users.stamp", "without users.stamp %s: write an attribute that changes with the password, such as pwdChangedTime", effect)}
	}
	switch n := count(people, func(e entry) bool { return stampOf(e, stamp) == "" }); n {
	case 0:
		return nil
	case len(people):
		return providers.Findings{providers.Warningf("users.stamp", "none of the %d people shows any of %s, and %s: write an attribute that changes with the password, or have the directory keep one", n, providers.Quoted(stamp), effect)}
	default:
		return providers.Findings{providers.Warningf("users.stamp", "%d of the %d people show none of %s yet: their next change of the password does not end their sessions", n, len(people), providers.Quoted(stamp))}
	}
}
