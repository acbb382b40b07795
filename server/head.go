package server

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"sync/atomic"
)

const (
	// smallHead is what everybody may send at once before a request's body:
	// the handshake, where there is one, and the head. No client sends as much
	// with a password or a token of ours.
	smallHead = 16 << 10

	// headBudget is what all connections together may send beyond that, in
	// bytes, and headStep how much of it one takes at a time. A head of tiny
	// fields takes forty times its length once it is parsed, so that a few of
	// maxHeaderBytes would fill the memory; of those one fits in here, and of
	// heads of 80 KiB thirty-two. Each is held for as long as its sender has
	// (readHeaderLimit) and its answer takes.
	headBudget = 2 << 20
	headStep   = 64 << 10
)

var errTooManyHeads = errors.New("too many long heads are being read at once")

// headListener meters the heads of requests on its connections, as [body]
// does their bodies. It stands below TLS: what a handshake says is kept too.
type headListener struct {
	net.Listener
	budget *atomic.Int64 // what is left of headBudget
}

func newHeadListener(l net.Listener) headListener {
	budget := new(atomic.Int64)
	budget.Store(headBudget)
	return headListener{l, budget}
}

func (l headListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &headConn{Conn: c, budget: l.budget, left: smallHead}, nil
}

// headConn is a connection on which a head may be long only if not too many
// others are; else the connection ends. net/http reads a connection and tells
// its states in turn and never at once, so that only budget is shared.
type headConn struct {
	net.Conn
	budget *atomic.Int64
	held   int64 // of the budget
	left   int   // may still be read of this head
	whole  bool  // what comes now is no head
}

func (c *headConn) Read(p []byte) (int, error) {
	if c.whole {
		return c.Conn.Read(p)
	}
	if c.left == 0 && !c.take() {
		// Closed, and not only refused: net/http would take half a line for a
		// whole one, and read on behind it. Nothing is answered: who floods a
		// server does not read.
		c.Conn.Close()
		return 0, &net.OpError{Op: "read", Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: errTooManyHeads}
	}
	n, err := c.Conn.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, err
}

// take takes a step from the budget, if there is one left.
func (c *headConn) take() bool {
	if c.budget.Add(-headStep) < 0 {
		c.budget.Add(headStep)
		return false
	}
	c.held += headStep
	c.left = headStep
	return true
}

// done gives back what the head took, and lets the next one begin.
func (c *headConn) done() {
	if c.held > 0 {
		c.budget.Add(c.held)
	}
	c.held, c.left, c.whole = 0, smallHead, false
}

// CloseWrite lets net/http end its half, so that a client which is still
// sending reads the answer that stops it.
func (c *headConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// followHead is the http.Server's ConnState: a head is whole when the request
// becomes active, and is kept until the answer is out.
func followHead(conn net.Conn, state http.ConnState) {
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	c, ok := conn.(*headConn)
	if !ok {
		return
	}
	switch state {
	case http.StateActive:
		c.whole = true
	case http.StateIdle, http.StateClosed:
		c.done()
	}
}
