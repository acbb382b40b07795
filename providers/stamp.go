package providers

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// Stamp returns an [Identity.Stamp]: a hash of the names of the attributes that
// it is made of, and the value that they make together. Without a value it is
// empty: the provider shows none.
func Stamp(attributes []string, value string) string {
	if value == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(strings.Join(attributes, "\x00")))
	return hex.EncodeToString(sum[:4]) + ":" + value
}

// SameAttributes reports whether two stamps are made of the same attributes, so
// that one can be compared with the other.
func SameAttributes(a, b string) bool {
	of := func(stamp string) string {
		attributes, _, named := strings.Cut(stamp, ":")
		if !named {
			return "" // as version 1 of the store's schema had them
		}
		return attributes
	}
	return of(a) == of(b)
}
