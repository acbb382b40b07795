package ldaptest

import (
	"net"
	"sync"
	"testing"
)

// Relay passes connections on to a server, and can lose them as a network does.
type Relay struct {
	Address string // host and port to connect to

	target   string
	listener net.Listener
	done     sync.WaitGroup

	mu     sync.Mutex
	closed bool
	pairs  map[*pair]bool
}

// pair is a connection to the relay and the one that it is passed on to.
type pair struct {
	near, far net.Conn
	mu        sync.Mutex
	lost      bool // what comes is swallowed
}

// NewRelay starts a relay to the host and port of target. It ends with the
// test.
func NewRelay(t testing.TB, target string) *Relay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &Relay{Address: l.Addr().String(), target: target, listener: l, pairs: make(map[*pair]bool)}
	r.done.Go(r.accept)
	t.Cleanup(func() {
		r.mu.Lock()
		r.closed = true
		r.mu.Unlock()
		l.Close()
		r.Cut()
		r.done.Wait()
	})
	return r
}

// Lose makes the connections of now half open: nothing comes through any more,
// and neither side is told. New ones are passed on.
func (r *Relay) Lose() {
	for _, p := range r.all() {
		p.mu.Lock()
		p.lost = true
		p.mu.Unlock()
	}
}

// Cut closes the connections of now.
func (r *Relay) Cut() {
	for _, p := range r.all() {
		p.close()
	}
}

func (r *Relay) all() []*pair {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []*pair
	for p := range r.pairs {
		all = append(all, p)
	}
	return all
}

func (r *Relay) accept() {
	for {
		near, err := r.listener.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", r.target)
		if err != nil {
			near.Close()
			continue
		}
		p := &pair{near: near, far: far}
		r.mu.Lock()
		if r.closed {
			r.mu.Unlock()
			p.close()
			return
		}
		r.pairs[p] = true
		r.mu.Unlock()
		r.done.Go(func() { p.pass(near, far) })
		r.done.Go(func() {
			p.pass(far, near)
			r.mu.Lock()
			delete(r.pairs, p)
			r.mu.Unlock()
		})
	}
}

func (p *pair) close() {
	p.near.Close()
	p.far.Close()
}

func (p *pair) pass(from, to net.Conn) {
	defer p.close()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		p.mu.Lock()
		lost := p.lost
		p.mu.Unlock()
		if n > 0 && !lost {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
