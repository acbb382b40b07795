package dockerauth

import (
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"
)

// authConfig is a configuration of docker_auth, as docker_auth reads it.
type authConfig struct {
	server  serverTable
	token   tokenTable
	users   []user // in the order of their first appearance
	ldap    *ldapTable
	entries []entry
	hasACL  bool
	others  []section // in the order of the file
	chart   bool      // it comes from the values of docker_auth's Helm chart
}

// setting is a text with its line, which is 0 where the key is not in the file.
type setting struct {
	line int
	text string
}

type serverTable struct {
	addr, net, pathPrefix, certificate, key setting
	realIPHeader, realIPPos                 setting
	letsEncrypt                             setting   // its host, with the line of the table
	acmeEmail                               setting   // empty: docker_auth does not ask for a certificate
	tuning                                  []setting // keys of TLS and HSTS
}

type tokenTable struct {
	issuer, certificate, key setting
	expiration               int64
	expirationLine           int
	disableLegacyKeyID       bool
	disableLine              int
}

// user is a user of docker_auth.
type user struct {
	staticUser
	password     *string // nil: any password is right
	null         bool    // the entry is null: there is no such user
	unquotedNull bool    // the name is null, which is ""
	file         string  // see Finding
}

type ldapTable struct {
	line                                           int
	addr, tls, caCertificate, base, filter, bindDN setting
	bindPasswordFile                               setting
	insecureSkipVerify, initialBindAsUser          bool
	insecureLine                                   int
	labels                                         []labelSource
}

// labelSource is a label of the directory's people.
type labelSource struct {
	line               int
	label, attribute   string
	parseCN, lowerCase bool
}

// section is a table at the top of the file that has no equal here.
type section struct {
	line int
	name string
	node *yaml.Node
}

// sections are the tables at the top that the import reports, in the order in which
// docker_auth asks them.
var sections = []string{
	"ext_auth", "google_auth", "github_auth", "oidc_auth", "gitlab_auth", "mongo_auth", "xorm_auth", "plugin_authn",
	"acl_mongo", "acl_xorm", "ext_authz", "plugin_authz", "casbin_authz",
}

// readFile reads a configuration.
func (r *reader) readFile(root *yaml.Node) *authConfig {
	f := &authConfig{}
	fields := map[string]tableKey{
		"server":    {func(_ int, n *yaml.Node) { r.readServer(n, &f.server) }, true},
		"token":     {func(_ int, n *yaml.Node) { r.readToken(n, &f.token) }, true},
		"users":     {func(_ int, n *yaml.Node) { f.users = r.readUsers(n, f.users) }, true},
		"ldap_auth": {func(line int, n *yaml.Node) { f.ldap = r.readLDAP(line, n, f.ldap) }, true},
		"acl":       {func(_ int, n *yaml.Node) { f.entries, f.hasACL = r.readEntries(n) }, false},
	}
	for _, name := range sections {
		fields[name] = tableKey{func(line int, n *yaml.Node) {
			f.others = slices.DeleteFunc(f.others, func(s section) bool { return s.name == name })
			if !isNull(resolve(n)) {
				f.others = append(f.others, section{line, name, n})
			}
		}, true}
	}
	r.table(root, "the configuration", fields)
	return f
}

// into returns a key whose text is stored with its line.
func (r *reader) into(to *setting, what string) tableKey {
	return tableKey{read: func(line int, n *yaml.Node) {
		text, _ := r.text(n, what)
		*to = setting{line, text}
	}}
}

func (r *reader) readServer(n *yaml.Node, s *serverTable) {
	if isNull(resolve(n)) {
		return
	}
	fields := map[string]tableKey{
		"addr":           r.into(&s.addr, "server.addr"),
		"net":            r.into(&s.net, "server.net"),
		"path_prefix":    r.into(&s.pathPrefix, "server.path_prefix"),
		"certificate":    r.into(&s.certificate, "server.certificate"),
		"key":            r.into(&s.key, "server.key"),
		"real_ip_header": r.into(&s.realIPHeader, "server.real_ip_header"),
		"real_ip_pos": {read: func(line int, n *yaml.Node) {
			s.realIPPos = setting{line, fmt.Sprint(r.integer(n, "server.real_ip_pos"))}
		}},
		"letsencrypt": {func(line int, n *yaml.Node) { r.readLetsEncrypt(line, n, s) }, true},
	}
	for _, name := range []string{"hsts", "tls_min_version", "tls_curve_preferences", "tls_cipher_suites"} {
		fields[name] = tableKey{read: func(line int, _ *yaml.Node) { s.tuning = append(s.tuning, setting{line, name}) }}
	}
	r.table(n, "server", fields)
}

func (r *reader) readLetsEncrypt(line int, n *yaml.Node, s *serverTable) {
	if isNull(resolve(n)) {
		return
	}
	var folder setting // docker_auth's certificates and its account stay there
	r.table(n, "server.letsencrypt", map[string]tableKey{
		"host":      r.into(&s.letsEncrypt, "server.letsencrypt.host"),
		"email":     r.into(&s.acmeEmail, "server.letsencrypt.email"),
		"cache_dir": r.into(&folder, "server.letsencrypt.cache_dir"),
	})
	s.letsEncrypt.line = line
}

// usesACME reports whether docker_auth obtains its certificate from Let's Encrypt.
func (s *serverTable) usesACME() bool { return s.acmeEmail.text != "" && s.certificate.text == "" }

func (r *reader) readToken(n *yaml.Node, t *tokenTable) {
	if isNull(resolve(n)) {
		return
	}
	r.table(n, "token", map[string]tableKey{
		"issuer":      r.into(&t.issuer, "token.issuer"),
		"certificate": r.into(&t.certificate, "token.certificate"),
		"key":         r.into(&t.key, "token.key"),
		"expiration": {read: func(line int, n *yaml.Node) {
			t.expiration, t.expirationLine = r.integer(n, "token.expiration"), line
		}},
		"disable_legacy_key_id": {read: func(line int, n *yaml.Node) {
			t.disableLegacyKeyID, t.disableLine = r.boolean(n, "token.disable_legacy_key_id"), line
		}},
	})
}

// readUsers adds the users of a map to those that are there.
func (r *reader) readUsers(n *yaml.Node, all []user) []user {
	if isNull(resolve(n)) {
		return nil
	}
	pairs, _ := r.pairs(n, "users")
	for _, p := range pairs {
		u := r.readUser(p)
		i := slices.IndexFunc(all, func(known user) bool { return known.Name == u.Name })
		if i < 0 {
			all = append(all, u)
			continue
		}
		r.add(p.line, Noted, "the user %q is there twice; this entry replaces the one of line %d", u.Name, all[i].Line)
		all[i] = u
	}
	return all
}

func (r *reader) readUser(p pair) user {
	u := user{staticUser: staticUser{Line: p.line, Name: p.key}, unquotedNull: p.null, file: r.file}
	if isNull(resolve(p.value)) {
		u.null = true
		return u
	}
	what := fmt.Sprintf("the user %q", p.key)
	r.table(p.value, what, map[string]tableKey{
		"password": {read: func(_ int, n *yaml.Node) { u.password = r.optional(n, "the password of "+what) }},
		"labels":   {func(_ int, n *yaml.Node) { u.Labels = r.readLabels(n, what, u.Labels) }, true},
	})
	return u
}

// readLabels adds the labels of a user to those that are there.
func (r *reader) readLabels(n *yaml.Node, what string, labels map[string][]string) map[string][]string {
	if isNull(resolve(n)) {
		return nil
	}
	pairs, _ := r.pairs(n, "labels of "+what)
	if labels == nil {
		labels = make(map[string][]string)
	}
	first := make(map[string]pair)
	for _, p := range pairs {
		r.noteTwice(p, first, "labels of "+what, false)
		labels[p.key] = r.texts(p.value, fmt.Sprintf("the label %q of %s", p.key, what))
	}
	return labels
}

func (r *reader) readLDAP(line int, n *yaml.Node, t *ldapTable) *ldapTable {
	if isNull(resolve(n)) {
		return nil
	}
	if t == nil {
		t = &ldapTable{line: line}
	}
	r.table(n, "ldap_auth", map[string]tableKey{
		"addr":               r.into(&t.addr, "ldap_auth.addr"),
		"tls":                r.into(&t.tls, "ldap_auth.tls"),
		"ca_certificate":     r.into(&t.caCertificate, "ldap_auth.ca_certificate"),
		"base":               r.into(&t.base, "ldap_auth.base"),
		"filter":             r.into(&t.filter, "ldap_auth.filter"),
		"bind_dn":            r.into(&t.bindDN, "ldap_auth.bind_dn"),
		"bind_password_file": r.into(&t.bindPasswordFile, "ldap_auth.bind_password_file"),
		"insecure_tls_skip_verify": {read: func(line int, n *yaml.Node) {
			t.insecureSkipVerify, t.insecureLine = r.boolean(n, "ldap_auth.insecure_tls_skip_verify"), line
		}},
		"initial_bind_as_user": {read: func(_ int, n *yaml.Node) {
			t.initialBindAsUser = r.boolean(n, "ldap_auth.initial_bind_as_user")
		}},
		"labels": {func(_ int, n *yaml.Node) { t.labels = r.readLabelSources(n, t.labels) }, true},
	})
	return t
}

func (r *reader) readLabelSources(n *yaml.Node, all []labelSource) []labelSource {
	if isNull(resolve(n)) {
		return nil
	}
	pairs, _ := r.pairs(n, "ldap_auth.labels")
	for _, p := range pairs {
		source := labelSource{line: p.line, label: p.key}
		what := fmt.Sprintf("the label %q of ldap_auth", p.key)
		var attribute setting
		if !isNull(resolve(p.value)) {
			r.table(p.value, what, map[string]tableKey{
				"attribute":  r.into(&attribute, "the attribute of "+what),
				"parse_cn":   {read: func(_ int, n *yaml.Node) { source.parseCN = r.boolean(n, "parse_cn of "+what) }},
				"lower_case": {read: func(_ int, n *yaml.Node) { source.lowerCase = r.boolean(n, "lower_case of "+what) }},
			})
		}
		source.attribute = attribute.text
		all = slices.DeleteFunc(all, func(known labelSource) bool { return known.label == p.key })
		all = append(all, source)
	}
	return all
}
