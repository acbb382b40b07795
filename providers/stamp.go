package providers

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// Stamp returns an [Identity.Stamp]: a hash of the names of its attributes, and their
// value. Without a value it is empty: the provider shows none.
func Stamp(attributes []string, value string) string {
	if value == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(strings.Join(attributes, "\x00")))
	return hex.EncodeToString(sum[:4]) + ":" + value
}

// SameAttributes reports whether two stamps have the same attributes, so that their values
// can be compared.
func SameAttributes(a, b string) bool {
	of := func(stamp string) string {
		attributes, _, named := strings.Cut(stamp, ":")
		if !named {
			return "" // a stamp in version 1 of the store's schema
		}
		return attributes
	}
	return of(a) == of(b)
}
