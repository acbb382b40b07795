package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"shorepass/internal/secret"
	"shorepass/providers/file"
)

// connections are the rows of each table.
var connections = []int{1, 16, 64}

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
name         = "nobody overwrites a release"
effect       = "deny"
repositories = ["*/release/**"]
actions      = ["push"]
`

// users says in a configuration who there is, each in so many groups, and all
// with the same password.
func users(names []string, groups int) (string, error) {
	hash, err := file.Hash(secret.New(password))
	if err != nil {
		return "", err
	}
	quoted := make([]string, groups)
	for i, group := range teams(groups) {
		quoted[i] = fmt.Sprintf("%q", group)
	}
	var text strings.Builder
	for _, name := range names {
		fmt.Fprintf(&text, "[[provider.user]]\nname = %q\npassword = %q\ngroups = [%s]\n", name, hash, strings.Join(quoted, ", "))
	}
	return text.String(), nil
}

// teams are the names of so many groups.
func teams(count int) []string {
	names := make([]string, count)
	for i := range names {
		names[i] = fmt.Sprintf("team-%03d", i)
	}
	return names
}

// measureTokens prints the refresh-token path and the remembered-password path
// beside the bare handler.
func measureTokens(ctx context.Context, binary, dir string, in turns) error {
	twenty, err := users([]string{"twenty"}, 20)
	if err != nil {
		return err
	}
	thousand, err := users([]string{"thousand"}, 1000)
	if err != nil {
		return err
	}
	store := fmt.Sprintf("[session]\nstore = \"sqlite:%s/data/sessions.db\"", dir)
	s, err := startShorepass(ctx, binary, dir, fmt.Sprintf(config, dir, store, twenty+thousand))
	if err != nil {
		return err
	}
	defer s.stop()
	few, err := s.login("twenty")
	if err != nil {
		return err
	}
	many, err := s.login("thousand")
	if err != nil {
		return err
	}
	bare, err := startBare(ctx, len(few.Token)-len(".")-base64.RawURLEncoding.EncodedLen(64))
	if err != nil {
		return err
	}
	defer bare.stop()

	head("token request", "of bare")
	for _, c := range connections {
		against := func(name string, p *process, request []byte) contestant {
			return contestant{name, func(ctx context.Context, span time.Duration) (figures, error) {
				return load(ctx, target{servers: []*process{p}}, same(request), c, span)
			}}
		}
		results, err := compare(ctx, in, []contestant{
			against("bare net/http, ES256", bare, redemption(few.RefreshToken)),
			against("refresh token, 20 groups", s, redemption(few.RefreshToken)),
			against("refresh token, 1,000 groups", s, redemption(many.RefreshToken)),
			against("remembered password, 20 groups", s, basic("twenty", password)),
		})
		if err != nil {
			return err
		}
		byThroughput(results)
	}
	return nil
}
