package ldap

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	ldap "github.com/go-ldap/ldap/v3"

	"shorepass/internal/latency"
	"shorepass/internal/share"
)

const (
	// maxIdle is how long a connection may be idle. Active Directory closes one
	// after 15 minutes (MaxConnIdleTime); the pool closes it before, so that no
	// password is sent on a connection that was just closed.
	maxIdle = 12 * time.Minute

	// maxAge is how long a connection is used in all.
	maxAge = time.Hour

	// waitersPerConn bounds the waiters of a pool, per connection.
	waitersPerConn = 64
)

var (
	errClosed = errors.New("the provider is closed")
	errDown   = errors.New("no server of the directory can be reached")
)

// pool is a connection pool for one purpose, with failover between servers and a
// bound of its size on open connections.
type pool struct {
	list        *serverList
	timeout     time.Duration // of one operation, dial included
	dialTimeout time.Duration // of the dial alone, TLS included

	// prepare makes a fresh connection ready, by a bind as the service account.
	// Nil: nothing is to be done. Its error counts as one of the dial.
	prepare func(ctx context.Context, c *conn) error

	// probeIfDue probes a server that is down, once its backoff is over, so that
	// a password is only sent to a server that works. Nil: prepare is the probe.
	probeIfDue func(ctx context.Context, s *server)

	requests *latency.Recorder // of all pools of the directory

	slots *share.Semaphore // each user of a connection holds one, in the share of an account

	mu     sync.Mutex
	idle   []*conn // the last one was used last
	closed bool
	users  sync.WaitGroup // operations and probes in flight; close waits for them
}

func newPool(size int, list *serverList, timeout, dialTimeout time.Duration, requests *latency.Recorder) *pool {
	return &pool{
		list: list, timeout: timeout, dialTimeout: dialTimeout, requests: requests,
		slots: share.New(size, size*waitersPerConn),
	}
}

// do runs an operation on a connection, in the share of an account. It returns the
// server's answer, or why no server gave one.
//
// An operation without an answer is retried: once on a fresh connection if an idle
// one broke, then on the next server. Only idempotent operations may run here: a
// person's bind may not (see bindPerson).
func (p *pool) do(ctx context.Context, shareKey string, operation func(*conn) error) error {
	release, err := p.acquire(ctx, shareKey)
	if err != nil {
		return err
	}
	defer release()
	var lastErr error
	tried := make(map[*server]bool)
	for fresh := false; ; {
		began := time.Now()
		c, err := p.checkout(ctx, fresh, tried)
		if err != nil {
			if lastErr != nil && errors.Is(err, errDown) {
				return lastErr
			}
			return err
		}
		err = c.do(ctx, p.timeout-time.Since(began), longResponse, func(*ldap.Conn) error { return operation(c) })
		if err == nil || answered(err) && !busyOrUnavailable(err) {
			c.server.recordSuccess(c.trial)
			p.checkin(c, resultCode(err))
			return err
		}
		c.close()
		lastErr = fmt.Errorf("%s: %w", c.server.url, err)
		if ctxDone(ctx) && !timedOut(err) {
			c.server.release(c.trial) // the caller gave up, which says nothing of the server
			return fmt.Errorf("%w: %w", lastErr, ctxError(ctx))
		}
		if stale := c.reused && !timedOut(err) && !answered(err); stale && !fresh {
			fresh = true // an idle connection broke, which says nothing of the server
		} else {
			c.server.recordFailure(c.trial, err)
			tried[c.server] = true
		}
		if ctxDone(ctx) {
			return fmt.Errorf("%w: %w", lastErr, ctxError(ctx))
		}
	}
}

// timedOut reports whether the server had its full timeout and gave no answer.
func timedOut(err error) bool {
	w, ok := errors.AsType[*wireError](err)
	return ok && w.timedOut
}

// serviceShare is the share key of operations that are for no account.
const serviceShare = ""

// acquire waits for a slot of the pool, in the share of an account. The caller may
// use one connection until release.
func (p *pool) acquire(ctx context.Context, shareKey string) (release func(), err error) {
	if err := p.addUser(); err != nil {
		return nil, err
	}
	releaseSlot, err := p.slots.Acquire(ctx, shareKey)
	if err != nil {
		p.users.Done()
		return nil, fmt.Errorf("wait for a connection to the directory: %w", err)
	}
	return func() {
		releaseSlot()
		p.users.Done()
	}, nil
}

// addUser makes close wait until users.Done. It returns errClosed after close.
func (p *pool) addUser() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return errClosed
	}
	p.users.Add(1)
	return nil
}

// checkout returns a connection: the idle one that was used last, unless the caller
// wants a fresh one; else a new one to the first server that is up and not among
// tried.
func (p *pool) checkout(ctx context.Context, fresh bool, tried map[*server]bool) (*conn, error) {
	if !fresh {
		if c := p.checkoutIdle(tried); c != nil {
			return c, nil
		}
	}
	p.list.ensure(ctx)
	for _, s := range p.list.all() {
		if tried[s] {
			continue
		}
		t, ok := p.available(ctx, s)
		if !ok {
			continue
		}
		c, err := p.open(ctx, s)
		switch {
		case err == nil:
			c.trial = t
			return c, nil
		case errors.Is(err, errServiceAccount):
			s.release(t)
			return nil, err
		case ctxDone(ctx):
			s.release(t)
			return nil, fmt.Errorf("%w: %w", err, ctxError(ctx))
		}
		s.recordFailure(t, err)
		tried[s] = true
	}
	return nil, p.downError()
}

// available reports whether a connection to the server may be opened now, and for
// which trial.
func (p *pool) available(ctx context.Context, s *server) (t *trial, ok bool) {
	if p.probeIfDue == nil {
		return s.tryAcquire()
	}
	if !s.up() {
		p.probeIfDue(ctx, s)
	}
	return nil, s.up()
}

// downError returns errDown, joined with the last error of each server.
func (p *pool) downError() error {
	errs := []error{errDown}
	if err := p.list.lastError(); err != nil {
		errs = append(errs, err)
	}
	for _, s := range p.list.all() {
		if err := s.lastError(); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// checkoutIdle returns a good idle connection to the first server that is up, or
// nil. It closes the others on the way: stale ones, those to a server among tried,
// and those to a later server once an earlier one is up again.
func (p *pool) checkoutIdle(tried map[*server]bool) *conn {
	p.mu.Lock()
	var closing []*conn
	defer func() {
		p.mu.Unlock()
		closeAll(closing)
	}()
	servers := p.list.all()
	best := slices.IndexFunc(servers, (*server).up)
	for len(p.idle) > 0 {
		c := p.idle[len(p.idle)-1]
		p.idle = p.idle[:len(p.idle)-1]
		if p.stale(c) || tried[c.server] || best < 0 || c.server != servers[best] {
			closing = append(closing, c)
			continue
		}
		c.reused = true
		return c
	}
	return nil
}

// stale reports whether an idle connection is closed, too old, idle for too long, older
// than the last failure of its server, or to a server that is no longer listed.
func (p *pool) stale(c *conn) bool {
	now := time.Now()
	return c.dead() || !slices.Contains(p.list.all(), c.server) || c.epoch != c.server.currentEpoch() || now.Sub(c.idleSince) > maxIdle || now.Sub(c.opened) > maxAge
}

// open dials a server and prepares the connection.
func (p *pool) open(ctx context.Context, s *server) (*conn, error) {
	ctx, cancel := context.WithTimeout(ctx, p.dialTimeout)
	defer cancel()
	began := time.Now()
	c, err := s.dial(ctx)
	p.requests.Record(requestConnect, began, err != nil)
	if err != nil {
		return nil, err
	}
	c.requests = p.requests
	if p.prepare == nil {
		return c, nil
	}
	if err := p.prepare(ctx, c); err != nil {
		c.close()
		return nil, fmt.Errorf("%s: %w", s.url, err)
	}
	return c, nil
}

// checkin puts a connection back as idle. It closes the connection after a result
// code that leaves its bind state in doubt: Active Directory answers
// operationsError on a connection that lost its bind.
func (p *pool) checkin(c *conn, code uint16) {
	switch code {
	case ldap.LDAPResultSuccess, ldap.LDAPResultInvalidCredentials, ldap.LDAPResultNoSuchObject, ldap.LDAPResultSizeLimitExceeded:
	default:
		c.close()
		return
	}
	c.idleSince = time.Now()
	p.mu.Lock()
	reusable := !p.closed && !c.dead()
	if reusable {
		p.idle = append(p.idle, c)
	}
	p.mu.Unlock()
	if !reusable {
		c.close()
	}
}

// sweep closes stale idle connections.
func (p *pool) sweep() {
	p.mu.Lock()
	var closing []*conn
	p.idle = slices.DeleteFunc(p.idle, func(c *conn) bool {
		if p.stale(c) {
			closing = append(closing, c)
			return true
		}
		return false
	})
	p.mu.Unlock()
	closeAll(closing)
}

// warm opens a connection before the first request needs one.
func (p *pool) warm(ctx context.Context) {
	release, err := p.acquire(ctx, serviceShare)
	if err != nil {
		return
	}
	defer release()
	c, err := p.checkout(ctx, false, make(map[*server]bool))
	if err != nil {
		return // the next request dials again and reports the error
	}
	c.server.recordSuccess(c.trial)
	p.checkin(c, ldap.LDAPResultSuccess)
}

// close refuses new users with errClosed, waits for those in flight, and closes all
// connections.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	idle := p.idle
	p.idle = nil
	p.mu.Unlock()
	closeAll(idle)
	p.users.Wait()
}

func closeAll(conns []*conn) {
	for _, c := range conns {
		c.close()
	}
}
