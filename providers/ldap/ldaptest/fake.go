package ldaptest

import (
	"bufio"
	"net"
	"sync"
	"testing"

	ber "github.com/go-asn1-ber/asn1-ber"
	ldap "github.com/go-ldap/ldap/v3"
)

// Request is a request that a [Fake] received.
type Request struct {
	Operation  int // ldap.ApplicationBindRequest and so on
	DN         string
	Password   string   // of a bind
	Filter     string   // of a search
	TimeLimit  int64    // of a search, in seconds
	Attributes []string // of a search
	Controls   []string // the object identifiers of its controls
}

// Answer is how a [Fake] answers a request. The zero Answer is success.
type Answer struct {
	Entries    []FakeEntry // of a search, before the result
	References []string    // of a search: URLs of other servers
	Code       uint16      // the result code
	Message    string      // the diagnostic message
	Referral   []string    // URLs in the result
	Value      string      // the value of an extended response

	Raw     []byte // these bytes instead of a result
	Hangup  bool   // close the connection, after Raw or without an answer
	Silence bool   // no answer
}

// FakeEntry is an entry in the answer to a search.
type FakeEntry struct {
	DN         string
	Attributes Attributes
}

// Fake is a directory in this process that answers as the test says, also in ways that
// no real server does. It does not use TLS.
type Fake struct {
	URL string

	listener net.Listener
	answer   func(Request) Answer
	done     sync.WaitGroup

	mu       sync.Mutex
	closed   bool
	conns    map[net.Conn]bool
	ever     int
	requests []Request
}

// NewFake starts a directory. answer is called for each request, concurrently for
// several connections. The directory ends with the test.
func NewFake(t testing.TB, answer func(Request) Answer) *Fake {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &Fake{URL: "ldap://" + l.Addr().String(), listener: l, answer: answer, conns: make(map[net.Conn]bool)}
	f.done.Go(f.accept)
	t.Cleanup(func() {
		f.mu.Lock()
		f.closed = true
		f.mu.Unlock()
		l.Close()
		f.HangUp()
		f.done.Wait()
	})
	return f
}

// HangUp closes all open connections.
func (f *Fake) HangUp() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.conns {
		c.Close()
	}
}

// Requests returns the requests received so far.
func (f *Fake) Requests() []Request {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]Request(nil), f.requests...)
}

// Connections returns the number of open connections, and of all ever accepted.
func (f *Fake) Connections() (open, ever int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.conns), f.ever
}

func (f *Fake) accept() {
	for {
		c, err := f.listener.Accept()
		if err != nil {
			return
		}
		f.mu.Lock()
		if f.closed {
			f.mu.Unlock()
			c.Close()
			return
		}
		f.conns[c] = true
		f.ever++
		f.mu.Unlock()
		f.done.Go(func() {
			f.serve(c)
			f.mu.Lock()
			delete(f.conns, c)
			f.mu.Unlock()
		})
	}
}

func (f *Fake) serve(c net.Conn) {
	defer c.Close()
	in := bufio.NewReader(c)
	for {
		packet, err := ber.ReadPacket(in)
		if err != nil || len(packet.Children) < 2 {
			return
		}
		id, _ := packet.Children[0].Value.(int64)
		r := parseRequest(packet.Children[1])
		if len(packet.Children) > 2 {
			for _, control := range packet.Children[2].Children {
				r.Controls = append(r.Controls, string(control.Children[0].ByteValue))
			}
		}
		f.mu.Lock()
		f.requests = append(f.requests, r)
		f.mu.Unlock()
		if r.Operation == ldap.ApplicationUnbindRequest {
			return
		}
		a := f.answer(r)
		if !a.Silence {
			if _, err := c.Write(a.encode(id, r.Operation)); err != nil {
				return
			}
		}
		if a.Hangup {
			return
		}
	}
}

func parseRequest(p *ber.Packet) Request {
	r := Request{Operation: int(p.Tag)}
	text := func(i int) string {
		if i >= len(p.Children) {
			return ""
		}
		return string(p.Children[i].ByteValue)
	}
	switch r.Operation {
	case ldap.ApplicationBindRequest:
		r.DN = text(1)
		if len(p.Children) > 2 {
			r.Password = p.Children[2].Data.String()
		}
	case ldap.ApplicationSearchRequest:
		r.DN = text(0)
		if len(p.Children) > 7 {
			r.TimeLimit, _ = p.Children[4].Value.(int64)
			r.Filter, _ = ldap.DecompileFilter(p.Children[6])
			for _, a := range p.Children[7].Children {
				r.Attributes = append(r.Attributes, string(a.ByteValue))
			}
		}
	}
	return r
}

func (a Answer) encode(id int64, operation int) []byte {
	if a.Raw != nil || a.Hangup {
		return a.Raw
	}
	var out []byte
	for _, e := range a.Entries {
		out = append(out, message(id, e.encode())...)
	}
	for _, url := range a.References {
		p := ber.Encode(ber.ClassApplication, ber.TypeConstructed, ldap.ApplicationSearchResultReference, nil, "")
		p.AppendChild(octets(url))
		out = append(out, message(id, p)...)
	}
	tag := map[int]ber.Tag{
		ldap.ApplicationBindRequest:     ldap.ApplicationBindResponse,
		ldap.ApplicationSearchRequest:   ldap.ApplicationSearchResultDone,
		ldap.ApplicationExtendedRequest: ldap.ApplicationExtendedResponse,
	}[operation]
	p := ber.Encode(ber.ClassApplication, ber.TypeConstructed, tag, nil, "")
	p.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagEnumerated, int64(a.Code), ""))
	p.AppendChild(octets(""))
	p.AppendChild(octets(a.Message))
	if len(a.Referral) > 0 {
		referral := ber.Encode(ber.ClassContext, ber.TypeConstructed, 3, nil, "")
		for _, url := range a.Referral {
			referral.AppendChild(octets(url))
		}
		p.AppendChild(referral)
	}
	if a.Value != "" {
		p.AppendChild(ber.NewString(ber.ClassContext, ber.TypePrimitive, 11, a.Value, ""))
	}
	return append(out, message(id, p)...)
}

func (e FakeEntry) encode() *ber.Packet {
	p := ber.Encode(ber.ClassApplication, ber.TypeConstructed, ldap.ApplicationSearchResultEntry, nil, "")
	p.AppendChild(octets(e.DN))
	list := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSequence, nil, "")
	for name, values := range e.Attributes {
		one := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSequence, nil, "")
		one.AppendChild(octets(name))
		set := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSet, nil, "")
		for _, v := range values {
			set.AppendChild(octets(v))
		}
		one.AppendChild(set)
		list.AppendChild(one)
	}
	p.AppendChild(list)
	return p
}

func message(id int64, operation *ber.Packet) []byte {
	p := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSequence, nil, "")
	p.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, id, ""))
	p.AppendChild(operation)
	return p.Bytes()
}

func octets(text string) *ber.Packet {
	return ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, text, "")
}
