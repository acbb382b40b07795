package server

import (
	"fmt"
	"io"
	"log/syslog"
	"os"
	"strings"
	"sync"
)

// Audit writes one JSON line a decision. It is safe for concurrent use.
type Audit struct {
	required bool
	failed   func(error) // counts and logs a line that could not be written

	mu sync.Mutex // guards out, so that lines do not mix
	// out is nil when nothing is audited.
	out io.WriteCloser
}

// OpenAudit opens what cfg names. stdout is written to when cfg says so, and
// is not closed by Close. failed is called for each line that cannot be
// written.
func OpenAudit(cfg AuditConfig, stdout io.Writer, failed func(error)) (*Audit, error) {
	a := &Audit{required: cfg.Required, failed: failed}
	var err error
	switch path, isFile := strings.CutPrefix(cfg.To, "file:"); {
	case isFile:
		a.out, err = os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	case cfg.To == "syslog":
		a.out, err = syslog.New(syslog.LOG_AUTHPRIV|syslog.LOG_INFO, "shorepass")
	case cfg.To == "off":
	default:
		a.out = keepOpen{stdout}
	}
	if err != nil {
		return nil, fmt.Errorf("open the audit log %q: %w", cfg.To, err)
	}
	return a, nil
}

// keepOpen is a writer that somebody else closes.
type keepOpen struct{ io.Writer }

func (keepOpen) Close() error { return nil }

// Close closes the file or the connection to syslog.
func (a *Audit) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.out == nil {
		return nil
	}
	return a.out.Close()
}

// record writes the line of e, which ends with status, unless it is out
// already. The error is errUnavailable, and only where the configuration says
// that nobody is served without a line.
func (a *Audit) record(e *event, status int) error {
	if e.recorded {
		return nil
	}
	e.recorded = true
	e.finish(status)
	if err := a.write(e); err != nil {
		a.failed(err)
		if a.required {
			return fmt.Errorf("%w: write the audit line: %w", errUnavailable, err)
		}
	}
	return nil
}

func (a *Audit) write(e *event) error {
	if a.out == nil {
		return nil
	}
	return withLine(e, func(line []byte) error {
		a.mu.Lock()
		defer a.mu.Unlock()
		_, err := a.out.Write(line)
		return err
	})
}
