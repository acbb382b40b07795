package ldap

import (
	"context"
	"errors"
	"time"

	ldap "github.com/go-ldap/ldap/v3"
)

// conn is one connection. It is used by one operation at a time, whose
// goroutine owns it.
type conn struct {
	ldap   *ldap.Conn
	wire   *wire
	server *server
	epoch  int // of the server, when it was opened
	opened time.Time
	used   time.Time // when it was last given back
	reused bool      // it was given out before
}

// close ends the connection. The wire goes first, so that nothing can hold the
// library back.
func (c *conn) close() {
	_ = c.wire.Close() // nothing more can be done about it
	_ = c.ldap.Close() // its connection is closed already
}

// dead reports whether the connection has been closed, by the other side too.
func (c *conn) dead() bool { return c.ldap.IsClosing() }

// do runs one operation within limit and ctx, whichever ends first. After an
// error that is not the server's answer the connection is of no more use.
func (c *conn) do(ctx context.Context, limit time.Duration, operation func(*ldap.Conn) error) error {
	ends := time.Now().Add(limit)
	deadline := ends
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	if err := c.wire.begin(deadline); err != nil {
		return &wireError{err: err, unsent: true}
	}
	stop := context.AfterFunc(ctx, c.wire.abort)
	err := operation(c.ldap)
	stopped := stop()
	if err != nil && !answered(err) {
		return &wireError{err: err, unsent: c.wire.silent(), late: !time.Now().Before(ends)}
	}
	if !stopped || c.wire.end() != nil {
		// The answer is here and counts; the connection was stopped in the
		// same instant.
		c.close()
	}
	return err
}

// over reports whether ctx has ended, or its time has: a connection that has
// the same limit can find out before ctx says so.
func over(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ctx.Err() != nil || ok && !time.Now().Before(deadline)
}

// cause says why a context that is over is.
func cause(ctx context.Context) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return context.DeadlineExceeded
}

// wireError is an operation that has no answer.
type wireError struct {
	err    error
	unsent bool // nothing of it has left this machine
	late   bool // it took all the time that a server has
}

func (e *wireError) Error() string {
	if e.late {
		return "no answer in time: " + e.err.Error()
	}
	return e.err.Error()
}

func (e *wireError) Unwrap() error { return e.err }

// firstLocalCode is where the library's own codes begin that no server sends.
const firstLocalCode = ldap.ErrorNetwork

// answered reports whether an error is the server's answer, after which the
// connection is as good as before.
func answered(err error) bool {
	e, ok := errors.AsType[*ldap.Error](err)
	return ok && e.ResultCode < firstLocalCode
}

// code returns the result code of a server's answer (RFC 4511, appendix A).
func code(err error) uint16 {
	if e, ok := errors.AsType[*ldap.Error](err); ok {
		return e.ResultCode
	}
	return ldap.LDAPResultSuccess
}
