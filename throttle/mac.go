package throttle

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"sync"
)

// MAC is a message authentication code in the place of a name or a secret that must
// not be stored: the first half of an HMAC-SHA256 (RFC 2104), under a key that is not
// in the same store.
type MAC [16]byte

// Hasher makes MACs under one key. It is safe for concurrent use.
type Hasher struct {
	pool sync.Pool // of *hashState: setting up a key costs more than a MAC
}

type hashState struct {
	mac  hash.Hash
	text []byte // the input; cleared after use, since it holds a secret
	sum  [sha256.Size]byte
}

// NewHasher returns a Hasher under a secret key of at least 32 bytes.
func NewHasher(key []byte) *Hasher {
	h := new(Hasher)
	h.pool.New = func() any { return &hashState{mac: hmac.New(sha256.New, key)} }
	return h
}

// MAC returns the MAC of parts in this order. The input has the length of each part
// before it, so that no two lists of parts have the same input.
func (h *Hasher) MAC(parts ...string) MAC {
	s := h.pool.Get().(*hashState)
	defer h.pool.Put(s)
	text := s.text[:0]
	for _, p := range parts {
		text = binary.AppendUvarint(text, uint64(len(p)))
		text = append(text, p...)
	}
	s.mac.Reset()
	s.mac.Write(text)
	clear(text)
	s.text = text
	return MAC(s.mac.Sum(s.sum[:0])[:len(MAC{})])
}
