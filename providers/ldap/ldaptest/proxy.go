package ldaptest

import (
	"maps"
	"net"
	"slices"
	"sync"
	"testing"
)

// Proxy is a TCP proxy in front of a server. It can make its connections fail as a
// network does.
type Proxy struct {
	Address string // host and port to connect to

	target   string
	listener net.Listener
	done     sync.WaitGroup

	mu     sync.Mutex
	closed bool
	pairs  map[*connPair]bool
}

// connPair is a client's connection to the proxy and the proxy's own to the server.
type connPair struct {
	client, server net.Conn

	mu         sync.Mutex
	blackholed bool // received bytes are dropped
}

// NewProxy starts a proxy to the host and port of target. It ends with the test.
func NewProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{Address: l.Addr().String(), target: target, listener: l, pairs: make(map[*connPair]bool)}
	p.done.Go(p.accept)
	t.Cleanup(func() {
		p.mu.Lock()
		p.closed = true
		p.mu.Unlock()
		l.Close()
		p.CloseAll()
		p.done.Wait()
	})
	return p
}

// Blackhole makes the open connections half open: all further bytes are dropped, and
// neither side gets a notice. New connections work.
func (p *Proxy) Blackhole() {
	for _, c := range p.connPairs() {
		c.mu.Lock()
		c.blackholed = true
		c.mu.Unlock()
	}
}

// CloseAll closes the open connections.
func (p *Proxy) CloseAll() {
	for _, c := range p.connPairs() {
		c.close()
	}
}

func (p *Proxy) connPairs() []*connPair {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Collect(maps.Keys(p.pairs))
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.target)
		if err != nil {
			client.Close()
			continue
		}
		c := &connPair{client: client, server: server}
		p.mu.Lock()
		if p.closed {
			p.mu.Unlock()
			c.close()
			return
		}
		p.pairs[c] = true
		p.mu.Unlock()
		p.done.Go(func() { c.copy(server, client) })
		p.done.Go(func() {
			c.copy(client, server)
			p.mu.Lock()
			delete(p.pairs, c)
			p.mu.Unlock()
		})
	}
}

func (c *connPair) close() {
	c.client.Close()
	c.server.Close()
}

// copy copies bytes from one connection to the other until either fails.
func (c *connPair) copy(to, from net.Conn) {
	defer c.close()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		c.mu.Lock()
		blackholed := c.blackholed
		c.mu.Unlock()
		if n > 0 && !blackholed {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
