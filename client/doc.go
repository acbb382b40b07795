// Package client is a client of registries, as far as it concerns tokens: it reads the
// challenge that names the token endpoint, asks there, and presents a token. It verifies
// no token and stores no credential.
//
//	found, err := client.Discover(ctx, origin)
//	answer, err := found.Present(ctx, "/v2/", token)
package client
