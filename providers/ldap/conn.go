package ldap

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"time"

	ldap "github.com/go-ldap/ldap/v3"

	"shorepass/internal/latency"
)

// conn is one connection to a server. One operation at a time uses it, and the
// operation's goroutine owns it.
type conn struct {
	ldap      *ldap.Conn
	guard     *guard
	wire      *wire
	tls       *tls.Conn // nil without TLS
	server    *server
	requests  *latency.Recorder // set by the pool that opened it
	trial     *trial            // for which the connection was opened, or nil; ended once it is idle
	epoch     int               // of the server when the connection was opened
	opened    time.Time
	idleSince time.Time // the last checkin
	reused    bool      // it was idle before this checkout
}

// close closes the connection: the wire first, so that closing the library's
// connection cannot block.
func (c *conn) close() {
	_ = c.wire.Close() // nothing more can be done about it
	_ = c.ldap.Close() // the wire below is closed already
}

// dead reports whether either side has closed the connection.
func (c *conn) dead() bool { return c.ldap.IsClosing() }

// do runs one operation until timeout or the end of ctx, and reads at most limit. A
// [*resultError] is the server's answer. A [*wireError] means that there is none,
// and that the connection is of no more use.
func (c *conn) do(ctx context.Context, timeout time.Duration, limit readLimit, operation func(*ldap.Conn) error) error {
	end := time.Now().Add(timeout)
	deadline := end
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
		return &wireError{err: c.failure(), unsent: c.wire.nothingWritten(), timedOut: !time.Now().Before(end)}
	}
	c.guard.end()
	if !stopped || c.wire.end() != nil {
		// The answer arrived and counts. The connection was aborted at the same
		// moment.
		c.close()
	}
	return err
}

var errIdleClosed = errors.New("the connection was closed while it was idle")

// failure returns why an operation has no answer. It does not return the library's
// error, which may hold the server's text.
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

// ctxDone reports whether ctx has ended or its deadline has passed: a connection
// with the same deadline may time out before ctx ends.
func ctxDone(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ctx.Err() != nil || ok && !time.Now().Before(deadline)
}

// ctxError returns why ctx ended.
func ctxError(ctx context.Context) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return context.DeadlineExceeded
}

// wireError is the error of an operation without an answer. Its text holds nothing
// of the server's.
type wireError struct {
	err      error
	unsent   bool // no byte of the request was written
	timedOut bool // the server had its full timeout
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
