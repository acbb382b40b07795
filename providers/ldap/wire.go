package ldap

import (
	"net"
	"sync/atomic"
	"time"
)

// wire is a connection's bytes, beneath TLS and the library, which has neither
// time limits nor a way of knowing whether a request has left.
type wire struct {
	net.Conn
	written atomic.Int64 // since begin
}

// begin starts the count for one operation and gives it a time limit.
func (w *wire) begin(deadline time.Time) error {
	w.written.Store(0)
	return w.SetDeadline(deadline)
}

// end takes the time limit away.
func (w *wire) end() error { return w.SetDeadline(time.Time{}) }

// abort makes whoever reads or writes stop at once.
func (w *wire) abort() { _ = w.SetDeadline(time.Unix(1, 0)) } // fails only on a connection that is closed

// nothingWritten reports whether nothing has been written since begin, so that what was
// to be sent can have reached nobody.
func (w *wire) nothingWritten() bool { return w.written.Load() == 0 }

func (w *wire) Write(b []byte) (int, error) {
	n, err := w.Conn.Write(b)
	w.written.Add(int64(n))
	return n, err
}
