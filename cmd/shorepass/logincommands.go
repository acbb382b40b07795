package main

import (
	"fmt"
	"io"
	"net/url"
	"strings"

	"shorepass/server"
)

// exampleScope is a scope that the rules of config.example.toml grant to its user.
const exampleScope = "repository:team-demo/app:pull,push"

// printLoginCommands prints two commands to paste, which log in and get a token, and the
// URL of the sign-in page where there is one. login is
// a user, or user:password as curl accepts it. Then the password is printed above the
// commands, since both prompt for it. It is for serve --greet alone, since log collectors
// expect nothing but JSON.
func printLoginCommands(w io.Writer, gen *server.Generation, login string) error {
	public, err := url.Parse(gen.Config.PublicURLs[0])
	if err != nil {
		return fmt.Errorf("public_urls: %w", err)
	}
	user, password, isKnown := strings.Cut(login, ":")
	hint := ""
	if isKnown {
		hint = fmt.Sprintf("  # the password of %s is %s\n", user, password)
	}
	_, err = fmt.Fprintf(w, "\n%s  docker login -u %s %s\n  curl -sS -u %[2]s '%[4]s?service=%[5]s&scope=%[6]s'\n\n",
		hint, user, public.Host, gen.Config.Realm(), url.QueryEscape(gen.Issuer.FirstService()), exampleScope)
	if page := gen.SignInPage(); err == nil && page != "" {
		_, err = fmt.Fprintf(w, "  # or sign in with a browser: %s\n\n", page)
	}
	return err
}
