package ldap

import (
	"errors"
	"net"
	"sync"
)

// readLimit bounds what a server may send, in bytes and in BER elements. Bytes alone
// are no bound on memory: the library needs 260 bytes for an element of two bytes,
// and some 800 for one with content.
type readLimit struct{ bytes, elements int }

// The read limits between two operations (a server then sends nothing but a notice
// of disconnection; RFC 4511, section 4.4), for a request with one short response,
// and for a search.
var (
	unsolicited   = readLimit{4 << 10, 1 << 10}
	shortResponse = readLimit{64 << 10, 4 << 10}
	longResponse  = readLimit{4 << 20, 1 << 17}
)

// Limits of one message.
const (
	// maxNesting is the depth of nested elements. A value of an entry's attribute
	// has depth six. The library copies an element's content once per level.
	maxNesting = 8

	// maxControls is the size of the controls in bytes. The library decodes their
	// values a second time.
	maxControls = 64 << 10
)

var (
	errTooMuch   = errors.New("the directory's answer is too large or too deeply nested")
	errMalformed = errors.New("the directory's answer cannot be read")
)

// guard is a connection that enforces read limits, above TLS and below the library,
// which would read any number of elements of any size. It scans the structure of
// the messages (BER with the restrictions of RFC 4511, section 5.1), and fails the
// read that exceeds the limit before the library sees the bytes.
type guard struct {
	net.Conn

	mu      sync.Mutex
	left    readLimit // of the current operation
	scanner berScanner
	err     error // the first error of a read or write since begin
}

func newGuard(c net.Conn) *guard { return &guard{Conn: c, left: unsolicited} }

// begin sets the read limit of an operation.
func (g *guard) begin(limit readLimit) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.left, g.err = limit, nil
}

// end sets the read limit until the next operation.
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

// deduct subtracts the received bytes and their elements from what is left of the
// limit.
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

// berScanner is an incremental scanner of the BER structure of a message stream.
type berScanner struct {
	open    []int  // bytes left of each open constructed element, outermost first
	content int    // bytes left of the current primitive element's content
	header  []byte // the part received of the next element's header
}

const (
	constructed   = 0x20    // identifier bit: the content is elements
	highTag       = 0x1f    // identifier bits: the tag is in further bytes, which LDAP does not use
	sequence      = 0x30    // identifier of a message
	controls      = 0xa0    // identifier of a message's controls, [0]
	longLength    = 0x80    // length bit: the length is in further bytes
	maxLengthSize = 8       // further bytes, leading zeros included
	maxLength     = 4 << 20 // of any element
)

// scan reads the next bytes and returns how many elements began in them.
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

// headerLength returns the content length of the element whose header is being read,
// once the header is whole. LDAP does not use the indefinite form.
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

// beginElement opens the element whose header was read.
func (s *berScanner) beginElement(length int) error {
	identifier, size := s.header[0], len(s.header)
	s.header = s.header[:0]
	depth := len(s.open)
	switch {
	case depth > 0 && size+length > s.open[depth-1]:
		return errMalformed // longer than the element around it
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

// consume subtracts n bytes from the open elements and closes those with none left.
func (s *berScanner) consume(n int) {
	for i := range s.open {
		s.open[i] -= n
	}
	for len(s.open) > 0 && s.open[len(s.open)-1] == 0 {
		s.open = s.open[:len(s.open)-1]
	}
}
