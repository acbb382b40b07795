package dockerauth

import (
	"net"
	"net/netip"
	"regexp"
	"strings"
)

// accountPlaceholder is the login name in a filter or a DN of docker_auth.
const accountPlaceholder = "${account}"

// directoryRows translates ldap_auth into a provider of kind ldap.
func (t *translation) directoryRows() (provider, users, groups []row) {
	l := t.file.ldap
	provider = []row{
		{key: "name", value: quote("ldap")},
		{key: "kind", value: quote("ldap")},
		{key: "prefix", value: `""`},
	}
	bindName := t.bindRows(&users)
	activeDirectory := bindName || regexp.MustCompile(`(?i)sAMAccountName|userPrincipalName|objectCategory`).MatchString(l.filter.text)
	provider = append(provider, t.presetRow(activeDirectory))
	provider = append(provider, t.connectionRows()...)
	provider = append(provider, t.serviceAccountRows()...)
	users = append(users, t.accountRows(len(users) > 0 && !bindName)...)
	if t.groupLabel != "" {
		groups = t.groupRows(activeDirectory)
	}
	if len(t.claims) > 0 {
		provider = append(provider, row{key: "claims", value: list(t.claims), comment: "attributes that rules read"})
	}
	return provider, users, groups
}

func (t *translation) presetRow(activeDirectory bool) row {
	if activeDirectory {
		return row{key: "preset", value: quote("activedirectory")}
	}
	t.r.add(t.file.ldap.line, Noted, "CHANGE provider.preset: the file does not say what directory it is; \"openldap\" is assumed, others are \"freeipa\", \"389ds\", \"lldap\". \"shorepass check --live\" asks the directory")
	return row{key: "preset", value: quote("openldap"), comment: `CHANGE: or "freeipa", "389ds", "lldap"`}
}

// connectionRows translates addr and the keys of TLS.
func (t *translation) connectionRows() []row {
	l := t.file.ldap
	host, port, err := net.SplitHostPort(l.addr.text)
	addr, addrErr := netip.ParseAddr(host)
	if err != nil || (addrErr != nil || addr.Zone() != "") && !hostPattern.MatchString(host) || strings.Trim(port, "0123456789") != "" || port == "" {
		t.r.add(max(l.addr.line, l.line), Refused, "docker_auth reaches no directory: ldap_auth.addr %q is not host:port", l.addr.text)
		return nil
	}
	mode := l.tls.text
	if mode == "" && port == "636" {
		mode = "always"
	}
	scheme, extra := "ldap://", row{}
	switch mode {
	case "always":
		scheme = "ldaps://"
	case "starttls":
		extra = row{key: "start_tls", value: "true"}
	case "", "none":
		extra = row{key: "insecure", value: "true", comment: "as in docker_auth: passwords cross the network unencrypted"}
		t.r.add(max(l.tls.line, l.addr.line), Noted, "people's passwords go to the directory unencrypted, as in docker_auth; write an ldaps:// URL, or start_tls = true, and remove insecure")
	default:
		t.r.add(l.tls.line, Refused, "docker_auth reaches no directory: ldap_auth.tls %q is none of \"none\", \"always\", \"starttls\"", mode)
	}
	rows := []row{{key: "urls", value: list([]string{scheme + l.addr.text})}}
	if extra.key != "" {
		rows = append(rows, extra)
	}
	if l.insecureSkipVerify && mode != "" && mode != "none" {
		t.r.add(l.insecureLine, Lost, "insecure_tls_skip_verify has no equal: the directory's certificate is always verified, so name the authority that signed it, tls = { ca = \"…\" }")
	}
	if l.caCertificate.text != "" {
		rows = append(rows, row{key: "tls", value: inline("ca", t.path(l.caCertificate))})
	}
	return rows
}

// serviceAccountRows translates the account that searches.
func (t *translation) serviceAccountRows() []row {
	l := t.file.ldap
	switch {
	case l.initialBindAsUser:
		if l.bindPasswordFile.text != "" {
			t.r.add(l.bindPasswordFile.line, Lost, "docker_auth ignores bind_password_file beside initial_bind_as_user, and so does the import")
		}
		return nil
	case l.bindDN.text == "":
		return nil
	case l.bindPasswordFile.text == "":
		t.r.add(l.bindDN.line, Refused, "no login to docker_auth succeeds: ldap_auth.bind_dn has no bind_password_file")
		return nil
	}
	return []row{
		{key: "bind_dn", value: quote(l.bindDN.text)},
		{key: "bind_password", value: inline("file", t.path(l.bindPasswordFile))},
	}
}

// bindRows translates initial_bind_as_user: a person binds first, and then searches. It
// reports whether people bind by a name that is no DN, as Active Directory takes it.
func (t *translation) bindRows(users *[]row) (byName bool) {
	l := t.file.ldap
	hasAccount := strings.Contains(l.bindDN.text, accountPlaceholder)
	switch {
	case !l.initialBindAsUser && hasAccount:
		t.r.add(l.bindDN.line, Refused, "no login to docker_auth succeeds: bind_dn has %s, which is filled in with initial_bind_as_user: true alone", accountPlaceholder)
		return false
	case !l.initialBindAsUser:
		return false
	case !hasAccount:
		t.r.add(l.line, Refused, "initial_bind_as_user binds as %q, the same for everybody, so that everybody with its password is everybody; bind_dn needs %s", l.bindDN.text, accountPlaceholder)
		return false
	}
	template := t.template(l.bindDN, "{user}")
	if strings.Contains(strings.ReplaceAll(l.bindDN.text, accountPlaceholder, ""), "=") {
		*users = append(*users, row{key: "dn_template", value: quote(template)})
		return false
	}
	*users = append(*users, row{key: "bind_name", value: quote(template)})
	return true
}

// template returns a text of docker_auth with its one placeholder as ours.
func (t *translation) template(s setting, placeholder string) string {
	if strings.ContainsAny(strings.ReplaceAll(s.text, accountPlaceholder, ""), "{}") {
		t.r.add(s.line, Refused, "%q has braces that are not %s, and these would be a placeholder here", s.text, accountPlaceholder)
	}
	return strings.ReplaceAll(s.text, accountPlaceholder, placeholder)
}

// nameAttribute matches the attribute that a filter compares with the login name.
var nameAttribute = regexp.MustCompile(`\(([A-Za-z][A-Za-z0-9-]*)=\$\{account\}\)`)

// accountRows translates base and filter. With a template of a DN no base is needed.
func (t *translation) accountRows(byTemplate bool) []row {
	l := t.file.ldap
	if !strings.Contains(l.filter.text, accountPlaceholder) {
		t.r.add(max(l.filter.line, l.line), Refused, "ldap_auth.filter has no %s, so that it finds the same entry for every name", accountPlaceholder)
		return nil
	}
	name := "uid"
	switch matches := nameAttribute.FindAllStringSubmatch(l.filter.text, -1); {
	case len(matches) == 0:
		t.r.add(l.filter.line, Noted, "CHANGE users.name: the filter does not say which attribute is the user name; %q is assumed", name)
	case len(matches) > 1:
		name = matches[0][1]
		t.r.add(l.filter.line, Changed, "people may log in by one of several attributes, and docker_auth calls them by what they typed; here rules, tokens and audit lines have users.name, the attribute %q", name)
	default:
		name = matches[0][1]
	}
	t.r.add(l.filter.line, Changed, "docker_auth calls a person by the name as typed, so that other capitals are another account; here everybody is called as the directory spells the name, in lower case")
	var rows []row
	if !byTemplate {
		rows = append(rows, row{key: "base", value: quote(l.base.text)})
	}
	return append(rows,
		row{key: "filter", value: quote(t.template(l.filter, "{login}"))},
		row{key: "name", value: quote(name)})
}

// groupRows translates the label that memberOf fills.
func (t *translation) groupRows(activeDirectory bool) []row {
	rows := []row{
		{key: "base", value: quote(suffix(t.file.ldap.base.text)), comment: "CHANGE: the DN of the groups, as deep as it can be"},
		{key: "attribute", value: quote("memberOf")},
		{key: "name", value: quote("cn"), comment: "as parse_cn"},
	}
	if activeDirectory {
		rows = append(rows, row{key: "nested", value: quote("none"), comment: `as docker_auth; "token_groups", without attribute, finds groups in groups`})
	}
	return rows
}

// suffix returns the DN of a directory's root: the last components of a DN that are
// domain components, or the last one.
func suffix(dn string) string {
	parts := strings.Split(dn, ",")
	first := len(parts) - 1
	for first > 0 && strings.HasPrefix(strings.ToLower(strings.TrimSpace(parts[first-1])), "dc=") {
		first--
	}
	return strings.TrimSpace(strings.Join(parts[first:], ","))
}
