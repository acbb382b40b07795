package main

import (
	"fmt"
	"strings"

	"shorepass/internal/secret"
	"shorepass/providers/file"
)

// config is the template of the servers' configuration. Its parameters are a folder,
// the session table and the users. Audit lines are written to a file, as in
// production.
const config = `
[server]
listen = "127.0.0.1:0"
[audit]
to = "file:%[1]s/audit.log"
[token]
issuer   = "bench"
services = ["registry"]
%[2]s
[[provider]]
name = "local"
kind = "file"
%[3]s
[[rule]]
name         = "a team owns its folder"
groups       = ["team-*"]
repositories = ["{group}/**"]
actions      = ["pull", "push"]
[[rule]]
name         = "public"
groups       = ["anonymous"]
repositories = ["public/**"]
actions      = ["pull"]
[[rule]]
name         = "no one overwrites a release"
effect       = "deny"
repositories = ["*/release/**"]
actions      = ["push"]
`

// userTables returns the configuration of users by name, each in a number of groups,
// and all with the same password.
func userTables(groups map[string]int) (string, error) {
	hash, err := file.Hash(secret.New(password))
	if err != nil {
		return "", err
	}
	var text strings.Builder
	for name, count := range groups {
		quoted := make([]string, count)
		for i, group := range teamNames(count) {
			quoted[i] = fmt.Sprintf("%q", group)
		}
		fmt.Fprintf(&text, "[[provider.user]]\nname = %q\npassword = %q\ngroups = [%s]\n", name, hash, strings.Join(quoted, ", "))
	}
	return text.String(), nil
}

// teamNames returns the names of the groups of a user.
func teamNames(count int) []string {
	names := make([]string, count)
	for i := range names {
		names[i] = fmt.Sprintf("team-%03d", i)
	}
	return names
}
