package ldap

import (
	"context"
	"errors"
	"fmt"
	"time"

	ldap "github.com/go-ldap/ldap/v3"
)

// probeCall is one probe of a server in flight (single-flight).
type probeCall struct {
	done chan struct{}
	err  error // valid once done is closed
}

// errNotProbed means that no probe was made, which says nothing of the server.
var errNotProbed = errors.New("the server was not probed")

// showsDown reports whether a probe's error means that the server is down.
func showsDown(err error) bool {
	return err != nil && !errors.Is(err, errNotProbed) && !errors.Is(err, errServiceAccount)
}

// probe checks the health of a server with the service's own operations, and returns
// nil if it is healthy. Concurrent callers share one probe (single-flight), which
// takes at most the timeout of one operation. The end of ctx ends only the wait. The
// probe ends the caller's trial, if any.
func (d *directory) probe(ctx context.Context, s *server, t *trial) error {
	p, leader := s.joinProbe()
	if leader {
		if err := d.search.addUser(); err != nil {
			s.release(t)
			s.endProbe(p, fmt.Errorf("%w: %w", errNotProbed, err))
			return p.err
		}
		go func() {
			defer d.search.users.Done()
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.timeout)
			defer cancel()
			s.endProbe(p, d.checkHealth(ctx, s, t))
		}()
	} else {
		s.release(t) // the probe in flight records its own outcome
	}
	select {
	case <-p.done:
		return p.err
	case <-ctx.Done():
		return fmt.Errorf("%w in time: %w", errNotProbed, context.Cause(ctx))
	}
}

// joinProbe returns the probe in flight, or a new one. The leader of a new one runs
// the probe and must call endProbe.
func (s *server) joinProbe() (p *probeCall, leader bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.probe == nil {
		s.probe, leader = &probeCall{done: make(chan struct{})}, true
	}
	return s.probe, leader
}

func (s *server) endProbe(p *probeCall, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p.err, s.probe = err, nil
	close(p.done)
}

// checkHealth dials a server, binds as the service account, reads the root DSE, and
// records the outcome, which ends the trial t, if any.
func (d *directory) checkHealth(ctx context.Context, s *server, t *trial) error {
	release, err := d.search.acquire(ctx, serviceShare)
	if err != nil {
		s.release(t)
		return fmt.Errorf("%w: %w", errNotProbed, err)
	}
	defer release()
	c, err := d.search.open(ctx, s)
	if err == nil {
		if err = c.readFeatures(ctx, d); err != nil {
			c.close()
		}
	}
	switch {
	case err == nil:
		s.recordSuccess(t)
		d.search.checkin(c, ldap.LDAPResultSuccess)
	case errors.Is(err, errServiceAccount):
		s.release(t)
	default:
		s.recordFailure(t, err)
	}
	return err
}

// probeIfDue probes a server that is down, once its backoff is over.
func (d *directory) probeIfDue(ctx context.Context, s *server) {
	if s.up() {
		return
	}
	if t, ok := s.tryAcquire(); ok {
		_ = d.probe(ctx, s, t) // the outcome is recorded in s
	}
}

// rootDSE reads attributes of the server's root DSE (RFC 4512, section 5.1).
func (c *conn) rootDSE(ctx context.Context, timeout time.Duration, attributes ...string) (entry, error) {
	var root entry
	err := c.do(ctx, timeout, shortResponse, func(l *ldap.Conn) (err error) {
		root, err = readRootDSE(l, attributes)
		return err
	})
	return root, err
}

func readRootDSE(l *ldap.Conn, attributes []string) (entry, error) {
	result, err := l.Search(&ldap.SearchRequest{
		Scope: ldap.ScopeBaseObject, Filter: anyEntry, Attributes: attributes, SizeLimit: 1,
	})
	if err != nil || len(result.Entries) == 0 {
		return entry{}, err
	}
	return newEntry(result.Entries[0], nil), nil
}
