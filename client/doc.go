// Package client is the side of a registry's client: it finds out where a registry
// sends its clients for a token, and how it answers a token.
package client
