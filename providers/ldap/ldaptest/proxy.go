package ldaptest

import (
	"net"
	"sync"
	"testing"
)

// Proxy passes connections on to a server, and can lose them as a network does.
type Proxy struct {
	Address string // host and port to connect to

	target   string
	listener net.Listener
	done     sync.WaitGroup

	mu     sync.Mutex
	closed bool
	pairs  map[*connPair]bool
}

// connPair is a connection to the relay and the one that it is passed on to.
type connPair struct {
	near, far  net.Conn
	mu         sync.Mutex
	blackholed bool // what comes is swallowed
}

// NewProxy starts a relay to the host and port of target. It ends with the
// test.
func NewProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &Proxy{Address: l.Addr().String(), target: target, listener: l, pairs: make(map[*connPair]bool)}
	r.done.Go(r.accept)
	t.Cleanup(func() {
		r.mu.Lock()
		r.closed = true
		r.mu.Unlock()
		l.Close()
		r.CloseAll()
		r.done.Wait()
	})
	return r
}

// Blackhole makes the connections of now half open: nothing comes through any more,
// and neither side is told. New ones are passed on.
func (r *Proxy) Blackhole() {
	for _, p := range r.connPairs() {
		p.mu.Lock()
		p.blackholed = true
		p.mu.Unlock()
	}
}

// CloseAll closes the connections of now.
func (r *Proxy) CloseAll() {
	for _, p := range r.connPairs() {
		p.close()
	}
}

func (r *Proxy) connPairs() []*connPair {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []*connPair
	for p := range r.pairs {
		all = append(all, p)
	}
	return all
}

func (r *Proxy) accept() {
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
		p := &connPair{near: near, far: far}
		r.mu.Lock()
		if r.closed {
			r.mu.Unlock()
			p.close()
			return
		}
		r.pairs[p] = true
		r.mu.Unlock()
		r.done.Go(func() { p.copy(near, far) })
		r.done.Go(func() {
			p.copy(far, near)
			r.mu.Lock()
			delete(r.pairs, p)
			r.mu.Unlock()
		})
	}
}

func (p *connPair) close() {
	p.near.Close()
	p.far.Close()
}

func (p *connPair) copy(from, to net.Conn) {
	defer p.close()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		p.mu.Lock()
		lost := p.blackholed
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
