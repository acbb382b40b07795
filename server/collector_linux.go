package server

import (
	"syscall"
	"time"
)

// maxUnacknowledged is how long a collector may leave what was sent unacknowledged. The
// kernel's own limit is a quarter of an hour, during which lines for a machine that has
// vanished would count as written.
const maxUnacknowledged = 10 * time.Second

// tcpUserTimeout is TCP_USER_TIMEOUT of tcp(7), which package syscall lacks.
const tcpUserTimeout = 18

// limitUnacknowledged sets maxUnacknowledged for a socket.
func limitUnacknowledged(_, _ string, c syscall.RawConn) error {
	return c.Control(func(fd uintptr) {
		// A kernel without it has its own limit.
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout, int(maxUnacknowledged.Milliseconds()))
	})
}
