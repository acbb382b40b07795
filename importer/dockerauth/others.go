package dockerauth

// advice says what to do about a table of docker_auth that has no equal.
var advice = map[string]string{
	"ext_auth":     "a program that checks passwords has no equal: add a [[provider]] for the directory or the OpenID provider behind it, or local users",
	"github_auth":  "GitHub is no OpenID provider for people: add a [[provider]] for one that these people have, or for an OpenID provider that speaks with GitHub, such as Dex; teams and organizations are its groups then",
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
			case openIDTables[name] != (openIDDefaults{}): // in openid.go
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
