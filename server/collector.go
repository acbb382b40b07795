package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"os"
	"time"

	"shorepass/internal/hostport"
	"shorepass/internal/tlsconf"
)

// The schemes of a syslog collector, and their ports (RFC 6587, RFC 5425).
const (
	schemeSyslogTCP = "syslog+tcp"
	schemeSyslogTLS = "syslog+tls"

	portSyslogTCP = "601"
	portSyslogTLS = "6514"
)

// Limits of the connection to a collector.
const (
	collectorDial = 3 * time.Second // with the TLS handshake

	// collectorRefusal is how long a new connection is watched for a collector that closes
	// it immediately, at least; see awaitRefusal.
	collectorRefusal = 250 * time.Millisecond

	// The backoff between attempts to connect doubles from the first to the longest
	// wait. Meanwhile each line fails immediately.
	firstReconnect   = 250 * time.Millisecond
	longestReconnect = 5 * time.Second
)

// collectorAddress returns host and port of a collector and whether it speaks TLS. ok is
// false where to is no URL of a collector.
func collectorAddress(to string) (address string, secure, ok bool) {
	u, err := url.Parse(to)
	if err != nil || u.Scheme != schemeSyslogTCP && u.Scheme != schemeSyslogTLS || u.Hostname() == "" ||
		u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" {
		return "", false, false
	}
	if _, err := netip.ParseAddr(u.Hostname()); err != nil && !hostport.IsName(u.Hostname()) {
		return "", false, false
	}
	secure = u.Scheme == schemeSyslogTLS
	port := u.Port()
	switch {
	case port != "" && !hostport.IsPort(port):
		return "", false, false
	case port == "" && secure:
		port = portSyslogTLS
	case port == "":
		port = portSyslogTCP
	}
	return net.JoinHostPort(u.Hostname(), port), secure, true
}

// collector is the connection to a syslog collector over TCP or TLS. It connects at the
// first write, and again after the connection broke; while it cannot, writes fail. Its
// owner is the writer of a Sink: Write is not safe for concurrent use.
type collector struct {
	address string
	tls     *tlsconf.Config // nil for plain TCP; its files are read at each connection

	conn     *watchedConn // nil while there is none
	failures int          // attempts to connect since one succeeded
	retryAt  time.Time    // of the next attempt
	lastErr  error        // of the last attempt
}

// newCollector returns a collector that is not connected yet.
func newCollector(cfg AuditConfig) (*collector, error) {
	address, secure, ok := collectorAddress(cfg.To)
	if !ok {
		return nil, fmt.Errorf("%q is no URL of a collector", cfg.To)
	}
	c := &collector{address: address}
	if secure {
		c.tls = &cfg.TLS
		if _, err := cfg.TLS.Client(); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// Write sends whole messages in their frames, all of them or none as far as it knows: an
// error says that the connection is gone, and how much of the text the collector has read
// is not known. A message counts as written when the kernel has taken it: the protocol has
// no acknowledgement. On a connection that broke since the last write it sends the text
// once more on another one, so that a message can arrive twice.
func (c *collector) Write(frames []byte) (int, error) {
	reused := c.conn != nil && !c.conn.isClosed()
	if !reused {
		if err := c.connect(); err != nil {
			return 0, err
		}
	}
	err := c.conn.send(frames)
	if err != nil && reused {
		if err := c.connect(); err != nil {
			return 0, err
		}
		err = c.conn.send(frames)
	}
	if err != nil {
		_ = c.Close()
		return 0, fmt.Errorf("write to the syslog collector %s: %w", c.address, err)
	}
	return len(frames), nil
}

// Close closes the connection, if there is one. It returns no error: that of a peer which
// has gone away concerns no line that was written.
func (c *collector) Close() error {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
	return nil
}

// connect replaces the connection, unless the last attempt failed a moment ago.
func (c *collector) connect() error {
	_ = c.Close()
	if time.Now().Before(c.retryAt) {
		return c.lastErr
	}
	ctx, cancel := context.WithTimeout(context.Background(), collectorDial)
	defer cancel()
	conn, err := c.dial(ctx)
	if err != nil {
		c.retryAt = time.Now().Add(min(firstReconnect<<min(c.failures, 10), longestReconnect))
		c.failures++
		c.lastErr = err
		return err
	}
	c.conn, c.failures = watch(conn), 0
	return nil
}

// dial connects to the collector. It returns an error also where the collector closes the
// connection as soon as it has accepted it.
func (c *collector) dial(ctx context.Context) (net.Conn, error) {
	began := time.Now()
	dialer := &net.Dialer{Control: limitUnacknowledged, KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3}}
	conn, err := dialer.DialContext(ctx, "tcp", c.address)
	if err != nil {
		return nil, fmt.Errorf("connect to the syslog collector: %w", err)
	}
	if c.tls != nil {
		if conn, err = c.handshake(ctx, conn); err != nil {
			return nil, err
		}
	}
	if err := awaitRefusal(conn, max(collectorRefusal, time.Since(began))); err != nil {
		return nil, errors.Join(fmt.Errorf("the syslog collector %s closes each connection; its own log may say why: %w", c.address, err), conn.Close())
	}
	return conn, nil
}

// handshake returns conn with TLS, or closes it.
func (c *collector) handshake(ctx context.Context, conn net.Conn) (net.Conn, error) {
	cfg, err := c.tls.Client()
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	if cfg.ServerName == "" {
		cfg.ServerName, _, _ = net.SplitHostPort(c.address)
	}
	secure := tls.Client(conn, cfg)
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("connect to the syslog collector %s: %w", c.address, err), conn.Close())
	}
	return secure, nil
}

// awaitRefusal returns an error if the peer closes a new connection within limit. Only this
// tells of a client certificate that the peer refuses, since the handshake of TLS 1.3 is
// over before the peer has seen it, or of a load balancer with no collector behind it: what
// is written to such a connection is lost without an error.
func awaitRefusal(conn net.Conn, limit time.Duration) error {
	if err := conn.SetReadDeadline(time.Now().Add(limit)); err != nil {
		return err
	}
	_, err := conn.Read(make([]byte, 1))
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	return conn.SetReadDeadline(time.Time{})
}

// watchedConn is a connection to a peer that sends nothing: what is read from it says when
// the peer has closed it, which a write says only one line too late.
type watchedConn struct {
	net.Conn
	closed chan struct{}
}

func watch(conn net.Conn) *watchedConn {
	w := &watchedConn{conn, make(chan struct{})}
	go func() { // ends when the connection is closed here or there
		defer close(w.closed)
		_, _ = io.Copy(io.Discard, conn)
	}()
	return w
}

func (w *watchedConn) isClosed() bool {
	select {
	case <-w.closed:
		return true
	default:
		return false
	}
}

func (w *watchedConn) send(text []byte) error {
	if err := w.SetWriteDeadline(time.Now().Add(sinkLimit)); err != nil {
		return err
	}
	_, err := w.Write(text)
	return err
}

// Ping reports whether a syslog collector takes connections. It returns nil for another
// target, and sends nothing.
func (c AuditConfig) Ping(ctx context.Context) error {
	if !c.IsRemote() {
		return nil
	}
	to, err := newCollector(c)
	if err != nil {
		return err
	}
	conn, err := to.dial(ctx)
	if err != nil {
		return err
	}
	return conn.Close()
}

// IsRemote reports whether the lines go to another program over the network.
func (c AuditConfig) IsRemote() bool {
	_, _, ok := collectorAddress(c.To)
	return ok
}
