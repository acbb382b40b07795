package ldap

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"time"

	ldap "github.com/go-ldap/ldap/v3"
)

// conn is one connection. It is used by one operation at a time, whose
// goroutine owns it.
type conn struct {
	ldap      *ldap.Conn
	guard     *guard
	wire      *wire
	tls       *tls.Conn // nil without TLS
	server    *server
	epoch     int // of the server, when it was opened
	opened    time.Time
	idleSince time.Time // when it was last given back
	reused    bool      // it was given out before
}

// close ends the connection. The wire goes first, so that nothing can hold the
// library back.
func (c *conn) close() {
	_ = c.wire.Close() // nothing more can be done about it
	_ = c.ldap.Close() // its connection is closed already
}

// dead reports whether the connection has been closed, by the other side too.
func (c *conn) dead() bool { return c.ldap.IsClosing() }

// do runs one operation within limit and ctx, whichever ends first, whose answer
// is within what it may be. The error is a [*resultError], the server's answer, or
// a [*wireError], after which the connection is of no more use.
func (c *conn) do(ctx context.Context, timeout time.Duration, limit readLimit, operation func(*ldap.Conn) error) error {
	ends := time.Now().Add(timeout)
	deadline := ends
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	c.guard.begin(limit)
	if err := c.wire.begin(deadline); err != nil {
		return &wireError{err: err, unsent: true}
	}
	stop := context.AfterFunc(ctx, c.wire.abort)
	err := toResultError(operation(c.ldap))
	stopped := stop()
	if err != nil && !answered(err) {
		return &wireError{err: c.failure(), unsent: c.wire.nothingWritten(), timedOut: !time.Now().Before(ends)}
	}
	c.guard.end()
	if !stopped || c.wire.end() != nil {
		// The answer is here and counts; the connection was stopped in the
		// same instant.
		c.close()
	}
	return err
}

var errIdleClosed = errors.New("the connection was closed while it was idle")

// failure returns why an operation has no answer. The library's own error may hold
// words of the server.
func (c *conn) failure() error {
	err := c.guard.firstError()
	switch {
	case err != nil:
		return err
	case c.wire.nothingWritten():
		return errIdleClosed
	}
	return errMalformed
}

// ctxDone reports whether ctx has ended, or its time has: a connection that has
// the same limit can find out before ctx says so.
func ctxDone(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ctx.Err() != nil || ok && !time.Now().Before(deadline)
}

// ctxError says why a context that is over is.
func ctxError(ctx context.Context) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return context.DeadlineExceeded
}

// wireError is an operation that has no answer. Its text is this side's own.
type wireError struct {
	err      error
	unsent   bool // nothing of it has left this machine
	timedOut bool // it took all the time that a server has
}

func (e *wireError) Error() string {
	switch {
	case e.timedOut:
		return "no answer in time"
	case errors.Is(e.err, io.EOF), errors.Is(e.err, io.ErrUnexpectedEOF):
		return "the directory closed the connection"
	}
	return e.err.Error()
}

func (e *wireError) Unwrap() error { return e.err }
