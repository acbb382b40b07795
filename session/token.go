package session

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"hash/crc32"
	"strings"

	"shorepass/internal/secret"
)

// Kind says what a token of ours is for. It is part of what is hashed, so that
// a token of one kind is never good as another.
type Kind string

const (
	KindRefresh Kind = "refresh"  // sp_r_, from a login that asked for an offline token
	KindPAT     Kind = "pat"      // sp_p_, a personal access token
	KindRobot   Kind = "robot"    // sp_b_, a robot's token
	KindBrowser Kind = "browser"  // sp_w_, a browser's cookie
	KindOneTime Kind = "one-time" // sp_o_, a one-time login password: a grant, and no session
)

// prefixes are what tokens of a kind begin with.
var prefixes = map[Kind]string{KindRefresh: "sp_r_", KindPAT: "sp_p_", KindRobot: "sp_b_", KindBrowser: "sp_w_", KindOneTime: "sp_o_"}

// A token is a prefix that names its kind, 43 random letters of 62, which is
// 256 bits, and six letters that spell a CRC-32 of all that. The checksum lets
// a scanner for leaked secrets tell a token from what merely looks like one,
// without asking us; it keeps nobody out. Letters and digits alone, so that a
// double click selects the whole. The text itself is hashed and never decoded:
// there is just one spelling of each token.
const (
	letters     = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	randomLen   = 43
	checksumLen = 6
	prefixLen   = len("sp_r_")
	tokenLen    = prefixLen + randomLen + checksumLen
)

// kindOf returns the kind that a text begins like, or "".
func kindOf(text string) Kind {
	for kind, prefix := range prefixes {
		if strings.HasPrefix(text, prefix) {
			return kind
		}
	}
	return ""
}

// Recognize reports whether a text begins like one of our tokens, good or
// mangled, and so must go nowhere but to [Sessions.Redeem].
func Recognize(text secret.Text) bool { return KindOf(text) != "" }

// KindOf returns the kind that a text begins like, good or mangled, or "".
func KindOf(text secret.Text) Kind { return kindOf(strings.TrimSpace(text.Reveal())) }

// newToken makes a token of a kind, and its hash.
func newToken(kind Kind) (secret.Text, Hash) {
	text := make([]byte, 0, tokenLen)
	text = append(text, prefixes[kind]...)
	for random := make([]byte, 64); len(text) < prefixLen+randomLen; {
		rand.Read(random) // never fails
		for _, b := range random {
			// 248 is the largest multiple of 62 in a byte: what is above it
			// would make the first letters likelier than the others.
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

// checksum spells the CRC-32 (IEEE) of text in six letters.
func checksum(text []byte) []byte {
	sum, out := crc32.ChecksumIEEE(text), make([]byte, checksumLen)
	for i := checksumLen - 1; i >= 0; i-- {
		out[i] = letters[sum%62]
		sum /= 62
	}
	return out
}

// parseToken returns the kind and the hash of a token, or false for anything
// that newToken cannot have made. How long it takes depends only on the
// length: what is secret is compared by nobody but the store, as a hash.
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

// Hash is the SHA-256 of a secret and of what it is for: all that the store
// knows of a token.
type Hash [sha256.Size]byte

// hashOf hashes a text for one purpose, so that what serves for one cannot be
// taken for another.
func hashOf(purpose, text string) Hash {
	h := sha256.New()
	h.Write([]byte(purpose))
	h.Write([]byte{0})
	h.Write([]byte(text))
	return Hash(h.Sum(nil))
}

// providerTokenHash is what a session answers to besides its own token: the hash of
// the provider's refresh token that it was made of.
func providerTokenHash(providerToken secret.Text) Hash {
	return hashOf("upstream", providerToken.Reveal())
}

// idBytes is how much of a hash the public ID shows. 80 bits tell ten million
// sessions apart, and say nothing about 256 random ones.
const idBytes = 10

var idEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// ID is the session's public name, the beginning of its hash.
func (h Hash) ID() string { return idEncoding.EncodeToString(h[:idBytes]) }

// ParseID returns the first and the last hash that an ID can be the beginning
// of, or false for what is no ID.
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
