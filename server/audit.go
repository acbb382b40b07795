package server

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"shorepass/internal/durable"
)

// Audit writes the audit log: one JSON line for each decision. It is safe for
// concurrent use.
type Audit struct {
	required  bool
	allGroups bool        // a line names every group of a person
	failed    func(error) // counts a line that could not be written
	log       *slog.Logger
	file      string // the path; empty unless the log is a file

	failedAt atomic.Int64 // when a line was not written, in nanoseconds since 1970; 0 if the last one was
	lost     atomic.Int64 // lines that were not written since one was
	logged   logLimit     // of the messages about lost lines

	mu sync.RWMutex // guards the field out, not its writes
	// out is nil if the audit log is off. Each of its writes is one line, and
	// concurrent lines do not mix: lineFile and Sink guarantee that.
	out io.WriteCloser
}

// OpenAudit opens the audit log that cfg names. Close does not close stdout. Each line
// that cannot be written is counted in metrics, and log has a line a minute about them.
func OpenAudit(cfg AuditConfig, stdout io.Writer, metrics *Metrics, log *slog.Logger) (*Audit, error) {
	a := &Audit{required: cfg.Required, allGroups: cfg.Groups == groupsAll, failed: metrics.countAuditFailure, log: log}
	var err error
	switch path, isFile := strings.CutPrefix(cfg.To, "file:"); {
	case isFile:
		a.file = path
		a.out, err = openAuditFile(path)
	case cfg.To == "syslog":
		a.out, err = openSyslog()
	case cfg.IsRemote():
		a.out, err = openCollector(cfg)
	case cfg.To == "off":
	case mayBlock(stdout):
		a.out = NewSink(stdout)
	default:
		a.out = keepOpen{newLineFile(stdout)}
	}
	if err != nil {
		return nil, cfg.openError(err)
	}
	return a, nil
}

// openError returns the error of an audit log that cannot be opened, with its cure.
func (c AuditConfig) openError(err error) error {
	switch {
	case c.To == "syslog":
		err = fmt.Errorf("no syslog daemon listens on this machine; start one (in a container, mount its socket /dev/log), or write to = \"stdout\": %w", err)
	case errors.Is(err, syscall.ENXIO):
		err = errors.New("no program reads from this pipe; start its reader first")
	}
	return fmt.Errorf("open the audit log %q: %w", c.To, err)
}

// Check reports whether OpenAudit would succeed. It creates no file and writes
// nothing.
func (c AuditConfig) Check() error {
	var err error
	switch path, isFile := strings.CutPrefix(c.To, "file:"); {
	case isFile:
		err = checkAuditFile(path)
	case c.To == "syslog":
		var w io.Closer
		if w, err = dialLocalSyslog(); err == nil {
			err = w.Close()
		}
	case c.IsRemote():
		_, err = newCollector(c)
	}
	if err != nil {
		return c.openError(err)
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
	return durable.CheckWritable(filepath.Dir(path))
}

// openAuditFile opens an audit file. A named pipe without a reader is an error, as it is
// to checkAuditFile; without O_NONBLOCK the open would wait for the reader for ever.
func openAuditFile(path string) (io.WriteCloser, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY|syscall.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, err
	}
	if mayBlock(f) { // a named pipe, a terminal
		return ownSink{NewSink(f), f}, nil
	}
	lines := newLineFile(f)
	lines.torn = endsWithinLine(path)
	return ownFile{lines, f}, nil
}

// endsWithinLine reports whether a file ends with half a line, as a full disk or a
// crash leaves it. A file that this process may not read counts as whole.
func endsWithinLine(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil || size == 0 {
		return false
	}
	last := make([]byte, 1)
	_, err = f.ReadAt(last, size-1)
	return err == nil && last[0] != '\n'
}

func openSyslog() (io.WriteCloser, error) {
	w, err := dialLocalSyslog()
	if err != nil {
		return nil, err
	}
	return ownSink{newSink(w, limitOneLine), w}, nil
}

// keepOpen is a writer whose Close does nothing: its owner closes it.
type keepOpen struct{ *lineFile }

func (keepOpen) Close() error { return nil }

// ownFile is a lineFile that is closed with its file.
type ownFile struct {
	*lineFile
	file *os.File
}

func (o ownFile) Close() error { return o.file.Close() }

// ownSink is a sink that is closed with its output.
type ownSink struct {
	*Sink
	out io.Closer
}

// Close does not close an output whose write is stuck, since that could block too.
func (s ownSink) Close() error {
	if err := s.Sink.Close(); err != nil {
		return err
	}
	return s.out.Close()
}

// Reopen opens the file again, after logrotate has renamed the old one. If that fails,
// lines go on to the old file. For any other output Reopen does nothing.
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

// Close closes the file or the connection to syslog. It waits at most for the timeout
// of a line.
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

// write writes one line. It returns an error, which is unavailable (503), only if
// AuditConfig.Required forbids an answer without a line.
func (a *Audit) write(line *auditLine) error {
	err := a.writeLine(line)
	if err == nil {
		if a.failedAt.Load() != 0 && a.failedAt.Swap(0) != 0 {
			a.log.Info("audit lines are written again", "lost", a.lost.Swap(0))
		}
		return nil
	}
	a.lost.Add(1)
	a.failedAt.Store(time.Now().UnixNano())
	a.failed(err)
	if dropped, ok := a.logged.admit("", time.Now()); ok {
		a.log.Error("an audit line was not written", "error", err, "not_logged", dropped)
	}
	if a.required {
		return unavailable(fmt.Errorf("%w: %w", errNoAuditLine, err))
	}
	return nil
}

// errNoAuditLine refuses a request whose audit line could not be written.
var errNoAuditLine = errors.New("write the audit line")

// auditDownTTL is how long the audit log counts as down after a line was not written,
// where no other is written: without requests nothing tells that the disk has room again.
const auditDownTTL = 10 * time.Second

// isDown reports whether the last line could not be written.
func (a *Audit) isDown() bool {
	at := a.failedAt.Load()
	return at != 0 && time.Since(time.Unix(0, at)) < auditDownTTL
}

// AuditStats are gauges of the audit log.
type AuditStats struct {
	Queue int // lines that wait for the write in progress
}

// Stats returns the gauges as of now.
func (a *Audit) Stats() AuditStats {
	a.mu.RLock()
	defer a.mu.RUnlock()
	if queue, ok := a.out.(interface{ waiting() int }); ok {
		return AuditStats{Queue: queue.waiting()}
	}
	return AuditStats{}
}

func (a *Audit) writeLine(line *auditLine) error {
	a.mu.RLock()
	defer a.mu.RUnlock()
	if a.out == nil {
		return nil
	}
	write := func(text []byte) error {
		_, err := a.out.Write(text)
		return err
	}
	return withLine(line, func(text []byte) error {
		if len(text) <= maxAuditLine/3 { // an escape is at most three times as long as its character
			return write(text)
		}
		if size := asciiLength(text); size > maxAuditLine {
			return withLine(line.bounded(size), write)
		}
		return write(text)
	})
}
