package e2e

import (
	"fmt"
	"testing"
)

// deadDirectory is an LDAP provider at a port where nobody listens.
func deadDirectory(t *testing.T) string {
	return fmt.Sprintf(`
[[provider]]
name = "corp"
kind = "ldap"
preset = "openldap"
urls = ["ldap://127.0.0.1:%d"]
insecure = true
bind_dn = "cn=nobody,dc=example,dc=org"
bind_password = "directory-canary"
users = { base = "ou=people,dc=example,dc=org", filter = "(uid={login})", name = "uid" }
groups = { base = "ou=groups,dc=example,dc=org", filter = "(member={dn})", name = "cn" }
`, freePort(t))
}
