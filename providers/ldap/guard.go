package ldap

import (
	"errors"
	"net"
	"sync"
)

// readLimit is what a server may send, in bytes and in BER elements. An element of
// two bytes takes 260 bytes of memory once the library has read it, and one with
// content some 800, so that bytes alone bound nothing.
type readLimit struct{ bytes, elements int }

// The allowances between two operations (a server sends nothing then but that it
// closes the connection; RFC 4511, section 4.4), for a request that has one short
// answer, and for a search.
var (
	unsolicited   = readLimit{4 << 10, 1 << 10}
	shortResponse = readLimit{64 << 10, 4 << 10}
	longResponse  = readLimit{4 << 20, 1 << 17}
)

// More bounds of one message.
const (
	// maxNesting is how deep elements nest: a value of an attribute of an entry is
	// six deep. The library copies the content of an element once a level.
	maxNesting = 8

	// maxControls bounds the controls of one message, in bytes: the library
	// decodes their values once more.
	maxControls = 64 << 10
)

var (
	errTooMuch   = errors.New("the directory sends more than an answer can be")
	errMalformed = errors.New("the directory's answer cannot be read")
)

// guard is a connection's clear bytes, above TLS and beneath the library, which
// reads an element whole and however many there are. It follows the structure of
// the messages (BER with the restrictions of RFC 4511, section 5.1) and fails the
// read that exceeds the allowance, before the library sees it.
type guard struct {
	net.Conn

	mu      sync.Mutex
	left    readLimit
	scanner berScanner
	err     error // the first error since begin, of a read or write
}

func newGuard(c net.Conn) *guard { return &guard{Conn: c, left: unsolicited} }

// begin sets what the server may send during an operation.
func (g *guard) begin(a readLimit) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.left, g.err = a, nil
}

// end sets what the server may send until the next operation.
func (g *guard) end() { g.begin(unsolicited) }

// firstError returns the first error of a read or write since begin, or nil.
func (g *guard) firstError() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.err
}

func (g *guard) Write(b []byte) (int, error) {
	n, err := g.Conn.Write(b)
	g.recordError(err)
	return n, err
}

func (g *guard) Read(b []byte) (int, error) {
	n, err := g.Conn.Read(b)
	if bad := g.deduct(b[:n]); bad != nil {
		n, err = 0, bad
	}
	g.recordError(err)
	return n, err
}

func (g *guard) recordError(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err == nil {
		g.err = err
	}
}

// deduct deducts what was received from the allowance.
func (g *guard) deduct(b []byte) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.left.bytes -= len(b); g.left.bytes < 0 {
		return errTooMuch
	}
	elements, err := g.scanner.scan(b)
	if err != nil {
		return err
	}
	if g.left.elements -= elements; g.left.elements < 0 {
		return errTooMuch
	}
	return nil
}

// berScanner is where a stream of messages has got to.
type berScanner struct {
	open    []int  // bytes left of each element around the next byte, the outermost first
	content int    // bytes left of the content of an element without elements in it
	header  []byte // of the next element, as far as it came
}

const (
	constructed   = 0x20    // the bit of an identifier
	highTag       = 0x1f    // an identifier that has no room for its tag; LDAP has none
	sequence      = 0x30    // a message
	controls      = 0xa0    // of a message: [0]
	longLength    = 0x80    // the bit of a length that is followed by its bytes
	maxLengthSize = 8       // bytes of such a length, zeros at its front included
	maxLength     = 4 << 20 // of any element
)

// scan reads on, and returns how many elements began.
func (s *berScanner) scan(b []byte) (elements int, err error) {
	for len(b) > 0 {
		if s.content > 0 {
			n := min(s.content, len(b))
			s.content -= n
			s.consume(n)
			b = b[n:]
			continue
		}
		s.header = append(s.header, b[0])
		b = b[1:]
		length, whole, err := s.headerLength()
		if err != nil {
			return elements, err
		}
		if !whole {
			continue
		}
		elements++
		if err := s.beginElement(length); err != nil {
			return elements, err
		}
	}
	return elements, nil
}

// headerLength returns the length of the element whose header is at hand, if that is
// whole. The indefinite form is not LDAP's.
func (s *berScanner) headerLength() (n int, whole bool, err error) {
	h := s.header
	if h[0]&highTag == highTag || len(s.open) == 0 && h[0] != sequence {
		return 0, false, errMalformed
	}
	if len(h) < 2 {
		return 0, false, nil
	}
	if h[1]&longLength == 0 {
		return int(h[1]), true, nil
	}
	size := int(h[1] &^ longLength)
	if size == 0 || size > maxLengthSize {
		return 0, false, errMalformed
	}
	if len(h) < 2+size {
		return 0, false, nil
	}
	for _, b := range h[2:] {
		if n = n<<8 | int(b); n > maxLength {
			return 0, false, errTooMuch
		}
	}
	return n, true, nil
}

// beginElement begins the element whose header is at hand.
func (s *berScanner) beginElement(length int) error {
	identifier, size := s.header[0], len(s.header)
	s.header = s.header[:0]
	depth := len(s.open)
	switch {
	case depth > 0 && size+length > s.open[depth-1]:
		return errMalformed // longer than what it is in
	case depth == maxNesting, depth == 1 && identifier == controls && length > maxControls:
		return errTooMuch
	}
	s.consume(size)
	switch {
	case identifier&constructed == 0:
		s.content = length
	case length > 0:
		s.open = append(s.open, length)
	}
	return nil
}

// consume deducts bytes from the elements around them, and ends those of which
// nothing is left.
func (s *berScanner) consume(n int) {
	for i := range s.open {
		s.open[i] -= n
	}
	for len(s.open) > 0 && s.open[len(s.open)-1] == 0 {
		s.open = s.open[:len(s.open)-1]
	}
}
