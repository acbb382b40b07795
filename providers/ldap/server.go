package ldap

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
	ldap "github.com/go-ldap/ldap/v3"
)

// The backoff of a server that failed, doubled with each failure in a row. The
// minimum suits a server that was only restarted; the maximum bounds how long a
// server that works again goes unused.
const (
	backoffMin = 250 * time.Millisecond
	backoffMax = 5 * time.Second
)

// server is one of the directory's servers and the state of its health check.
type server struct {
	url      string
	host     string // with port
	name     string // the host alone
	tls      *tls.Config
	ldaps    bool
	startTLS bool
	resolver *net.Resolver // nil: the system's

	mu       sync.Mutex
	failures int        // in a row; 0 while the server is up
	epoch    int        // failures in all
	retryAt  time.Time  // the end of the backoff
	trial    *trial     // in progress, or nil
	probe    *probeCall // the probe in flight, or nil
	lastErr  error
	address  string // of the last connection

	features atomic.Pointer[features] // nil: not read yet
}

// trial is the right of one caller to find out whether a server that failed is up
// again. Invariant: at most one is in progress at a server, and only its caller ends
// it.
type trial struct{ _ byte } // not empty: each has an address of its own

func newServer(raw string, cfg *tls.Config, startTLS bool) (*server, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("urls: %w", err)
	}
	s := &server{url: raw, ldaps: u.Scheme == "ldaps", startTLS: startTLS && u.Scheme == "ldap"}
	port := u.Port()
	if port == "" {
		port = ldap.DefaultLdapPort
		if s.ldaps {
			port = ldap.DefaultLdapsPort
		}
	}
	s.name = u.Hostname()
	s.host = net.JoinHostPort(u.Hostname(), port)
	s.tls = cfg.Clone()
	if s.tls.ServerName == "" {
		s.tls.ServerName = s.name
	}
	return s, nil
}

// up reports whether the server has not failed since its last success.
func (s *server) up() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failures == 0
}

// tryAcquire reports whether the caller may connect to the server: it is up, or its
// backoff is over and no trial is in progress. In the second case t is a new trial,
// else nil. The caller must report the outcome with recordSuccess, recordFailure or
// release.
func (s *server) tryAcquire() (t *trial, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failures == 0 {
		return nil, true
	}
	if s.trial != nil || time.Now().Before(s.retryAt) {
		return nil, false
	}
	s.trial = new(trial)
	return s.trial, true
}

// recordSuccess ends the caller's trial, if any, and the server is up.
func (s *server) recordSuccess(t *trial) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endTrial(t)
	s.failures, s.lastErr = 0, nil
}

// release ends the caller's trial, if any, which showed nothing of the server.
func (s *server) release(t *trial) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endTrial(t)
}

// endTrial ends t and reports whether it was in progress. The caller has locked mu.
func (s *server) endTrial(t *trial) bool {
	ended := t != nil && s.trial == t
	if ended {
		s.trial = nil
	}
	return ended
}

// recordFailure ends the caller's trial, if any, and an epoch, and the server is down
// for the next backoff.
func (s *server) recordFailure(t *trial, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	tried := s.endTrial(t)
	if s.failures > 0 && !tried && (s.trial != nil || now.Before(s.retryAt)) {
		return // one of several operations that failed together, or older than the trial
	}
	backoff := backoffMin << min(s.failures, 10)
	s.failures++
	s.epoch++
	s.lastErr = err
	s.retryAt = now.Add(min(backoff, backoffMax))
}

// currentEpoch returns the epoch. A connection of an earlier epoch may have died with
// the failure that ended the epoch, without notice to this side.
func (s *server) currentEpoch() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.epoch
}

// lastError returns the error that took the server down, or nil.
func (s *server) lastError() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lastErr
}

// keepAlive detects a peer that vanished, before a password is sent to it, and
// refreshes the connection's state in firewalls.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 30 * time.Second, Interval: 10 * time.Second, Count: 3}

// dial connects to the server, with TLS if configured, before the deadline of ctx.
func (s *server) dial(ctx context.Context) (*conn, error) {
	plain, err := s.dialTCP(ctx)
	if err != nil {
		return nil, s.connectError(err)
	}
	w := &wire{Conn: plain}
	deadline, _ := ctx.Deadline() // zero, which is no deadline, if ctx has none
	if err := w.begin(deadline); err != nil {
		plain.Close()
		return nil, fmt.Errorf("connect to %s: %w", s.url, err)
	}
	c, err := s.secure(ctx, w)
	if err != nil {
		plain.Close()
		return nil, fmt.Errorf("connect to %s: %w", s.url, err)
	}
	if err := w.end(); err != nil {
		c.close()
		return nil, fmt.Errorf("connect to %s: %w", s.url, err)
	}
	return c, nil
}

// dialTCP connects to the server's host. While DNS fails, it connects to the last address.
func (s *server) dialTCP(ctx context.Context) (net.Conn, error) {
	s.mu.Lock()
	last := s.address
	s.mu.Unlock()
	target := s.host
	if last != "" && s.lookupFails(ctx) {
		target = last
	}
	dialer := net.Dialer{KeepAliveConfig: keepAlive, Resolver: s.resolver}
	c, err := dialer.DialContext(ctx, "tcp", target)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.address = c.RemoteAddr().String()
	return c, nil
}

// lookupFails reports whether DNS gives no answer on the server's host. It takes half of
// the time at most: a silent resolver must leave some to connect in.
func (s *server) lookupFails(ctx context.Context) bool {
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)/2)
		defer cancel()
	}
	_, err := cmp.Or(s.resolver, net.DefaultResolver).LookupHost(ctx, s.name)
	dns, ok := errors.AsType[*net.DNSError](err)
	return ok && !dns.IsNotFound
}

// secure negotiates TLS and hands the connection to the library.
func (s *server) secure(ctx context.Context, w *wire) (*conn, error) {
	c := &conn{wire: w, server: s, epoch: s.currentEpoch(), opened: time.Now()}
	var clear net.Conn = w
	if s.startTLS {
		if err := requestTLS(ctx, w); err != nil {
			return nil, s.startTLSError(err)
		}
	}
	if s.ldaps || s.startTLS {
		c.tls = tls.Client(w, s.tls)
		if err := c.tls.HandshakeContext(ctx); err != nil {
			return nil, s.handshakeError(err)
		}
		clear = c.tls
	}
	c.guard = newGuard(clear)
	c.ldap = ldap.NewConn(c.guard, c.tls != nil)
	c.ldap.Start()
	return c, nil
}

// startTLSRequest is the extended request for StartTLS (RFC 4511, section 4.14.1),
// as message 1.
const startTLSRequest = "\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037"

// requestTLS sends StartTLS. It reads one response and not a byte more: what follows
// belongs to the TLS handshake. The library's own StartTLS hides the encrypted
// connection, so that no guard could be put above it.
func requestTLS(ctx context.Context, w *wire) error {
	stop := context.AfterFunc(ctx, w.abort)
	defer stop()
	if _, err := w.Write([]byte(startTLSRequest)); err != nil {
		return err
	}
	g := newGuard(w)
	g.begin(shortResponse)
	packet, err := ber.ReadPacket(g)
	switch {
	case g.firstError() != nil:
		return g.firstError()
	case err != nil:
		return errMalformed
	}
	if err := toResultError(ldap.GetLDAPError(packet)); err != nil {
		if answered(err) {
			return err
		}
		return errMalformed
	}
	if id, _ := packet.Children[0].Value.(int64); id != 1 || packet.Children[1].Tag != ldap.ApplicationExtendedResponse {
		return errMalformed
	}
	return nil
}
