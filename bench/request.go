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

// generator returns the next request of one connection. load calls it when the
// previous request has been answered.
type generator func() []byte

// repeated generates one request, again and again on every connection.
func repeated(request []byte) func(conn int) generator {
	return func(int) generator { return func() []byte { return request } }
}

// randomRedemptions generates redemptions of random tokens, so that the caches of
// identities and of database pages miss as in production.
func randomRedemptions(tokens []string) func(conn int) generator {
	return func(conn int) generator {
		random := rand.New(rand.NewPCG(uint64(conn), rand.Uint64()))
		return func() []byte { return redemption(tokens[random.IntN(len(tokens))]) }
	}
}

// redemption returns a request that redeems a refresh token, as docker sends it. The
// characters of a token need no escaping.
func redemption(token string) []byte {
	form := "client_id=bench&grant_type=refresh_token&scope=" + url.QueryEscape(scope) + "&service=registry&refresh_token=" + token
	return fmt.Appendf(nil, "POST /jwt/auth HTTP/1.1\r\nHost: bench\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s", len(form), form)
}

// basic returns a token request with Basic authentication and further header lines.
func basic(name, password string, header ...string) []byte {
	header = append(header, "Authorization: Basic "+base64.StdEncoding.EncodeToString([]byte(name+":"+password)))
	return get(scope, header...)
}

// anonymous returns a token request without credentials.
func anonymous() []byte { return get(publicScope) }

// get returns a token request with the given header lines.
func get(scope string, header ...string) []byte {
	lines := ""
	for _, line := range header {
		lines += line + "\r\n"
	}
	return fmt.Appendf(nil, "GET /jwt/auth?service=registry&scope=%s HTTP/1.1\r\nHost: bench\r\n%s\r\n", url.QueryEscape(scope), lines)
}
