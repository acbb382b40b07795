package main

import (
	"fmt"
	"io"
	"net/url"
)

// greet prints, at a start on a terminal or off one, the lines that log in and
// get a token, ready to be pasted. The configuration's first file user stands
// in for whoever reads it; no password is ever printed.
func greet(w io.Writer, cfg *settled) {
	service := url.QueryEscape(cfg.Token.Services[0])
	realm := cfg.Server.Realm()
	fmt.Fprintf(w, "\nLog in as docker does, and be asked for the password (%s):\n", "in config.example.toml it is demo, like the user")
	fmt.Fprintf(w, "  curl -sS -u demo '%s?account=demo&client_id=docker&offline_token=true&service=%s'\n", realm, service)
	fmt.Fprintf(w, "Get a token:\n")
	fmt.Fprintf(w, "  curl -sS -u demo '%s?service=%s&scope=repository:demo/app:pull,push'\n\n", realm, service)
}
