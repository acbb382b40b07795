package session

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"hash/crc32"
	"strings"

	"shorepass/internal/secret"
)

// Kind says what a token of ours is for. It is part of the hash, so that a
// token of one kind is never valid as another.
type Kind string

const (
	KindRefresh Kind = "refresh"  // sp_r_, from a login that asked for an offline token
	KindPAT     Kind = "pat"      // sp_p_, a personal access token
	KindRobot   Kind = "robot"    // sp_b_, a robot's token
	KindBrowser Kind = "browser"  // sp_w_, a browser's cookie
	KindOneTime Kind = "one-time" // sp_o_, a one-time password: a grant, not a session
)

// prefixes are the prefixes of tokens by kind.
var prefixes = map[Kind]string{KindRefresh: "sp_r_", KindPAT: "sp_p_", KindRobot: "sp_b_", KindBrowser: "sp_w_", KindOneTime: "sp_o_"}

// A token is the prefix of its kind, 43 random letters of an alphabet of 62,
// which is 256 bits, and six letters that encode a CRC-32 of all that. The
// checksum lets a secret scanner tell a leaked token from a random text
// offline; it is no protection. Only letters and digits follow the prefix, so
// that a double click selects the whole token. The text itself is hashed and
// never decoded, so that each token has one spelling.
const (
	letters     = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	randomLen   = 43
	checksumLen = 6
	prefixLen   = len("sp_r_")
	tokenLen    = prefixLen + randomLen + checksumLen
)

// kindOf returns the kind whose prefix a text has, or "".
func kindOf(text string) Kind {
	for kind, prefix := range prefixes {
		if strings.HasPrefix(text, prefix) {
			return kind
		}
	}
	return ""
}

// Recognize reports whether a text has the prefix of our tokens, valid or not.
// Such a text must be sent to no provider, only to [Sessions.Redeem].
func Recognize(text secret.Text) bool { return KindOf(text) != "" }

// KindOf returns the kind whose prefix a text has, valid or not, or "".
func KindOf(text secret.Text) Kind { return kindOf(strings.TrimSpace(text.Reveal())) }

// newToken generates a token of a kind, and returns it with its hash.
func newToken(kind Kind) (secret.Text, Hash) {
	text := make([]byte, 0, tokenLen)
	text = append(text, prefixes[kind]...)
	for random := make([]byte, 64); len(text) < prefixLen+randomLen; {
		rand.Read(random) // never fails
		for _, b := range random {
			// Rejection sampling: 248 is the largest multiple of 62 in a byte.
			// Bytes above it would make the first letters of the alphabet
			// likelier.
			if b < 248 && len(text) < prefixLen+randomLen {
				text = append(text, letters[b%62])
			}
		}
	}
	token := secret.New(string(append(text, checksum(text)...)))
	_, hash, ok := parseToken(token)
	if !ok {
		panic("session: a new token is none")
	}
	return token, hash
}

// checksum encodes the CRC-32 (IEEE) of text in six letters.
func checksum(text []byte) []byte {
	sum, out := crc32.ChecksumIEEE(text), make([]byte, checksumLen)
	for i := checksumLen - 1; i >= 0; i-- {
		out[i] = letters[sum%62]
		sum /= 62
	}
	return out
}

// parseToken returns the kind and the hash of a token, or false for a text that
// newToken cannot have generated. It compares no secret: only the store does,
// and only hashes.
func parseToken(token secret.Text) (Kind, Hash, bool) {
	text := token.Reveal()
	kind := kindOf(text)
	if len(text) != tokenLen || kind == "" {
		return "", Hash{}, false
	}
	body, sum := []byte(text[:prefixLen+randomLen]), text[prefixLen+randomLen:]
	if string(checksum(body)) != sum {
		return "", Hash{}, false
	}
	for _, b := range body[prefixLen:] {
		if strings.IndexByte(letters, b) < 0 {
			return "", Hash{}, false
		}
	}
	return kind, hashOf(string(kind), text), true
}

// Hash is the SHA-256 of a purpose and a secret. The store has only the Hash of
// a token.
type Hash [sha256.Size]byte

// hashOf hashes a text for one purpose (domain separation): a hash for one
// purpose is never equal to one for another.
func hashOf(purpose, text string) Hash {
	var room [128]byte // for a token of ours without an allocation
	input := append(append(room[:0], purpose...), 0)
	return sha256.Sum256(append(input, text...))
}

// providerTokenHash returns the hash by which a session is found for the
// provider's refresh token that it was created from.
func providerTokenHash(providerToken secret.Text) Hash {
	return hashOf("upstream", providerToken.Reveal())
}

// idBytes is the length of the prefix of a hash that is the public ID. 80 bits
// are enough to tell ten million sessions apart, and reveal nothing of the
// token.
const idBytes = 10

var idEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// ID returns the public ID of a session, a prefix of its hash.
func (h Hash) ID() string { return idEncoding.EncodeToString(h[:idBytes]) }

// ParseID returns the first and the last hash with an ID as their prefix, or
// false for a text that is no ID.
func ParseID(id string) (first, last Hash, ok bool) {
	begin, err := idEncoding.DecodeString(id)
	if err != nil || len(begin) != idBytes {
		return Hash{}, Hash{}, false
	}
	for i := range last {
		last[i] = 0xff
	}
	copy(first[:], begin)
	copy(last[:], begin)
	return first, last, true
}
