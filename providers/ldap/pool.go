package ldap

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	ldap "github.com/go-ldap/ldap/v3"

	"shorepass/internal/share"
)

const (
	// maxIdle is how long a connection may lie unused: Active Directory
	// closes one after 15 minutes (MaxConnIdleTime), and a password must not
	// be the first to find out.
	maxIdle = 12 * time.Minute

	// maxAge is how long a connection is used at all.
	maxAge = time.Hour

	// waitersPerConn is how many may wait for each connection of a pool.
	waitersPerConn = 64
)

var (
	errClosed = errors.New("the provider is closed")
	errDown   = errors.New("no server of the directory can be reached")
)

// pool keeps connections of one purpose. There are never more than its size.
type pool struct {
	servers     []*server
	timeout     time.Duration // of one operation, connecting included
	dialTimeout time.Duration // of connecting alone

	// prepare makes a fresh connection ready, by binding the service account;
	// nil where nothing is to be done. Its error is as that of dial.
	prepare func(ctx context.Context, c *conn) error

	// probeIfDue finds out whether a server that is down is up again, before
	// anything of worth is sent to it; nil where prepare does so.
	probeIfDue func(ctx context.Context, s *server)

	slots *share.Semaphore // one is held by each user of a connection, in the share of an account

	mu     sync.Mutex
	idle   []*conn // last used last
	closed bool
	users  sync.WaitGroup
}

func newPool(size int, servers []*server, timeout, dialTimeout time.Duration) *pool {
	return &pool{
		servers: servers, timeout: timeout, dialTimeout: dialTimeout,
		slots: share.New(size, size*waitersPerConn),
	}
}

// do runs an operation of the service on a connection, in the share of an account.
// It returns the operation's answer, or why none of the servers gave one.
//
// An operation that failed without an answer is tried again: once on a fresh
// connection where the one at hand had been lying about, then on the next server.
func (p *pool) do(ctx context.Context, shareKey string, operation func(*ldap.Conn) error) error {
	release, err := p.acquire(ctx, shareKey)
	if err != nil {
		return err
	}
	defer release()
	var last error
	tried := make(map[*server]bool, len(p.servers))
	for fresh := false; ; {
		began := time.Now()
		c, err := p.checkout(ctx, fresh, tried)
		if err != nil {
			if last != nil && errors.Is(err, errDown) {
				return last
			}
			return err
		}
		err = c.do(ctx, p.timeout-time.Since(began), longResponse, operation)
		if err == nil || answered(err) && !busyOrUnavailable(err) {
			c.server.recordSuccess()
			p.checkin(c, resultCode(err))
			return err
		}
		c.close()
		last = fmt.Errorf("%s: %w", c.server.url, err)
		if ctxDone(ctx) && !timedOut(err) {
			c.server.release() // whoever asked has gone, which says nothing of the server
			return fmt.Errorf("%w: %w", last, ctxError(ctx))
		}
		if stale := c.reused && !timedOut(err) && !answered(err); stale && !fresh {
			fresh = true // it died while it lay about, which says nothing of the server
		} else {
			c.server.recordFailure(err)
			tried[c.server] = true
		}
		if ctxDone(ctx) {
			return fmt.Errorf("%w: %w", last, ctxError(ctx))
		}
	}
}

// timedOut reports whether the server took longer than it may.
func timedOut(err error) bool {
	w, ok := errors.AsType[*wireError](err)
	return ok && w.timedOut
}

// serviceShare is the share of the service's own operations, which are for no account.
const serviceShare = ""

// acquire waits for the right to use a connection in the share of an account, until
// leave.
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

// addUser makes Close wait for whoever calls it, until using.Done.
func (p *pool) addUser() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return errClosed
	}
	p.users.Add(1)
	return nil
}

// checkout returns a connection: the idle one that was used last, unless a fresh
// one is asked for, or else a new one to the first server that is up and not
// among tried.
func (p *pool) checkout(ctx context.Context, fresh bool, tried map[*server]bool) (*conn, error) {
	if !fresh {
		if c := p.checkoutIdle(tried); c != nil {
			return c, nil
		}
	}
	for _, s := range p.servers {
		if tried[s] || !p.available(ctx, s) {
			continue
		}
		c, err := p.open(ctx, s)
		switch {
		case err == nil:
			return c, nil
		case errors.Is(err, errServiceAccount):
			s.release()
			return nil, err
		case ctxDone(ctx):
			s.release()
			return nil, fmt.Errorf("%w: %w", err, ctxError(ctx))
		}
		s.recordFailure(err)
		tried[s] = true
	}
	return nil, p.downError()
}

// available reports whether a connection to the server may be opened.
func (p *pool) available(ctx context.Context, s *server) bool {
	if p.probeIfDue == nil {
		return s.tryAcquire()
	}
	if !s.up() {
		p.probeIfDue(ctx, s)
	}
	return s.up()
}

// downError says why there is no connection.
func (p *pool) downError() error {
	errs := []error{errDown}
	for _, s := range p.servers {
		if err := s.lastError(); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// checkoutIdle returns an idle connection that is still good, and closes those
// that are not: too old, ended by the other side, to a server that has failed
// since, or to one that comes after another which is up again.
func (p *pool) checkoutIdle(tried map[*server]bool) *conn {
	p.mu.Lock()
	var closing []*conn
	defer func() {
		p.mu.Unlock()
		closeAll(closing)
	}()
	best := slices.IndexFunc(p.servers, (*server).up)
	for len(p.idle) > 0 {
		c := p.idle[len(p.idle)-1]
		p.idle = p.idle[:len(p.idle)-1]
		if p.stale(c) || tried[c.server] || best < 0 || c.server != p.servers[best] {
			closing = append(closing, c)
			continue
		}
		c.reused = true
		return c
	}
	return nil
}

func (p *pool) stale(c *conn) bool {
	now := time.Now()
	return c.dead() || c.epoch != c.server.currentEpoch() || now.Sub(c.idleSince) > maxIdle || now.Sub(c.opened) > maxAge
}

// open makes a connection to a server.
func (p *pool) open(ctx context.Context, s *server) (*conn, error) {
	ctx, cancel := context.WithTimeout(ctx, p.dialTimeout)
	defer cancel()
	c, err := s.dial(ctx)
	if err != nil {
		return nil, err
	}
	if p.prepare == nil {
		return c, nil
	}
	if err := p.prepare(ctx, c); err != nil {
		c.close()
		return nil, fmt.Errorf("%s: %w", s.url, err)
	}
	return c, nil
}

// checkin keeps a connection for the next, unless the result code leaves it in doubt
// who it is bound as: Active Directory answers operationsError where the bind
// was lost.
func (p *pool) checkin(c *conn, code uint16) {
	switch code {
	case ldap.LDAPResultSuccess, ldap.LDAPResultInvalidCredentials, ldap.LDAPResultNoSuchObject, ldap.LDAPResultSizeLimitExceeded:
	default:
		c.close()
		return
	}
	c.idleSince = time.Now()
	p.mu.Lock()
	keep := !p.closed && !c.dead()
	if keep {
		p.idle = append(p.idle, c)
	}
	p.mu.Unlock()
	if !keep {
		c.close()
	}
}

// sweep closes idle connections that are of no more use.
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

// warm makes a connection before anybody waits for one.
func (p *pool) warm(ctx context.Context) {
	release, err := p.acquire(ctx, serviceShare)
	if err != nil {
		return
	}
	defer release()
	c, err := p.checkout(ctx, false, make(map[*server]bool))
	if err != nil {
		return // whoever asks next finds out, and is told
	}
	c.server.recordSuccess()
	p.checkin(c, ldap.LDAPResultSuccess)
}

// close lets nobody in any more, waits for those who are, and closes all
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
