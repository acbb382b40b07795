package server

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/syslog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

// Audit writes one JSON line a decision. It is safe for concurrent use.
type Audit struct {
	required  bool
	allGroups bool        // a line names every group of a person
	failed    func(error) // counts and logs a line that could not be written
	file      string      // empty when it is none

	mu sync.RWMutex // guards out, which may be written to by many at once
	// out is nil when nothing is audited. Each of its writes is one line, and
	// lines do not mix: lineFile and Sink guarantee that.
	out io.WriteCloser
}

// OpenAudit opens what cfg names. stdout is written to when cfg says so, and
// is not closed by Close. failed is called for each line that cannot be
// written.
func OpenAudit(cfg AuditConfig, stdout io.Writer, failed func(error)) (*Audit, error) {
	a := &Audit{required: cfg.Required, allGroups: cfg.Groups == groupsAll, failed: failed}
	var err error
	switch path, isFile := strings.CutPrefix(cfg.To, "file:"); {
	case isFile:
		a.file = path
		a.out, err = openAuditFile(path)
	case cfg.To == "syslog":
		a.out, err = openSyslog()
	case cfg.To == "off":
	case mayBlock(stdout):
		a.out = NewSink(stdout)
	default:
		a.out = keepOpen{newLineFile(stdout)}
	}
	if err != nil {
		return nil, fmt.Errorf("open the audit log %q: %w", cfg.To, err)
	}
	return a, nil
}

// Check reports whether OpenAudit would open what the configuration names. It
// makes no file, and writes nothing.
func (c AuditConfig) Check() error {
	var err error
	switch path, isFile := strings.CutPrefix(c.To, "file:"); {
	case isFile:
		err = checkAuditFile(path)
	case c.To == "syslog":
		var w *syslog.Writer
		if w, err = syslog.New(syslog.LOG_AUTHPRIV|syslog.LOG_INFO, "shorepass"); err == nil {
			err = w.Close()
		}
	}
	if err != nil {
		return fmt.Errorf("open the audit log %q: %w", c.To, err)
	}
	return nil
}

func checkAuditFile(path string) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY|syscall.O_NONBLOCK, 0) // a named pipe would wait for its reader
	switch {
	case err == nil:
		return f.Close()
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	const change = 2 | 1 // W_OK and X_OK of access(2)
	if err := syscall.Access(filepath.Dir(path), change); err != nil {
		return &fs.PathError{Op: "make a file in", Path: filepath.Dir(path), Err: err}
	}
	return nil
}

func openAuditFile(path string) (io.WriteCloser, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	if mayBlock(f) { // a named pipe, a terminal
		return ownSink{NewSink(f), f}, nil
	}
	return ownFile{newLineFile(f), f}, nil
}

func openSyslog() (io.WriteCloser, error) {
	w, err := syslog.New(syslog.LOG_AUTHPRIV|syslog.LOG_INFO, "shorepass")
	if err != nil {
		return nil, err
	}
	return ownSink{newSink(w, limitOneLine), w}, nil
}

// keepOpen is a writer that somebody else closes.
type keepOpen struct{ io.Writer }

func (keepOpen) Close() error { return nil }

// ownFile is a lineFile that is closed with its file.
type ownFile struct {
	*lineFile
	file *os.File
}

func (o ownFile) Close() error { return o.file.Close() }

// ownSink is a sink that is closed with what it writes to.
type ownSink struct {
	*Sink
	out io.Closer
}

// Close leaves what is stuck alone, since closing it could wait as long.
func (s ownSink) Close() error {
	if err := s.Sink.Close(); err != nil {
		return err
	}
	return s.out.Close()
}

// Reopen opens a file anew, so that lines go to the one that has its name now,
// after somebody has moved the old one away. Where it fails they go on to the
// old one. Anything but a file is left as it is.
func (a *Audit) Reopen() error {
	if a.file == "" {
		return nil
	}
	out, err := openAuditFile(a.file)
	if err != nil {
		return fmt.Errorf("open the audit log %q again: %w", a.file, err)
	}
	a.mu.Lock()
	old := a.out
	a.out = out
	a.mu.Unlock()
	return old.Close()
}

// Close closes the file or the connection to syslog. It waits no longer than a
// line may take.
func (a *Audit) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.out == nil {
		return nil
	}
	if err := a.out.Close(); err != nil {
		return fmt.Errorf("close the audit log: %w", err)
	}
	return nil
}

// write writes one line. An error is unavailable, and is returned only where
// AuditConfig.Required forbids to answer without a line.
func (a *Audit) write(line *auditLine) error {
	err := a.writeLine(line)
	if err == nil {
		return nil
	}
	a.failed(err)
	if a.required {
		return unavailable(fmt.Errorf("write the audit line: %w", err))
	}
	return nil
}

func (a *Audit) writeLine(line *auditLine) error {
	a.mu.RLock()
	defer a.mu.RUnlock()
	if a.out == nil {
		return nil
	}
	return withLine(line, func(text []byte) error {
		_, err := a.out.Write(text)
		return err
	})
}
