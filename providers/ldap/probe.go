package ldap

import (
	"context"
	"errors"
	"fmt"
	"time"

	ldap "github.com/go-ldap/ldap/v3"
)

// probing is the single-flight of the probes of one server.
type probing struct {
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
	p, lead := s.joinProbe()
	if lead {
		if err := d.search.occupy(); err != nil {
			s.endProbe(p, fmt.Errorf("%w: %w", errNotProbed, err))
			return p.err
		}
		go func() {
			defer d.search.using.Done()
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.limit)
			defer cancel()
			s.endProbe(p, d.check(ctx, s))
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
func (s *server) joinProbe() (p *probing, lead bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.probing == nil {
		s.probing, lead = &probing{done: make(chan struct{})}, true
	}
	return s.probing, lead
}

func (s *server) endProbe(p *probing, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p.err, s.probing = err, nil
	close(p.done)
}

// check connects to a server, binds as the service account, reads the root DSE,
// and notes whether all that worked by the end of ctx.
func (d *directory) check(ctx context.Context, s *server) error {
	leave, err := d.search.enter(ctx, service)
	if err != nil {
		s.released()
		return fmt.Errorf("%w: %w", errNotProbed, err)
	}
	defer leave()
	c, err := d.search.open(ctx, s)
	if err == nil {
		if _, err = c.rootDSE(ctx, d.limit, "supportedLDAPVersion"); answered(err) && !refusesToServe(err) {
			err = nil // the root DSE may be hidden from some accounts
		}
		if err != nil {
			c.close()
		}
	}
	switch {
	case err == nil:
		s.succeeded()
		d.search.give(c, ldap.LDAPResultSuccess)
	case errors.Is(err, errServiceAccount):
		s.released()
	default:
		s.failed(err)
	}
	return err
}

// revive probes a server that is down, once its rest is over.
func (d *directory) revive(ctx context.Context, s *server) {
	if !s.up() && s.claim() {
		_ = d.probe(ctx, s) // the server remembers it
	}
}

// rootDSE reads what a server says of itself (RFC 4512, section 5.1).
func (c *conn) rootDSE(ctx context.Context, limit time.Duration, attributes ...string) (entry, error) {
	found := entry{}
	err := c.do(ctx, limit, shortAnswer, func(l *ldap.Conn) error {
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
