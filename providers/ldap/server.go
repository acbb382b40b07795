package ldap

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/url"
	"sync"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
	ldap "github.com/go-ldap/ldap/v3"
)

// How long a server that failed is left alone: doubled from the first to the
// last with each failure on end. The first is short, for one that was only
// restarted; the last bounds how long one that is back goes unused.
const (
	backoffMin = 250 * time.Millisecond
	backoffMax = 5 * time.Second
)

// server is one of the directory's servers, and what is known of its health.
type server struct {
	url      string
	host     string // with port
	tls      *tls.Config
	ldaps    bool
	startTLS bool

	mu       sync.Mutex
	failures int        // on end; 0 while it is up
	epoch    int        // failures ever
	retryAt  time.Time  // until when it is left alone
	onTrial  bool       // somebody is finding out whether it is up again
	probe    *probeCall // the probe under way, or nil
	lastErr  error
}

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
	s.host = net.JoinHostPort(u.Hostname(), port)
	s.tls = cfg.Clone()
	if s.tls.ServerName == "" {
		s.tls.ServerName = u.Hostname()
	}
	return s, nil
}

// up reports whether the server is taken to be up.
func (s *server) up() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failures == 0
}

// tryAcquire reports whether the server may be connected to: it is up, or its rest
// is over and nobody else is finding out. Whoever claims must tell the outcome
// with succeeded, failed or released.
func (s *server) tryAcquire() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failures == 0 {
		return true
	}
	if s.onTrial || time.Now().Before(s.retryAt) {
		return false
	}
	s.onTrial = true
	return true
}

func (s *server) recordSuccess() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failures, s.onTrial, s.lastErr = 0, false, nil
}

// release ends a claim of which nothing was learnt.
func (s *server) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.onTrial = false
}

func (s *server) recordFailure(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if s.failures > 0 && !s.onTrial && now.Before(s.retryAt) {
		return // one of many that failed together
	}
	backoff := backoffMin << min(s.failures, 10)
	s.failures++
	s.epoch++
	s.onTrial, s.lastErr = false, err
	s.retryAt = now.Add(min(backoff, backoffMax))
}

// currentEpoch returns the epoch: a connection of an earlier one may have died with
// what failed, unknown to this side.
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

// keepAlive finds a peer that went away without a word, before somebody's
// password is sent to it, and keeps firewalls from forgetting the connection.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 30 * time.Second, Interval: 10 * time.Second, Count: 3}

// dial connects to the server, with TLS where it is configured, before ctx
// ends.
func (s *server) dial(ctx context.Context) (*conn, error) {
	dialer := net.Dialer{KeepAliveConfig: keepAlive}
	plain, err := dialer.DialContext(ctx, "tcp", s.host)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", s.url, err)
	}
	w := &wire{Conn: plain}
	deadline, _ := ctx.Deadline() // without one the zero time, which is no limit
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

// secure makes a connection of plain bytes ready for the library.
func (s *server) secure(ctx context.Context, w *wire) (*conn, error) {
	c := &conn{wire: w, server: s, epoch: s.currentEpoch(), opened: time.Now()}
	var clear net.Conn = w
	if s.startTLS {
		if err := requestTLS(ctx, w); err != nil {
			return nil, fmt.Errorf("StartTLS: %w", err)
		}
	}
	if s.ldaps || s.startTLS {
		c.tls = tls.Client(w, s.tls)
		if err := c.tls.HandshakeContext(ctx); err != nil {
			return nil, fmt.Errorf("TLS handshake: %w", err)
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

// requestTLS has the server begin with TLS. It reads its one answer and no byte
// more: what came in clear behind it would be the first bytes of the handshake. The
// library's own StartTLS keeps the encrypted connection to itself, where no guard
// can be put above it.
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
