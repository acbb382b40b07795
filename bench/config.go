package main

import (
	"fmt"
	"strings"

	"shorepass/internal/secret"
	"shorepass/providers/file"
)

// config is what measured servers run with: a folder, what the session table
// says, and the users. The audit line is written, to a file, as in production.
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
name         = "nobody overwrites a release"
effect       = "deny"
repositories = ["*/release/**"]
actions      = ["push"]
`

// users says in a configuration who there is, and in how many groups each is, all
// with the same password.
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

// teams are the names of so many groups.
func teamNames(count int) []string {
	names := make([]string, count)
	for i := range names {
		names[i] = fmt.Sprintf("team-%03d", i)
	}
	return names
}
