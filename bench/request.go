package main

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"net/url"
)

const (
	password    = "bench-password"
	scope       = "repository:team-001/app:pull,push"
	publicScope = "repository:public/app:pull"
)

// script gives the requests of one connection: each is sent, and answered,
// before the next one is asked for.
type generator func() []byte

// same is one request for every connection, again and again.
func repeated(request []byte) func(conn int) generator {
	return func(int) generator { return func() []byte { return request } }
}

// drawn redeems another token at each request, drawn at random, so that no
// cache of sessions, people or pages flatters.
func randomRedemptions(tokens []string) func(conn int) generator {
	return func(conn int) generator {
		random := rand.New(rand.NewPCG(uint64(conn), rand.Uint64()))
		return func() []byte { return redemption(tokens[random.IntN(len(tokens))]) }
	}
}

// redemption redeems a refresh token, whose letters need no escaping, as
// docker does.
func redemption(token string) []byte {
	form := "client_id=bench&grant_type=refresh_token&scope=" + url.QueryEscape(scope) + "&service=registry&refresh_token=" + token
	return fmt.Appendf(nil, "POST /jwt/auth HTTP/1.1\r\nHost: bench\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s", len(form), form)
}

// basic asks for a token with a name and a password, and with further lines of the
// head.
func basic(name, password string, head ...string) []byte {
	head = append(head, "Authorization: Basic "+base64.StdEncoding.EncodeToString([]byte(name+":"+password)))
	return get(scope, head...)
}

// anonymous asks for a token without a credential.
func anonymous() []byte { return get(publicScope) }

func get(scope string, head ...string) []byte {
	lines := ""
	for _, line := range head {
		lines += line + "\r\n"
	}
	return fmt.Appendf(nil, "GET /jwt/auth?service=registry&scope=%s HTTP/1.1\r\nHost: bench\r\n%s\r\n", url.QueryEscape(scope), lines)
}
