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
	// freeHead is what a connection may send before a request's body without
	// limit, in bytes: the TLS handshake, if any, and the head. No client sends as
	// much with a password or a token of ours.
	freeHead = 16 << 10

	// headBudget is what all connections together may send beyond freeHead, in
	// bytes, and headStep what one acquires at a time. A head of tiny fields takes
	// forty times its length in memory once it is parsed, so that a few heads of
	// maxHeaderBytes would fill the memory. The budget has room for thirty-two
	// heads of 80 KiB. A head is charged until its answer is sent; its sender has
	// readHeaderTimeout to complete it.
	headBudget = 2 << 20
	headStep   = 16 << 10

	// headReserve is for one head that exceeds its address's share, so that a
	// client which sends far too much gets an error and not a closed connection.
	headReserve = 3 << 19
)

var errTooManyLongHeads = errors.New("too many long request heads are being read at the same time")

// headListener limits the heads of requests on its connections, as [body] limits
// their bodies. It is below TLS in the stack, since a handshake takes memory too.
type headListener struct {
	net.Listener
	limiter *headLimiter
}

// newHeadListener returns a listener whose connections share one budget. shares
// reports whether an address is limited to a share of it; a trusted proxy, which
// has many clients, is limited by the budget alone.
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

// headLimiter is the budget of all long heads. It is shared between addresses with a
// dynamic threshold: an address holds at most as much as is left for all others, so
// that no address can exhaust it.
type headLimiter struct {
	shares func(netip.Addr) bool

	mu      sync.Mutex
	left    int                  // of headBudget, in bytes
	held    map[netip.Prefix]int // bytes of the budget by client address
	reserve *headConn            // the connection that has the reserve; nil while it is free
}

// acquire charges headStep to the connection, for the next part of its head. It
// reports false where neither budget nor reserve has room.
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

// release returns what the head of a connection was charged.
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

// addressOf returns the address of a peer, or the zero Addr where it has none.
func addressOf(peer net.Addr) netip.Addr {
	port, _ := netip.ParseAddrPort(peer.String()) // zero where it does not parse
	return port.Addr().Unmap().WithZone("")
}

// addressGroup returns the network whose addresses count as one client: the /64 of
// an IPv6 address.
func addressGroup(addr netip.Addr) netip.Prefix {
	network, _ := addr.Prefix(min(addr.BitLen(), 64)) // fails only for the zero Addr
	return network
}

// headConn is a connection that closes where a head exceeds freeHead and the limiter
// has no room. net/http reads a connection and reports its states one after the
// other, never concurrently, so that only the limiter needs a mutex.
type headConn struct {
	net.Conn
	limiter  *headLimiter
	held     int  // bytes charged to the budget
	reserved int  // bytes charged to the reserve
	left     int  // bytes that may be read before the next acquire
	inBody   bool // the head is complete, and reads are not limited
}

func (c *headConn) Read(p []byte) (int, error) {
	if c.inBody {
		return c.Conn.Read(p)
	}
	if c.left == 0 && !c.limiter.acquire(c) {
		// An error alone is not enough: net/http would take half a line for a whole
		// one and read on. There is no answer: a client that floods does not read it.
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

// endHead releases the head's budget, and limits the next head anew.
func (c *headConn) endHead() {
	if c.held+c.reserved > 0 {
		c.limiter.release(c)
	}
	c.left, c.inBody = freeHead, false
}

// CloseWrite closes the sending half of the connection, as net/http does after an
// error, so that a client that is still sending reads the error.
func (c *headConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// trackConnState is the http.Server's ConnState hook: a head is complete when the
// connection becomes active, and is released once its answer is sent.
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
