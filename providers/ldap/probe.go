package ldap

import (
	"context"
	"errors"
	"fmt"
	"time"

	ldap "github.com/go-ldap/ldap/v3"
)

// probeCall is the single-flight of the probes of one server.
type probeCall struct {
	done chan struct{}
	err  error // may be read once done is closed
}

// errNotProbed is a probe that was not made, which says nothing of the server.
var errNotProbed = errors.New("the server was not probed")

// showsDown reports whether the error of a probe says that the server is down.
func showsDown(err error) bool {
	return err != nil && !errors.Is(err, errNotProbed) && !errors.Is(err, errServiceAccount)
}

// probe has the service find out by itself whether a server is healthy, and
// returns nil if it is. Callers at the same time share one probe, which takes no
// longer than one operation; ctx ends the wait alone.
func (d *directory) probe(ctx context.Context, s *server) error {
	p, leader := s.joinProbe()
	if leader {
		if err := d.search.addUser(); err != nil {
			s.endProbe(p, fmt.Errorf("%w: %w", errNotProbed, err))
			return p.err
		}
		go func() {
			defer d.search.users.Done()
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.timeout)
			defer cancel()
			s.endProbe(p, d.checkHealth(ctx, s))
		}()
	}
	select {
	case <-p.done:
		return p.err
	case <-ctx.Done():
		return fmt.Errorf("%w in time: %w", errNotProbed, context.Cause(ctx))
	}
}

// joinProbe returns the probe that is under way, or a new one, which the caller
// leads.
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

// checkHealth connects to a server, binds as the service account, reads the root DSE,
// and notes whether all that worked by the end of ctx.
func (d *directory) checkHealth(ctx context.Context, s *server) error {
	release, err := d.search.acquire(ctx, serviceShare)
	if err != nil {
		s.release()
		return fmt.Errorf("%w: %w", errNotProbed, err)
	}
	defer release()
	c, err := d.search.open(ctx, s)
	if err == nil {
		if _, err = c.rootDSE(ctx, d.timeout, "supportedLDAPVersion"); answered(err) && !busyOrUnavailable(err) {
			err = nil // the root DSE may be hidden from some accounts
		}
		if err != nil {
			c.close()
		}
	}
	switch {
	case err == nil:
		s.recordSuccess()
		d.search.checkin(c, ldap.LDAPResultSuccess)
	case errors.Is(err, errServiceAccount):
		s.release()
	default:
		s.recordFailure(err)
	}
	return err
}

// probeIfDue probes a server that is down, once its rest is over.
func (d *directory) probeIfDue(ctx context.Context, s *server) {
	if !s.up() && s.tryAcquire() {
		_ = d.probe(ctx, s) // the server remembers it
	}
}

// rootDSE reads what a server says of itself (RFC 4512, section 5.1).
func (c *conn) rootDSE(ctx context.Context, timeout time.Duration, attributes ...string) (entry, error) {
	found := entry{}
	err := c.do(ctx, timeout, shortResponse, func(l *ldap.Conn) error {
		result, err := l.Search(&ldap.SearchRequest{
			Scope: ldap.ScopeBaseObject, Filter: "(objectClass=*)", Attributes: attributes, SizeLimit: 1,
		})
		if err == nil && len(result.Entries) > 0 {
			found = newEntry(result.Entries[0])
		}
		return err
	})
	return found, err
}
