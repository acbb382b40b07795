package ldaptest

import (
	"context"
	"encoding/binary"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
)

// DNS is a DNS server in this process, with SRV records and an address for each of their
// targets: 127.0.0.1.
type DNS struct {
	addr string

	mu      sync.Mutex
	records map[string][]net.SRV
	fails   bool
	silent  bool
	asked   int
}

// NewDNS starts a server without records. It ends with the test.
func NewDNS(t testing.TB) *DNS {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &DNS{addr: c.LocalAddr().String(), records: make(map[string][]net.SRV)}
	var done sync.WaitGroup
	done.Go(func() {
		buf := make([]byte, 512)
		for {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			if answer := d.answer(buf[:n]); answer != nil {
				_, _ = c.WriteTo(answer, from)
			}
		}
	})
	t.Cleanup(func() {
		c.Close()
		done.Wait()
	})
	return d
}

// Resolver returns a resolver that asks this server alone.
func (d *DNS) Resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		var dialer net.Dialer
		return dialer.DialContext(ctx, network, d.addr)
	}}
}

// Set replaces the records of a name, in lower case and without the dot at its end.
func (d *DNS) Set(name string, records ...net.SRV) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.records[name] = slices.Clone(records)
}

// Fail makes the server answer SERVFAIL, or ends that.
func (d *DNS) Fail(fails bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fails = fails
}

// Silence makes the server answer nothing, or ends that.
func (d *DNS) Silence(silent bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.silent = silent
}

// Asked returns how often SRV records were asked for.
func (d *DNS) Asked() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.asked
}

// Types of records and response codes (RFC 1035, RFC 2782).
const (
	typeA, typeSRV     = 1, 33
	serverFailure      = 2
	nameError          = 3
	responseAuthorized = 0x8400
)

// answer returns the response to a query with one question (RFC 1035, section 4.1).
func (d *DNS) answer(query []byte) []byte {
	if len(query) < 12 {
		return nil
	}
	name, end := question(query)
	if end < 0 || end+4 > len(query) {
		return nil
	}
	kind := binary.BigEndian.Uint16(query[end:])
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.silent {
		return nil
	}
	records, known := d.records[name]
	var data [][]byte
	switch kind {
	case typeSRV:
		d.asked++
		for _, r := range records {
			one := binary.BigEndian.AppendUint16(nil, r.Priority)
			one = binary.BigEndian.AppendUint16(one, r.Weight)
			one = binary.BigEndian.AppendUint16(one, r.Port)
			data = append(data, appendName(one, r.Target))
		}
	case typeA:
		known, data = true, [][]byte{{127, 0, 0, 1}}
	default:
		known = true
	}
	code := uint16(responseAuthorized)
	switch {
	case d.fails:
		code, data = code|serverFailure, nil
	case !known:
		code |= nameError
	}
	out := append([]byte(nil), query[:2]...)
	for _, n := range []uint16{code, 1, uint16(len(data)), 0, 0} {
		out = binary.BigEndian.AppendUint16(out, n)
	}
	out = append(out, query[12:end+4]...)
	for _, one := range data {
		out = append(out, 0xc0, 12) // the name of the question
		out = binary.BigEndian.AppendUint16(out, kind)
		out = binary.BigEndian.AppendUint16(out, 1)
		out = binary.BigEndian.AppendUint32(out, 60)
		out = binary.BigEndian.AppendUint16(out, uint16(len(one)))
		out = append(out, one...)
	}
	return out
}

// question returns the name of the first question, and where it ends; -1 if it is malformed.
func question(query []byte) (name string, end int) {
	var labels []string
	at := 12
	for at < len(query) && query[at] != 0 {
		next := at + 1 + int(query[at])
		if next >= len(query) {
			return "", -1
		}
		labels = append(labels, strings.ToLower(string(query[at+1:next])))
		at = next
	}
	return strings.Join(labels, "."), at + 1
}

func appendName(out []byte, name string) []byte {
	for label := range strings.SplitSeq(strings.TrimSuffix(name, "."), ".") {
		out = append(append(out, byte(len(label))), label...)
	}
	return append(out, 0)
}
