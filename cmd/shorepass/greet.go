package main

import (
	"fmt"
	"io"
	"net/url"

	"shorepass/server"
)

// greetScope is what the rules of config.example.toml give to its user.
const greetScope = "repository:team-demo/app:pull,push"

// greet prints the lines to paste that log user in and get a token. Both
// programs ask for the password. It is printed only on demand (serve --greet),
// since whoever collects the log expects nothing but JSON.
func greet(w io.Writer, rooms *server.Rooms, user string) error {
	public, err := url.Parse(rooms.Config.PublicURLs[0])
	if err != nil {
		return fmt.Errorf("public_urls: %w", err)
	}
	_, err = fmt.Fprintf(w, "\n  docker login -u %s %s\n  curl -sS -u %[1]s '%[3]s?service=%[4]s&scope=%[5]s'\n\n",
		user, public.Host, rooms.Config.Realm(), url.QueryEscape(rooms.Issuer.First()), greetScope)
	return err
}
