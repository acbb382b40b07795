package ldap

import (
	"context"
	"errors"
	"fmt"
	"time"

	ldap "github.com/go-ldap/ldap/v3"

	"shorepass/internal/secret"
	"shorepass/providers"
)

// bind sends a bind on a connection. The response has none of the server's text.
// The error is a [*wireError]: there is no answer.
func (c *conn) bind(ctx context.Context, timeout time.Duration, dn string, password secret.Text, policyControl bool) (bindResponse, error) {
	var response bindResponse
	began := time.Now()
	err := c.do(ctx, timeout, shortResponse, func(l *ldap.Conn) (err error) {
		response, err = sendBind(l, dn, password, policyControl)
		return err
	})
	c.requests.Record(requestBind, began, isFailure(err) || busyOrUnavailable(response.err()))
	return response, err
}

// checkPassword checks a person's password by a bind as dn, in the share of an
// account. Nil means that the password is right. The error wraps ErrRejected, or
// says why the directory cannot tell.
func (d *directory) checkPassword(ctx context.Context, shareKey, dn string, password secret.Text) error {
	release, err := d.bind.acquire(ctx, d.slowAccounts.shareKey(shareKey))
	if err != nil {
		return providers.NotCounted(err)
	}
	defer release()
	c, response, err := d.bindPerson(ctx, shareKey, dn, password, false)
	if err != nil {
		return err
	}
	d.bind.checkin(c, response.code)
	return d.bindOutcome(ctx, c.server, response)
}

// openPersonConn checks a password as checkPassword does, on a fresh connection,
// and returns that connection for searches as the person. The caller closes it.
// Until then it occupies a slot of the pool for binds.
func (d *directory) openPersonConn(ctx context.Context, shareKey, dn string, password secret.Text) (person personConn, err error) {
	release, err := d.bind.acquire(ctx, d.slowAccounts.shareKey(shareKey))
	if err != nil {
		return personConn{}, providers.NotCounted(err)
	}
	c, response, err := d.bindPerson(ctx, shareKey, dn, password, true)
	if err != nil {
		release()
		return personConn{}, err
	}
	person = personConn{d, c, release}
	if err := d.bindOutcome(ctx, c.server, response); err != nil {
		person.close()
		return personConn{}, err
	}
	return person, nil
}

// bindPerson sends a person's password at most once: it retries on another
// connection or server only if no byte of the request was written. It returns the
// connection with the response. A bind, answered or not, says nothing of the
// server's health; one without an answer starts a probe, which does.
func (d *directory) bindPerson(ctx context.Context, shareKey, dn string, password secret.Text, fresh bool) (*conn, bindResponse, error) {
	tried := make(map[*server]bool)
	for {
		began := time.Now()
		c, err := d.bind.checkout(ctx, fresh, tried)
		if err != nil {
			return nil, bindResponse{}, providers.NotCounted(err)
		}
		response, err := c.bind(ctx, d.timeout-time.Since(began), dn, password, d.hasPolicyControl(ctx, c.server))
		if err == nil {
			d.slowAccounts.remove(shareKey)
			return c, response, nil
		}
		c.close()
		err = fmt.Errorf("%s: bind: %w", c.server.url, err)
		if w, _ := errors.AsType[*wireError](err); !w.unsent {
			return nil, bindResponse{}, d.probeAfterNoAnswer(ctx, shareKey, c.server, err)
		}
		if ctxDone(ctx) {
			return nil, bindResponse{}, providers.NotCounted(fmt.Errorf("%w: %w", err, ctxError(ctx)))
		}
		if c.reused && !fresh {
			fresh = true // an idle connection broke
		} else {
			tried[c.server] = true
		}
	}
}

// hasPolicyControl reports whether a server announces the password policy control
// (draft-behera-ldap-password-policy-11, section 6.1). Where that is not known, it
// probes the server, which reads it.
func (d *directory) hasPolicyControl(ctx context.Context, s *server) bool {
	if !s.featuresKnown() {
		_ = d.probe(ctx, s, nil) // the outcome is recorded in s
	}
	return s.hasControl(ldap.ControlTypeBeheraPasswordPolicy)
}

// probeAfterNoAnswer returns the error of a password that was sent and not
// answered. If the service's own probe shows right after it that the server is
// down, the password is not counted; else it may be.
func (d *directory) probeAfterNoAnswer(ctx context.Context, shareKey string, s *server, err error) error {
	probeErr := d.probe(ctx, s, nil)
	if showsDown(probeErr) {
		return notCounted(err, probeErr)
	}
	if probeErr == nil {
		d.slowAccounts.add(shareKey)
	}
	return err
}

// bindOutcome returns bindError of a response. It probes the server first if the
// response may concern the server and not the account.
func (d *directory) bindOutcome(ctx context.Context, s *server, response bindResponse) error {
	err := bindError(response)
	unwilling := errors.Is(err, errUnwilling)
	if !unwilling && !busyOrUnavailable(err) {
		return err
	}
	switch probeErr := d.probe(ctx, s, nil); {
	case showsDown(probeErr):
		return notCounted(err, probeErr)
	case unwilling && probeErr == nil:
		return providers.Reject(providers.Locked, err)
	}
	return err
}

// notCounted joins the errors of a bind and of the probe after it, marked with
// [providers.NotCounted].
func notCounted(err, probeErr error) error {
	return providers.NotCounted(fmt.Errorf("%w; the probe after it failed: %w", err, probeErr))
}
