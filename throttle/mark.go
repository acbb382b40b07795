package throttle

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"sync"
)

// Mark stands for a name or a secret where neither may be kept: the first half
// of an HMAC-SHA256 under a key that is not kept beside it.
type Mark [16]byte

// Marker makes marks under one key. It is safe for concurrent use.
type Marker struct {
	pool sync.Pool // of *markState, since setting a key up costs more than a mark
}

type markState struct {
	mac  hash.Hash
	text []byte // what is hashed; cleared after use, for it holds a secret
	sum  [sha256.Size]byte
}

// NewMarker returns a Marker of a secret key of at least 32 bytes.
func NewMarker(key []byte) *Marker {
	m := new(Marker)
	m.pool.New = func() any { return &markState{mac: hmac.New(sha256.New, key)} }
	return m
}

// Mark returns the mark of parts in this order. Each part goes in with its
// length, so that no two lists of parts look alike.
func (m *Marker) Mark(parts ...string) Mark {
	s := m.pool.Get().(*markState)
	defer m.pool.Put(s)
	text := s.text[:0]
	for _, p := range parts {
		text = binary.AppendUvarint(text, uint64(len(p)))
		text = append(text, p...)
	}
	s.mac.Reset()
	s.mac.Write(text)
	clear(text)
	s.text = text
	return Mark(s.mac.Sum(s.sum[:0])[:len(Mark{})])
}
