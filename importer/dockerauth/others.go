package dockerauth

import (
	"cmp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// advice says what to do about a table of docker_auth that has no equal.
var advice = map[string]string{
	"ext_auth":     "a program that checks passwords has no equal: add a [[provider]] for the directory or the OpenID provider behind it, or local users",
	"google_auth":  "people log in by a page with Google: the commented [[provider]] below is a beginning, and they log in anew",
	"github_auth":  "GitHub is no OpenID provider for people: add a [[provider]] for one that these people have, or for an OpenID provider that speaks with GitHub, such as Dex; teams and organizations are its groups then",
	"oidc_auth":    "people log in by a page of docker_auth, which gives them a password for docker login: the commented [[provider]] below is a beginning, and they log in anew",
	"gitlab_auth":  "people log in by a page with GitLab: the commented [[provider]] below is a beginning, and they log in anew",
	"mongo_auth":   "users in MongoDB: export them with mongoexport, and import again with --mongo-users FILE",
	"xorm_auth":    "users in a database: write each as a [[provider.user]] with its bcrypt hash, or as a line of an htpasswd file",
	"plugin_authn": "a plugin that checks passwords has no equal: add a [[provider]] for the directory or the OpenID provider behind it",
	"acl_mongo":    "an ACL in MongoDB: export it with mongoexport, and import again with --acl FILE; its entries come after those of acl",
	"acl_xorm":     "an ACL in a database: write its rows as an acl, in their order and below the entries of acl, and import again",
	"ext_authz":    "a program that decides has no equal: write what it allows as [[rule]] tables",
	"plugin_authz": "a plugin that decides has no equal: write what it allows as [[rule]] tables",
	"casbin_authz": "a model of Casbin has no equal, and its actions are not those of registries: write what it allows as [[rule]] tables",
}

// reportOthers says what has no equal, line by line. A provider or an authorizer that is
// left out lets no person in and allows nothing.
func (t *translation) reportOthers() {
	for _, name := range sections {
		for _, s := range t.file.others {
			switch {
			case s.name != name:
			case name == "mongo_auth" && t.mongoUsers, name == "acl_mongo" && t.mongoACL:
				t.r.add(s.line, Noted, "%s: its contents come from the file that was exported", name)
			default:
				t.r.add(s.line, Lost, "%s: %s", name, advice[name])
			}
		}
	}
}

// hasOtherPeople reports whether people come from a provider that is not translated.
func (t *translation) hasOtherPeople() bool {
	for _, s := range t.file.others {
		switch s.name {
		case "mongo_auth":
			if !t.mongoUsers {
				return true
			}
		case "ext_auth", "google_auth", "github_auth", "oidc_auth", "gitlab_auth", "xorm_auth", "plugin_authn":
			return true
		}
	}
	return false
}

// openIDIssuers are the tables of providers that speak OpenID Connect, with their issuers
// where the table does not say.
var openIDIssuers = map[string]string{"google_auth": "https://accounts.google.com", "gitlab_auth": "https://gitlab.com", "oidc_auth": ""}

// openIDTable has what an OpenID provider needs here too.
type openIDTable struct {
	issuer, webURI, clientID, secretFile, userClaim, domain setting
	labelClaims                                             []string
}

// writeOpenIDExamples writes a commented provider for each of docker_auth's that speaks
// OpenID Connect. It is an example since docker_auth does not say which grants the
// client has.
func (t *translation) writeOpenIDExamples() {
	for _, s := range t.file.others {
		issuer, ok := openIDIssuers[s.name]
		if !ok {
			continue
		}
		var table openIDTable
		t.part(func() { table = t.readOpenID(s) })
		t.out.comment(s.name + ", people log in at the provider itself. CHANGE: grants has those that the client has there")
		rows := []row{
			{key: "name", value: quote(strings.TrimSuffix(s.name, "_auth"))},
			{key: "kind", value: quote("oidc")},
			{key: "prefix", value: `""`},
			{key: "issuer", value: quote(cmp.Or(table.issuer.text, table.webURI.text, issuer))},
			{key: "client_id", value: quote(table.clientID.text)},
			{key: "client_secret", value: inline("file", quote(cmp.Or(table.secretFile.text, "CHANGE")))},
			{key: "grants", value: list([]string{"refresh_token"})},
			{key: "users", value: inline("claim", quote(cmp.Or(table.userClaim.text, "email")))},
		}
		if table.domain.text != "" {
			rows = append(rows, row{key: "match", value: inlineList([]string{"*@" + table.domain.text})})
		}
		if len(table.labelClaims) > 0 {
			rows = append(rows, row{key: "claims", value: inlineList(table.labelClaims)})
		}
		for i := range rows {
			rows[i].off = true
		}
		t.out.table("#[[provider]]", rows)
		t.out.blank()
	}
}

// readOpenID reads a table of an OpenID provider. A secret in place is not copied, since
// nothing needs it in a comment.
func (t *translation) readOpenID(s section) (table openIDTable) {
	keys := map[string]tableKey{
		"issuer":             t.r.into(&table.issuer, s.name+".issuer"),
		"gitlab_web_uri":     t.r.into(&table.webURI, s.name+".gitlab_web_uri"),
		"client_id":          t.r.into(&table.clientID, s.name+".client_id"),
		"client_secret_file": t.r.into(&table.secretFile, s.name+".client_secret_file"),
		"user_claim":         t.r.into(&table.userClaim, s.name+".user_claim"),
		"domain":             t.r.into(&table.domain, s.name+".domain"),
		"labels_claims": {read: func(_ int, n *yaml.Node) {
			table.labelClaims = t.r.texts(n, s.name+".labels_claims")
		}},
	}
	t.r.tableOf(s.node, s.name, keys, func(p pair) {
		if near := closestKey(p.key, keys); near == "labels_claims" {
			t.r.add(p.line, Lost, "docker_auth ignores %q in %s, so that no person has these labels; did you mean %q?", p.key, s.name, near)
		}
	})
	return table
}
