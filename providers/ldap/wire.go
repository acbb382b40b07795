package ldap

import (
	"net"
	"sync/atomic"
	"time"
)

// wire is the raw connection beneath TLS and the library. It adds deadlines, and
// counts the bytes written, to tell whether a request was sent.
type wire struct {
	net.Conn
	written atomic.Int64 // since begin
}

// begin resets the count and sets the deadline for one operation.
func (w *wire) begin(deadline time.Time) error {
	w.written.Store(0)
	return w.SetDeadline(deadline)
}

// end removes the deadline.
func (w *wire) end() error { return w.SetDeadline(time.Time{}) }

// abort ends reads and writes in progress immediately.
func (w *wire) abort() { _ = w.SetDeadline(time.Unix(1, 0)) } // fails only on a closed connection

// nothingWritten reports whether no byte was written since begin, so that the
// request cannot have arrived.
func (w *wire) nothingWritten() bool { return w.written.Load() == 0 }

func (w *wire) Write(b []byte) (int, error) {
	n, err := w.Conn.Write(b)
	w.written.Add(int64(n))
	return n, err
}
