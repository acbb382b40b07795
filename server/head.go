package server

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"sync"
)

const (
	// freeHead is what everybody may send at once before a request's body:
	// the handshake, where there is one, and the head. No client sends as much
	// with a password or a token of ours.
	freeHead = 16 << 10

	// headBudget is what all connections together may send beyond that, in
	// bytes, and headStep how much of it one takes at a time. A head of tiny
	// fields takes forty times its length once it is parsed, so that a few of
	// maxHeaderBytes would fill the memory; of heads of 80 KiB thirty-two fit in
	// here. Each is held for as long as its sender has (readHeaderLimit) and its
	// answer takes.
	headBudget = 2 << 20
	headStep   = 16 << 10

	// headReserve is for one head that is too long for its address's share, so
	// that a client which sends by far too much is told so.
	headReserve = 3 << 19
)

var errTooManyLongHeads = errors.New("too many long heads are being read at once")

// headListener meters the heads of requests on its connections, as [body]
// does their bodies. It stands below TLS: what a handshake says is kept too.
type headListener struct {
	net.Listener
	limiter *headLimiter
}

// newHeadListener returns a listener whose connections share one budget. shares
// reports whether an address has a share of it; one that stands for many clients,
// a trusted proxy, has no limit but the budget.
func newHeadListener(l net.Listener, shares func(netip.Addr) bool) headListener {
	return headListener{l, &headLimiter{shares: shares, left: headBudget, held: make(map[netip.Prefix]int)}}
}

func (l headListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &headConn{Conn: c, limiter: l.limiter, left: freeHead}, nil
}

// headLimiter is the budget of all long heads, shared by address with a dynamic
// threshold: an address holds at most as much as is left for all others, so that
// none can use it up.
type headLimiter struct {
	shares func(netip.Addr) bool

	mu      sync.Mutex
	left    int                  // of headBudget
	held    map[netip.Prefix]int // by the addresses that hold some of it
	reserve *headConn            // whose head has the reserve; nil while it is free
}

// acquire lets a connection read a step more of its head, and reports whether it
// may.
func (h *headLimiter) acquire(c *headConn) bool {
	peer := addressOf(c.RemoteAddr())
	from, shares := addressGroup(peer), h.shares(peer)
	h.mu.Lock()
	defer h.mu.Unlock()
	shared := h.left >= headStep && (!shares || h.held[from]+headStep <= h.left-headStep)
	switch {
	case shared && h.reserve != c:
		h.left -= headStep
		h.held[from] += headStep
		c.held += headStep
		return true
	case h.reserve == nil, h.reserve == c && c.reserved < headReserve:
		h.reserve = c
		c.reserved += headStep
		return true
	}
	return false
}

// release takes back what the head of a connection held.
func (h *headLimiter) release(c *headConn) {
	from := addressGroup(addressOf(c.RemoteAddr()))
	h.mu.Lock()
	defer h.mu.Unlock()
	h.left += c.held
	if h.held[from] -= c.held; h.held[from] <= 0 {
		delete(h.held, from)
	}
	if h.reserve == c {
		h.reserve = nil
	}
	c.held, c.reserved = 0, 0
}

// addressOf returns the address of a peer, or the zero Addr.
func addressOf(peer net.Addr) netip.Addr {
	port, _ := netip.ParseAddrPort(peer.String()) // what does not parse is unknown
	return port.Addr().Unmap().WithZone("")
}

// addressGroup returns the network of an address whose clients count as one: of IPv6
// a /64.
func addressGroup(addr netip.Addr) netip.Prefix {
	place, _ := addr.Prefix(min(addr.BitLen(), 64)) // fails only for an address that is unknown
	return place
}

// headConn is a connection on which a head may be long only if not too many
// others are; else the connection ends. net/http reads a connection and tells
// its states in turn and never at once, so that only heads is shared.
type headConn struct {
	net.Conn
	limiter  *headLimiter
	held     int  // of the budget
	reserved int  // of the reserve
	left     int  // may still be read of this head
	inBody   bool // what comes now is no head
}

func (c *headConn) Read(p []byte) (int, error) {
	if c.inBody {
		return c.Conn.Read(p)
	}
	if c.left == 0 && !c.limiter.acquire(c) {
		// Closed, and not only refused: net/http would take half a line for a
		// whole one, and read on behind it. Nothing is answered: who floods a
		// server does not read.
		c.Conn.Close()
		return 0, &net.OpError{Op: "read", Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: errTooManyLongHeads}
	}
	if c.left == 0 {
		c.left = headStep
	}
	n, err := c.Conn.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, err
}

// endHead gives back what the head took, and lets the next one begin.
func (c *headConn) endHead() {
	if c.held+c.reserved > 0 {
		c.limiter.release(c)
	}
	c.left, c.inBody = freeHead, false
}

// CloseWrite lets net/http end its half, so that a client which is still
// sending reads the answer that stops it.
func (c *headConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// trackConnState is the http.Server's ConnState: a head is whole when the request
// becomes active, and is kept until the answer is out.
func trackConnState(conn net.Conn, state http.ConnState) {
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	c, ok := conn.(*headConn)
	if !ok {
		return
	}
	switch state {
	case http.StateActive:
		c.inBody = true
	case http.StateIdle, http.StateClosed:
		c.endHead()
	}
}
