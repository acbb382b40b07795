//go:build unix

package server

import (
	"io"
	"log/syslog"
)

// hasLocalSyslog says whether machines of this system have a syslog daemon.
const hasLocalSyslog = true

// dialLocalSyslog connects to the syslog daemon of this machine. Each write to the
// connection is one message.
func dialLocalSyslog() (io.WriteCloser, error) {
	w, err := syslog.New(syslog.LOG_AUTHPRIV|syslog.LOG_INFO, "shorepass")
	if err != nil {
		return nil, err // not w, which would be a nil pointer in an interface
	}
	return w, nil
}
