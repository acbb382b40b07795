package ldap

import (
	"fmt"
	"maps"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	ldap "github.com/go-ldap/ldap/v3"

	"shorepass/internal/duration"
	"shorepass/providers"
)

const (
	maxTimeout     = 10 * time.Second // the limit of the whole chain: docker gives up after 15
	maxConnections = 1000
	maxDepth       = 50
	maxServers     = 16
)

// Validate reports the faults of the table. It uses no files and no network, and
// expects the defaults to be in place. The keys of [providers.Config] are checked
// elsewhere, for all providers together.
func (c Config) Validate(fault func(key, problem string)) {
	if _, known := presets[c.Preset]; !known {
		names := slices.Sorted(maps.Keys(presets))
		fault("preset", fmt.Sprintf("%q is not one of %s", c.Preset, providers.Quoted(names[1:])))
	}
	c.validateServers(fault)
	c.validateServiceAccount(fault)
	c.validateUsers(fault)
	c.validateGroups(fault)
	if _, known := derefs[c.Deref]; !known {
		fault("deref", fmt.Sprintf("%q is not one of %s", c.Deref, providers.Quoted(slices.Sorted(maps.Keys(derefs)))))
	}
	for i, name := range c.Claims {
		if !isAttribute(name) {
			fault(fmt.Sprintf("claims[%d]", i), fmt.Sprintf("%q is not the name of an attribute", name))
		}
	}
	checkRange("search_connections", c.SearchConnections, 1, maxConnections, fault)
	checkRange("bind_connections", c.BindConnections, 1, maxConnections, fault)
	if c.Timeout <= 0 || c.Timeout > maxTimeout {
		fault("timeout", fmt.Sprintf("%s is not between \"0s\" and %q, the time that a whole login has", duration.Format(c.Timeout), duration.Format(maxTimeout)))
	}
	if c.DialTimeout <= 0 || c.DialTimeout > c.Timeout {
		fault("dial_timeout", fmt.Sprintf("%s is not between \"0s\" and timeout, which is %s", duration.Format(c.DialTimeout), duration.Format(c.Timeout)))
	}
	c.TLS.Validate(fault)
}

func (c Config) validateServers(fault func(key, problem string)) {
	if len(c.URLs) == 0 {
		fault("urls", `is required: the directory's servers, such as ["ldaps://dc1.corp.example"]`)
	}
	if len(c.URLs) > maxServers {
		fault("urls", fmt.Sprintf("%d servers are more than %d", len(c.URLs), maxServers))
	}
	for i, raw := range c.URLs {
		if problem := c.urlProblem(raw); problem != "" {
			fault(fmt.Sprintf("urls[%d]", i), problem)
		}
	}
}

func (c Config) urlProblem(raw string) string {
	if strings.HasPrefix(strings.ToLower(raw), "ldapi:") {
		return fmt.Sprintf("%q is a Unix socket, which is not supported: have the directory listen on the loopback interface, and write \"ldap://127.0.0.1\" with insecure = true or start_tls = true, or \"ldaps://localhost\"", raw)
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "":
		return fmt.Sprintf("%q is not a URL of scheme, host and port alone, such as \"ldaps://dc1.corp.example\"", raw)
	case isSRVName(u.Hostname()) && (srvDomain(u.Hostname()) == "" || u.Port() != ""):
		return fmt.Sprintf("%q has a host that begins with \"_\", and is not the name of SRV records, without a port: write one such as \"ldaps://_ldap._tcp.corp.example\"", raw)
	case u.Scheme != "ldap" && u.Scheme != "ldaps":
		return fmt.Sprintf("%q does not begin with ldaps:// or ldap://", raw)
	case u.Scheme == "ldap" && !c.StartTLS && !c.Insecure:
		return "is plain ldap: use ldaps, or set start_tls = true, or insecure = true to send passwords unprotected"
	}
	return ""
}

func (c Config) validateServiceAccount(fault func(key, problem string)) {
	switch {
	case c.BindDN != "" && c.BindPassword.IsZero():
		// A bind with an empty password is unauthenticated and succeeds (RFC
		// 4513, section 5.1.2).
		fault("bind_password", "is required with bind_dn")
	case c.BindDN == "" && !c.BindPassword.IsZero():
		fault("bind_dn", "is required with bind_password")
	case strings.ContainsFunc(c.BindDN, unicode.IsControl) || strings.TrimSpace(c.BindDN) != c.BindDN:
		fault("bind_dn", fmt.Sprintf("%q has a control character, or a blank at an end", c.BindDN))
	case c.BindDN != "" && !isDN(c.BindDN) && (strings.Contains(c.BindDN, "=") || c.Preset != "" && c.Preset != presetAD):
		fault("bind_dn", notDN(c.BindDN))
	}
}

// validateBase checks a base, which may be empty with Active Directory alone: the global
// catalog takes an empty base as the whole forest ([MS-ADTS], section 3.1.1.3.1.3.3).
func (c Config) validateBase(key, base string, fault func(key, problem string)) {
	switch {
	case base == "" && c.Preset != presetAD:
		fault(key, fmt.Sprintf("is empty, which only preset = %q takes, as the whole forest: write a DN such as \"ou=people,dc=corp,dc=example\"", presetAD))
	case base != "" && !isDN(base):
		fault(key, notDN(base))
	}
}

// extensiblePlaceholder matches a placeholder in an extensible match, where no "*" for
// any value (see template.wildcardFilter) is allowed.
var extensiblePlaceholder = regexp.MustCompile(`:=[^)]*\{`)

func (c Config) validateUsers(fault func(key, problem string)) {
	u := c.Users
	byTemplate := u.DNTemplate != ""
	switch {
	case u.Base == nil && !byTemplate:
		fault("users.base", `is required: the DN under which people are found, such as "ou=people,dc=corp,dc=example"`)
	case u.Base != nil && byTemplate && u.base() == "":
		fault("users.base", "is empty: leave it out, or write the DN that dn_template ends with")
	case u.Base != nil:
		c.validateBase("users.base", u.base(), fault)
	}
	if byTemplate {
		if problem := dnTemplateProblem(u.DNTemplate); problem != "" {
			fault("users.dn_template", problem)
		}
	}
	if u.BindName != "" {
		if problem := c.bindNameProblem(); problem != "" {
			fault("users.bind_name", problem)
		}
	}
	switch t, err := filterTemplate(u.Filter, "login", "user"); {
	case u.Filter == "":
		fault("users.filter", `is required without a preset, such as "(uid={user})"`)
	case err != nil:
		fault("users.filter", err.Error())
	case len(t.placeholders()) == 0 && !byTemplate:
		fault("users.filter", `finds everybody for every name: put in "{user}", as in "(uid={user})"`)
	case extensiblePlaceholder.MatchString(u.Filter):
		fault("users.filter", `has a placeholder after ":=": write "(attribute={user})", or put the matching rule elsewhere`)
	}
	validateScope("users.scope", u.Scope, fault)
	for _, a := range []struct{ key, name, example string }{{"users.name", u.Name, "uid"}, {"users.subject", u.Subject, "entryUUID"}} {
		switch {
		case a.name == "":
			fault(a.key, fmt.Sprintf("is required without a preset, such as %q", a.example))
		case !isAttribute(a.name):
			fault(a.key, fmt.Sprintf("%q is not the name of an attribute", a.name))
		}
	}
	validateStamp(u.Stamp, fault)
	for i, name := range u.State {
		if !containsName(stateAttributes, name) {
			fault(fmt.Sprintf("users.state[%d]", i), fmt.Sprintf("%q is not one of the attributes whose meaning is known: %s", name, providers.Quoted(stateAttributes)))
		}
	}
	for i, domain := range u.Domains {
		if domain == "" || strings.ContainsAny(domain, `\@`) {
			fault(fmt.Sprintf("users.domains[%d]", i), fmt.Sprintf(`%q is not a domain: write "CORP" or "corp.example", without backslash or @`, domain))
		}
	}
}

func validateStamp(names []string, fault func(key, problem string)) {
	for i, name := range names {
		key := fmt.Sprintf("users.stamp[%d]", i)
		switch {
		case !isAttribute(name):
			fault(key, fmt.Sprintf("%q is not the name of an attribute", name))
		case changesWithFailedBind(name):
			fault(key, fmt.Sprintf("%q changes with wrong passwords, which would end the person's sessions: write attributes that change only with the password", name))
		}
	}
}

// dnTemplateProblem returns the fault of a DN template, or "".
func dnTemplateProblem(text string) string {
	t, err := parseTemplate(text)
	if err != nil {
		return err.Error()
	}
	for _, name := range t.placeholders() {
		if name != "login" && name != "user" {
			return fmt.Sprintf("{%s} is neither {login} nor {user}", name)
		}
	}
	if len(t.placeholders()) == 0 {
		return `is the same for every name: put in "{user}", as in "uid={user},ou=people,dc=corp,dc=example"`
	}
	if dn := t.dn(func(string) string { return "x" }); !isDN(dn) || !strings.Contains(dn, ",") {
		return fmt.Sprintf("%q does not make a DN: write one such as \"uid={user},ou=people,dc=corp,dc=example\"", text)
	}
	return ""
}

func (c Config) validateGroups(fault func(key, problem string)) {
	g := c.Groups
	if !g.configured() {
		if !reflect.ValueOf(g).IsZero() {
			fault("groups.base", "is required with the other keys of groups: the DN under which groups are found")
		}
		return
	}
	c.validateBase("groups.base", g.base(), fault)
	validateScope("groups.scope", g.Scope, fault)
	if g.Name == "" || !isAttribute(g.Name) {
		fault("groups.name", fmt.Sprintf("%q is not the name of an attribute", g.Name))
	}
	c.validateMembership(fault)
	g.GroupNames.Validate(func(key, problem string) { fault("groups."+key, problem) })
	for i, text := range g.Only {
		if c.Deref == derefNever && g.isOutside(text) {
			fault(fmt.Sprintf("groups.only[%d]", i), fmt.Sprintf("%q is not under groups.base", text))
		}
	}
	for _, text := range slices.Sorted(maps.Keys(g.Rename)) {
		if c.Deref == derefNever && g.isOutside(text) {
			fault("groups.rename", fmt.Sprintf("%q is not under groups.base", text))
		}
	}
}

// isOutside reports whether an entry of only or rename is a DN that no group has.
func (g Groups) isOutside(text string) bool {
	base, err := ldap.ParseDN(g.base())
	_, byDN := normalizeGroupDN(text)
	return err == nil && byDN && !strings.ContainsAny(text, "*?") && !isDescendantText(base, text, g.Scope)
}

func (c Config) validateMembership(fault func(key, problem string)) {
	g := c.Groups
	nested := []string{nestedNone, nestedTokenGroups, nestedInChain, nestedWalk}
	byServer := g.Nested == nestedTokenGroups || g.Nested == nestedInChain
	switch {
	case !slices.Contains(nested, g.Nested):
		fault("groups.nested", fmt.Sprintf("%q is not one of %s", g.Nested, providers.Quoted(nested)))
	case byServer && c.Preset != presetAD:
		fault("groups.nested", fmt.Sprintf("%q needs preset = %q; elsewhere use \"walk\"", g.Nested, presetAD))
	case byServer && (g.Filter != "" || g.Attribute != ""):
		fault("groups.nested", fmt.Sprintf("%q finds direct groups too: leave out filter and attribute", g.Nested))
	case !byServer && g.Filter == "" && g.Attribute == "":
		fault("groups.filter", `is required without a preset, such as "(member={dn})"; or groups.attribute, such as "memberOf"`)
	case g.Filter != "" && g.Attribute != "":
		fault("groups.attribute", "does what filter does: leave one out")
	}
	if g.Attribute != "" && !isAttribute(g.Attribute) {
		fault("groups.attribute", fmt.Sprintf("%q is not the name of an attribute", g.Attribute))
	}
	if g.Filter != "" {
		switch t, err := filterTemplate(g.Filter); {
		case err != nil:
			fault("groups.filter", err.Error())
		case slices.Contains(t.placeholders(), "login"):
			fault("groups.filter", `has {login}, which is what was typed: use "{user}", the name that the entry has`)
		case len(t.placeholders()) == 0:
			fault("groups.filter", `finds the same groups for everybody: put in "{dn}", as in "(member={dn})"`)
		}
	}
	if g.Nested != nestedWalk {
		return
	}
	if t, err := filterTemplate(g.NestedFilter, "dn"); err != nil {
		fault("groups.nested_filter", err.Error())
	} else if !t.hasOnly("dn") {
		fault("groups.nested_filter", `finds the same groups for every group: put in "{dn}", as in "(member={dn})"`)
	}
	checkRange("groups.depth", g.Depth, 1, maxDepth, fault)
}

// filterTemplate parses a filter whose placeholders are among names; without names
// every attribute is allowed.
func filterTemplate(text string, names ...string) (template, error) {
	t, err := parseTemplate(text)
	if err != nil {
		return nil, err
	}
	for _, name := range t.placeholders() {
		if len(names) > 0 && !slices.Contains(names, name) {
			return nil, fmt.Errorf("{%s} is not a placeholder here; there is {%s}", name, strings.Join(names, "} and {"))
		}
	}
	for _, sample := range []string{t.filter(func(string) string { return "x" }), t.wildcardFilter()} {
		if _, err := ldap.CompileFilter(sample); err != nil {
			return nil, fmt.Errorf("%q is not a filter of RFC 4515: %s", text, plainFilterError(err))
		}
	}
	return t, nil
}

// plainFilterError returns the text of a library error without its codes.
func plainFilterError(err error) string {
	text := err.Error()
	if _, after, found := strings.Cut(text, "ldap: "); found {
		return after
	}
	return text
}

func validateScope(key, scope string, fault func(key, problem string)) {
	if scope != scopeSub && scope != scopeOne {
		fault(key, fmt.Sprintf("%q is neither %q nor %q", scope, scopeSub, scopeOne))
	}
}

func checkRange(key string, n, least, most int, fault func(key, problem string)) {
	if n < least || n > most {
		fault(key, fmt.Sprintf("%d is not between %d and %d", n, least, most))
	}
}

func isDN(text string) bool {
	dn, err := ldap.ParseDN(text)
	return err == nil && len(dn.RDNs) > 0
}

func notDN(text string) string {
	return fmt.Sprintf("%q is not a DN: write one such as \"ou=people,dc=corp,dc=example\"", text)
}
