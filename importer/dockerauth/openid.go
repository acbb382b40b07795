package dockerauth

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"shorepass/policy"
)

// openIDDefaults are what a table of docker_auth for an OpenID provider does not say.
type openIDDefaults struct {
	issuer string // where the table has none
	claim  string // of the user name
	who    string // at whom people sign in
}

// openIDTables are the tables of providers that speak OpenID Connect, by their names.
// GitLab calls the user name nickname.
var openIDTables = map[string]openIDDefaults{
	"google_auth": {"https://accounts.google.com", "email", "Google"},
	"oidc_auth":   {"", "email", "the provider"},
	"gitlab_auth": {"https://gitlab.com", "nickname", "GitLab"},
}

// openIDTable is a table of docker_auth for an OpenID provider.
type openIDTable struct {
	section
	openIDDefaults
	issuer, webURI, clientID, secret, secretFile, userClaim, domain setting
	scopes, labelClaims                                             []string
	labelsLine                                                      int
}

// providerName returns what the provider is called here.
func (o *openIDTable) providerName() string { return strings.TrimSuffix(o.name, "_auth") }

// issuerURL returns the issuer.
func (o *openIDTable) issuerURL() string {
	return cmp.Or(o.issuer.text, strings.TrimSuffix(o.webURI.text, "/"), o.openIDDefaults.issuer)
}

// readOpenIDTables reads the tables of OpenID providers.
func (t *translation) readOpenIDTables() {
	for _, s := range t.file.others {
		if defaults, ok := openIDTables[s.name]; ok {
			t.openID = append(t.openID, t.readOpenID(s, defaults))
		}
	}
}

func (t *translation) readOpenID(s section, defaults openIDDefaults) openIDTable {
	table := openIDTable{section: s, openIDDefaults: defaults}
	texts := func(to *[]string, line *int, key string) tableKey {
		return tableKey{read: func(at int, n *yaml.Node) { *to, *line = t.r.texts(n, s.name+"."+key), at }}
	}
	var scopesLine int
	keys := map[string]tableKey{
		"issuer":             t.r.into(&table.issuer, s.name+".issuer"),
		"gitlab_web_uri":     t.r.into(&table.webURI, s.name+".gitlab_web_uri"),
		"client_id":          t.r.into(&table.clientID, s.name+".client_id"),
		"client_secret":      t.r.into(&table.secret, s.name+".client_secret"),
		"client_secret_file": t.r.into(&table.secretFile, s.name+".client_secret_file"),
		"user_claim":         t.r.into(&table.userClaim, s.name+".user_claim"),
		"domain":             t.r.into(&table.domain, s.name+".domain"),
		"scopes":             texts(&table.scopes, &scopesLine, "scopes"),
		"labels_claims":      texts(&table.labelClaims, &table.labelsLine, "labels_claims"),
	}
	t.r.tableOf(s.node, s.name, keys, func(p pair) {
		if near := closestKey(p.key, keys); near == "labels_claims" {
			t.r.add(p.line, Lost, "docker_auth ignores %q in %s, so that no person has these labels; did you mean %q?", p.key, s.name, near)
		}
	})
	if table.issuerURL() == "" {
		t.r.add(s.line, Refused, "docker_auth does not start: %s.issuer is missing", s.name)
	}
	return table
}

// signsIn reports whether people can sign in with a browser: the pages need a URL that
// the browser trusts with cookies.
func (t *translation) signsIn() bool {
	s := &t.file.server
	return len(t.openID) > 0 && (s.certificate.text != "" || s.usesACME())
}

// resolveOpenIDLabels decides what the claims are called that docker_auth has as labels
// of the people of OpenID providers: they have their own names, or are groups where the
// directory has that label as its groups. A label that the directory has under another
// name is refused: an entry that denies would no longer cover everyone whom it covered.
func (t *translation) resolveOpenIDLabels() {
	for i := range t.openID {
		o := &t.openID[i]
		for _, label := range o.labelClaims {
			switch {
			case label == t.groupLabel:
			case strings.ContainsAny(label, ".{}/* ") && t.isUsed(label):
				t.r.add(o.labelsLine, Refused, "entries use the label %q of %s, whose claim cannot be named so in a rule; remove them", label, o.name)
			case t.isDirectoryLabel(label) || slices.Contains(t.claims, label):
				t.r.add(o.labelsLine, Refused, "the label %q comes from a claim of %s, and the directory has a label or an attribute of that name; rename one of the two", label, o.name)
			}
		}
	}
}

// isDirectoryLabel reports whether the directory fills a label.
func (t *translation) isDirectoryLabel(label string) bool {
	return t.file.ldap != nil && slices.ContainsFunc(t.file.ldap.labels, func(s labelSource) bool { return s.label == label })
}

// openIDLabels returns the labels that OpenID providers fill, each once.
func (t *translation) openIDLabels() []string {
	var all []string
	for i := range t.openID {
		all = append(all, t.openID[i].labelClaims...)
	}
	return unique(all)
}

// writeOpenIDProviders writes a provider for each OpenID provider. It comes after the
// directory: the password of a name that no earlier provider has would be taken for a
// refresh token.
func (t *translation) writeOpenIDProviders() {
	for i := range t.openID {
		o := &t.openID[i]
		var rows []row
		var groups row
		t.part(func() { rows, groups = t.openIDRows(o) })
		header := "[[provider]]"
		if !t.signsIn() {
			header = "#[[provider]]"
			for n := range rows {
				rows[n].off = true
			}
		}
		t.out.table(header, rows)
		t.out.blank()
		if groups.key != "" && t.signsIn() {
			t.out.table("[provider.groups]", []row{groups})
			t.out.blank()
		}
	}
}

func (t *translation) openIDRows(o *openIDTable) (rows []row, groups row) {
	name := o.providerName()
	if t.signsIn() {
		t.r.add(o.line, Changed, "%s: people sign in with a browser at %s, and log in once more: the page gives the password for docker login. CHANGE at %s: the client needs the redirect URI URL/login/%s/callback, with the first of server.public_urls as URL", o.name, o.who, o.who, name)
	} else {
		t.r.add(o.line, Lost, "%s: people sign in with a browser, for which the first of server.public_urls must be https: write it, remove the # before the [[provider]] below, and give a [[service]] its hosts (docs/providers.md)", o.name)
	}
	claim := cmp.Or(o.userClaim.text, o.claim)
	if claim == "email" && o.name == "oidc_auth" {
		t.r.add(o.line, Changed, "an e-mail address is a user name only where the provider has verified it (email_verified)")
	}
	rows = []row{
		{key: "name", value: quote(name)},
		{key: "kind", value: quote("oidc")},
		{key: "prefix", value: `""`},
		{key: "issuer", value: quote(o.issuerURL())},
		{key: "client_id", value: quote(o.clientID.text)},
		t.clientSecretRow(o),
		{key: "grants", value: list([]string{"browser", "refresh_token"}), comment: "refresh_token: the provider is asked again about each person"},
		{key: "users", value: inline("claim", quote(claim))},
		{key: "ignore_case", value: "true"},
	}
	if len(o.scopes) > 0 {
		rows = append(rows, row{key: "scopes", value: inlineList(o.scopes)})
	}
	if strings.HasPrefix(o.issuerURL(), "http://") {
		t.r.add(o.issuer.line, Noted, "the issuer is reached unencrypted, as in docker_auth; write an https:// URL, and remove insecure")
		rows = append(rows, row{key: "insecure", value: "true"})
	}
	if o.name == "google_auth" {
		rows = append(rows,
			row{key: "hosts", value: list([]string{"oauth2.googleapis.com", "www.googleapis.com", "openidconnect.googleapis.com"})},
			row{key: "sign_ins", value: quote("one")})
	}
	var claims []string
	for _, label := range o.labelClaims {
		if label == t.groupLabel {
			groups = row{key: "claim", value: quote(label)}
			continue
		}
		claims = append(claims, label)
	}
	if len(claims) > 0 {
		rows = append(rows, row{key: "claims", value: inlineList(claims)})
	}
	return rows, groups
}

// clientSecretRow returns the client's secret, as docker_auth has it.
func (t *translation) clientSecretRow(o *openIDTable) row {
	switch {
	case o.secretFile.text != "":
		return row{key: "client_secret", value: inline("file", t.path(o.secretFile))}
	case o.secret.text != "" && t.signsIn():
		return row{key: "client_secret", value: quote(o.secret.text)}
	}
	return row{key: "client_secret", value: inline("file", quote("CHANGE"))}
}

// writeServices writes the hosts of the services: people sign in for a registry that they
// call by its host. A service is mostly called so.
func (t *translation) writeServices() {
	if !t.signsIn() {
		return
	}
	written := false
	for _, name := range t.serviceNames() {
		if hostPattern.MatchString(name) && strings.Contains(name, ".") {
			t.out.table("[[service]]", []row{{key: "name", value: quote(name)}, {key: "hosts", value: list([]string{name}), comment: "the host of docker login"}})
			t.out.blank()
			written = true
		}
	}
	if written {
		return
	}
	t.part(func() {
		t.r.add(0, Noted, "CHANGE service.hosts: people sign in for a registry that they call by its host, as in docker login HOST")
	})
	t.out.table("[[service]]", []row{
		{key: "name", value: quote(t.serviceNames()[0])},
		{key: "hosts", value: list([]string{"registry.corp.example"}), comment: "CHANGE: the host of docker login"},
	})
	t.out.blank()
}

// domainRules deny everything to the people of a Google domain's strangers: docker_auth
// lets only people of google_auth.domain in, and Google itself everyone.
func (t *translation) domainRules() []commentedRule {
	var rules []commentedRule
	for i := range t.openID {
		o := &t.openID[i]
		if o.domain.text == "" || !t.signsIn() {
			continue
		}
		rules = append(rules, commentedRule{Comment: fmt.Sprintf("%s.domain: docker_auth lets no other person in, and %s does.", o.name, o.who), Rule: policy.Rule{
			Name: o.name + ".domain", Effect: "deny", Providers: []string{o.providerName()},
			Types: []string{"*"}, Repositories: []string{"**"}, Actions: []string{"*"},
			When: fmt.Sprintf("!user.endsWith(%s)", strconv.Quote("@"+strings.ToLower(o.domain.text))),
		}})
	}
	return rules
}
