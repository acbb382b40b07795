package server

import (
	"net"
	"net/netip"
	"testing"
)

// peerConn is a connection with a remote address and nothing else.
type peerConn struct {
	net.Conn
	addr string
}

func (c peerConn) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(c.addr))
}

// TestLongHeadsAreSharedByAddress: long heads of one address, however many, leave
// budget for other addresses. A trusted proxy, which has many clients, may use
// the whole budget.
func TestLongHeadsAreSharedByAddress(t *testing.T) {
	const proxy = "192.0.2.200:1"
	newHeads := func() *headLimiter {
		l := newHeadListener(nil, func(peer netip.Addr) bool { return peer.String() != "192.0.2.200" })
		return l.limiter
	}
	// fill begins long heads of an address until one is refused.
	fill := func(h *headLimiter, addr string) (begun []*headConn) {
		for len(begun) < 1000 {
			c := &headConn{Conn: peerConn{addr: addr}, limiter: h}
			if !h.acquire(c) {
				break
			}
			begun = append(begun, c)
		}
		return begun
	}
	const all = headBudget / headStep
	for _, test := range []struct {
		name   string
		others []string // each acquires all that it can, one after the other
		addr   string
		least  int // long heads that addr can begin
		most   int
	}{
		{"alone", nil, "192.0.2.1:1", all / 2, all/2 + 1},
		{"after one that acquired its share", []string{"192.0.2.1:1"}, "192.0.2.2:1", all / 4, all / 4},
		{"after five", []string{"192.0.2.1:1", "192.0.2.2:1", "192.0.2.3:1", "192.0.2.4:1", "192.0.2.5:1"}, "192.0.2.6:1", 1, all / 16},
		{"another port of the same address", []string{"192.0.2.1:1"}, "192.0.2.1:2", 0, 0},
		{"a neighbour in the same /64", []string{"[2001:db8::1]:1"}, "[2001:db8::2]:1", 0, 0},
		{"another /64", []string{"[2001:db8::1]:1"}, "[2001:db8:0:1::2]:1", all / 4, all / 4},
		{"a trusted proxy", []string{"192.0.2.1:1"}, proxy, all / 2, all / 2},
	} {
		h := newHeads()
		var begun []*headConn
		for _, other := range test.others {
			begun = append(begun, fill(h, other)...)
		}
		mine := fill(h, test.addr)
		if len(mine) < test.least || len(mine) > test.most {
			t.Errorf("%s: %d concurrent long heads, want %d to %d", test.name, len(mine), test.least, test.most)
		}
		for _, c := range append(begun, mine...) {
			c.endHead()
		}
		if h.left != headBudget || len(h.held) != 0 || h.reserve != nil {
			t.Errorf("%s: after all of them %d of %d are left, charged to %v", test.name, h.left, headBudget, h.held)
		}
	}

	// One head that exceeds its address's share gets the reserve.
	h := newHeads()
	c := &headConn{Conn: peerConn{addr: "192.0.2.1:1"}, limiter: h}
	n := 0
	for h.acquire(c) {
		n++
	}
	if want := (headBudget/2 + headReserve) / headStep; n != want {
		t.Errorf("one head takes %d steps, want %d", n, want)
	}
}
