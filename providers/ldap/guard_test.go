package ldap

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
	ldap "github.com/go-ldap/ldap/v3"

	"shorepass/providers/ldap/ldaptest"
)

// berElement returns an element whose length has four bytes, as Active Directory writes
// it.
func berElement(identifier byte, content ...[]byte) []byte {
	all := bytes.Join(content, nil)
	n := len(all)
	return append([]byte{identifier, 0x84, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}, all...)
}

// nestedElement returns an element with this depth.
func nestedElement(depth int) []byte {
	inner := []byte{0x04, 0x00}
	for range depth - 1 {
		inner = berElement(0x30, inner)
	}
	return inner
}

// bindSuccess is a successful bind response to message 1.
const bindSuccess = "\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00"

var (
	messageID = []byte{0x02, 0x01, 0x00} // of an unsolicited message
	oid       = berElement(0x04, []byte("1.3.6.1.4.1.42.2.27.8.5.1"))
)

// TestResponseLimits: reads fail beyond the limits on bytes, elements, depth and form, in
// whichever chunks the bytes arrive.
func TestResponseLimits(t *testing.T) {
	for _, test := range []struct {
		name string
		sent []byte
		most readLimit
		want error
	}{
		{"a response", []byte(bindSuccess), unsolicited, nil},
		{"a notice of disconnection", berElement(0x30, messageID, berElement(0x78, []byte{0x0a, 0x01, 0x34, 0x04, 0x00, 0x04, 0x00}, berElement(0x8a, []byte("1.3.6.1.4.1.1466.20036")))), unsolicited, nil},
		{"4 KiB between operations", berElement(0x30, messageID, berElement(0x04, make([]byte, 4096-6-3-6))), unsolicited, nil},
		{"4 KiB and a byte between operations", berElement(0x30, messageID, berElement(0x04, make([]byte, 4096-6-3-6+1))), unsolicited, errTooMuch},
		{"too many bytes in small messages", bytes.Repeat([]byte(bindSuccess), 300), unsolicited, errTooMuch},
		{"an entry of 4 MiB", berElement(0x30, messageID, berElement(0x04, make([]byte, 4<<20-15))), longResponse, nil},
		{"an entry above 4 MiB", berElement(0x30, messageID, berElement(0x04, make([]byte, 4<<20))), longResponse, errTooMuch},
		{"too many elements of two bytes", berElement(0x30, messageID, berElement(0x64, bytes.Repeat([]byte{0x04, 0x00}, 1<<17))), longResponse, errTooMuch},
		{"too many empty sequences", berElement(0x30, messageID, berElement(0x64, bytes.Repeat([]byte{0x30, 0x00}, 1<<17))), longResponse, errTooMuch},
		{"too many empty messages", bytes.Repeat([]byte("\x30\x00"), 1<<17+1), longResponse, errTooMuch},
		{"10,000 groups", bytes.Repeat(berElement(0x30, messageID, berElement(0x64, berElement(0x04, []byte("cn=a group with a rather long name,ou=groups of the department,dc=corp,dc=example")),
			berElement(0x30, berElement(0x30, berElement(0x04, []byte("cn")), berElement(0x31, berElement(0x04, []byte("a group with a rather long name"))))))), 10_000), longResponse, nil},
		{"depth 8", nestedElement(8), longResponse, nil},
		{"depth 9", nestedElement(9), longResponse, errTooMuch},
		{"depth 1000", nestedElement(1000), longResponse, errTooMuch},
		{"64 KiB of controls", berElement(0x30, messageID, []byte{0x61, 0x00}, berElement(0xa0, berElement(0x30, oid, berElement(0x04, make([]byte, 64<<10-43))))), longResponse, nil},
		{"controls above 64 KiB", berElement(0x30, messageID, []byte{0x61, 0x00}, berElement(0xa0, berElement(0x30, oid, berElement(0x04, make([]byte, 64<<10))))), longResponse, errTooMuch},
		{"many small controls above 64 KiB", berElement(0x30, messageID, []byte{0x61, 0x00}, berElement(0xa0, bytes.Repeat(berElement(0x30, oid), 2000))), longResponse, errTooMuch},
		{"a length of eight bytes", []byte("\x30\x88\x00\x00\x00\x00\x00\x00\x00\x03\x02\x01\x00"), unsolicited, nil},
		{"a length of nine bytes", []byte("\x30\x89\x00\x00\x00\x00\x00\x00\x00\x00\x03\x02\x01\x00"), unsolicited, errMalformed},
		{"a length of exabytes", []byte("\x30\x88\x7f\xff\xff\xff\xff\xff\xff\xff\x02\x01\x00"), unsolicited, errTooMuch},
		{"a length that overflows", []byte("\x30\x88\xff\xff\xff\xff\xff\xff\xff\xff\x02\x01\x00"), unsolicited, errTooMuch},
		{"the indefinite length", []byte("\x30\x80\x02\x01\x00\x00\x00"), unsolicited, errMalformed},
		{"an element longer than its message", []byte("\x30\x05\x02\x01\x00\x61\x07\x0a"), unsolicited, errMalformed},
		{"a tag in several bytes", []byte("\x30\x05\x1f\x81\x01\x01\x00"), unsolicited, errMalformed},
		{"another protocol", []byte("HTTP/1.1 400 Bad Request\r\n\r\n"), unsolicited, errMalformed},
	} {
		for _, chunk := range []int{1, 7, 4096, len(test.sent)} {
			g := &guard{Conn: chunkedConn{bytes.NewReader(test.sent), chunk}, left: test.most}
			_, err := io.Copy(io.Discard, struct{ io.Reader }{g})
			if !errors.Is(err, test.want) || test.want == nil && (err != nil || len(g.scanner.open) != 0 || g.scanner.content != 0 || len(g.scanner.header) != 0) {
				t.Errorf("%s, %d bytes at a time: %v, %+v, want %v", test.name, chunk, err, g.scanner, test.want)
			}
		}
	}
}

// chunkedConn is a connection that returns at most chunk bytes per read.
type chunkedConn struct {
	io.Reader
	chunk int
}

func (o chunkedConn) Read(b []byte) (int, error)     { return o.Reader.Read(b[:min(len(b), o.chunk)]) }
func (o chunkedConn) Write(b []byte) (int, error)    { return len(b), nil }
func (chunkedConn) Close() error                     { return nil }
func (chunkedConn) LocalAddr() net.Addr              { return nil }
func (chunkedConn) RemoteAddr() net.Addr             { return nil }
func (chunkedConn) SetDeadline(time.Time) error      { return nil }
func (chunkedConn) SetReadDeadline(time.Time) error  { return nil }
func (chunkedConn) SetWriteDeadline(time.Time) error { return nil }

// TestScannerCountsElements: the scanner counts the elements that the library's encoder
// wrote.
func TestScannerCountsElements(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var build func(depth int) (*ber.Packet, int)
	build = func(depth int) (*ber.Packet, int) {
		if depth == maxNesting || depth > 1 && random.IntN(3) == 0 {
			return ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, strings.Repeat("x", random.IntN(300)), ""), 1
		}
		p, n := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSequence, nil, ""), 1
		for range random.IntN(5) {
			child, more := build(depth + 1)
			p.AppendChild(child)
			n += more
		}
		return p, n
	}
	for range 300 {
		p, want := build(1)
		s, got := berScanner{}, 0
		for sent := p.Bytes(); len(sent) > 0; {
			n := 1 + random.IntN(len(sent))
			elements, err := s.scan(sent[:n])
			if err != nil {
				t.Fatalf("scan: %v of %x", err, p.Bytes())
			}
			got, sent = got+elements, sent[n:]
		}
		if got != want || len(s.open) != 0 {
			t.Fatalf("scan found %d elements and %d open ones of %x, want %d and none", got, len(s.open), p.Bytes(), want)
		}
	}
}

// TestUnsolicitedMessages: a directory that sends more than a notice loses the
// connection, and the bytes take little memory: without a limit 31 MiB of elements took
// 4 GB.
func TestUnsolicitedMessages(t *testing.T) {
	for _, test := range []struct {
		name string
		sent []byte
	}{
		{"elements of two bytes", berElement(0x30, messageID, berElement(0x78, bytes.Repeat([]byte{0x04, 0x00}, 31<<19)))},
		{"elements of three bytes", berElement(0x30, messageID, berElement(0x78, bytes.Repeat([]byte{0x04, 0x01, 0x00}, 1<<20)))},
		{"empty sequences", berElement(0x30, messageID, berElement(0x78, bytes.Repeat([]byte{0x30, 0x00}, 31<<19)))},
		{"a text", berElement(0x30, messageID, berElement(0x04, make([]byte, 31<<20)))},
		{"deep elements", bytes.Repeat(nestedElement(900), 1000)},
		{"controls", berElement(0x30, messageID, []byte{0x78, 0x00}, berElement(0xa0, bytes.Repeat(berElement(0x30, oid, berElement(0x04, bytes.Repeat([]byte{0x04, 0x00}, 1000))), 1000)))},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := ldaptest.NewFake(t, func(r ldaptest.Request) ldaptest.Answer {
				if r.DN == "cn=svc,dc=x" {
					return ldaptest.Answer{Raw: append([]byte(bindSuccess), test.sent...)}
				}
				return ldaptest.Answer{}
			})
			d := newTestDirectory(t, f)
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			sent := len(test.sent) // copied once by the fake
			d.search.warm(t.Context())
			for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
				if open, ever := f.Connections(); ever == 1 && open == 0 {
					break
				}
				if time.Now().After(deadline) {
					t.Fatal("the connection stays open")
				}
			}
			runtime.ReadMemStats(&after)
			if took := int64(after.TotalAlloc-before.TotalAlloc) - int64(sent); took > 4<<20 {
				t.Errorf("%d bytes took %d bytes of memory, want at most 4 MiB", sent, took)
			}
		})
	}
}

// TestLongResponses: a response beyond the limits is an error, of each kind, and takes a
// bounded amount of memory.
func TestLongResponses(t *testing.T) {
	uris := func(n int) []byte { return berElement(0xa3, bytes.Repeat(berElement(0x04, []byte("ldap://x/")), n)) }
	done := func(more ...[]byte) []byte {
		return berElement(0x30, []byte{0x02, 0x01, 0x02}, berElement(0x65, append([][]byte{{0x0a, 0x01, 0x0a, 0x04, 0x00, 0x04, 0x00}}, more...)...))
	}
	entry := func(attributes ...[]byte) []byte {
		return berElement(0x30, []byte{0x02, 0x01, 0x02}, berElement(0x64, []byte{0x04, 0x00}, berElement(0x30, attributes...)))
	}
	attribute := berElement(0x30, berElement(0x04, []byte("a")), berElement(0x31, berElement(0x04, []byte("b"))))
	for _, test := range []struct {
		name string
		sent []byte
	}{
		{"values of two bytes", entry(berElement(0x30, berElement(0x04, []byte("a")), berElement(0x31, bytes.Repeat([]byte{0x04, 0x00}, 2_000_000))))},
		{"values of three bytes", entry(berElement(0x30, berElement(0x04, []byte("a")), berElement(0x31, bytes.Repeat([]byte{0x04, 0x01, 0x62}, 1_300_000))))},
		{"attributes", entry(bytes.Repeat(attribute, 100_000))},
		{"entries", bytes.Repeat(entry(), 1_000_000)},
		{"referrals", done(uris(300_000))},
		{"references", bytes.Repeat(berElement(0x30, []byte{0x02, 0x01, 0x02}, berElement(0x73, berElement(0x04, []byte("ldap://x/")))), 1_000_000)},
		{"a message", berElement(0x30, []byte{0x02, 0x01, 0x02}, berElement(0x65, []byte{0x0a, 0x01, 0x01, 0x04, 0x00}, berElement(0x04, bytes.Repeat([]byte("x"), 31<<20))))},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := ldaptest.NewFake(t, func(r ldaptest.Request) ldaptest.Answer {
				if r.Operation == ldap.ApplicationSearchRequest && r.DN == "dc=x" {
					return ldaptest.Answer{Raw: test.sent}
				}
				return ldaptest.Answer{}
			})
			d := newTestDirectory(t, f)
			d.search.warm(t.Context())
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			if _, err := d.find(t.Context(), query{base: "dc=x", filter: "(uid=a)"}); err == nil {
				t.Error("find returned a result, want an error")
			}
			runtime.ReadMemStats(&after)
			took := int64(after.TotalAlloc - before.TotalAlloc)
			t.Logf("%d bytes took %d MiB", len(test.sent), took>>20)
			if took > 512<<20 {
				t.Errorf("%d bytes took %d bytes of memory in all, want at most 512 MiB", len(test.sent), took)
			}
		})
	}
}

// FuzzScanner: the result of a scan does not depend on the chunks in which bytes arrive,
// and the library's decoder finds the same elements.
func FuzzScanner(f *testing.F) {
	f.Add([]byte(bindSuccess), uint8(1))
	f.Add(nestedElement(9), uint8(3))
	f.Add([]byte("\x30\x80\x02\x01\x00\x00\x00"), uint8(2))
	f.Add(berElement(0x30, messageID, []byte{0x61, 0x00}, berElement(0xa0, berElement(0x30, oid))), uint8(5))
	f.Fuzz(func(t *testing.T, sent []byte, chunk uint8) {
		var whole berScanner
		want, wantErr := whole.scan(sent)
		var parts berScanner
		got, gotErr := 0, error(nil)
		for rest := sent; len(rest) > 0 && gotErr == nil; {
			n := min(len(rest), 1+int(chunk))
			var more int
			more, gotErr = parts.scan(rest[:n])
			got, rest = got+more, rest[n:]
		}
		if got != want || !errors.Is(gotErr, wantErr) {
			t.Fatalf("%x in parts of %d: %d elements, %v; in one: %d, %v", sent, 1+int(chunk), got, gotErr, want, wantErr)
		}
		if wantErr != nil || len(whole.open) > 0 || whole.content > 0 || len(whole.header) > 0 || len(sent) == 0 {
			return
		}
		elements := 0
		var count func(p *ber.Packet)
		count = func(p *ber.Packet) {
			elements++
			for _, child := range p.Children {
				count(child)
			}
		}
		for in := bytes.NewReader(sent); in.Len() > 0; {
			p, err := ber.ReadPacket(in)
			if err != nil {
				return // a malformed value; the scanner checks only the structure
			}
			count(p)
		}
		if elements != want {
			t.Fatalf("%x is %d elements, want the library's %d", sent, want, elements)
		}
	})
}
