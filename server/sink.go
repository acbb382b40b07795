package server

import (
	"errors"
	"io"
	"os"
	"slices"
	"sync"
	"time"
)

// sinkLimit is the timeout of a line, of waiting and writing together.
const sinkLimit = time.Second

var errStuck = errors.New("an earlier write is stuck; its reader has stopped reading")

// Sink writes lines to an output that may block: a pipe whose reader has stopped, a
// syslog that hangs. A Write times out after a second, and fails immediately while
// an earlier one is known to be stuck, so that no request waits for a reader of
// logs. A line that timed out during its write may still come out, since a write
// cannot be cancelled.
//
// Lines that arrive during a write are written together (group commit). It is safe
// for concurrent use, and does not mix lines.
type Sink struct {
	groupCommit
	wake    sync.Cond // on mu: a line arrived, or closed
	writing bool      // the fields of this block are guarded by mu
	stuck   bool      // a caller timed out during the write in progress
	closed  bool

	ended chan struct{} // closed when the writer has ended
}

// NewSink returns a sink in front of out. Its owner calls Close, which does not
// close out.
func NewSink(out io.Writer) *Sink { return newSink(out, limitPipe) }

// newSink returns a sink whose writes of several lines have at most limit bytes.
func newSink(out io.Writer, limit int) *Sink {
	s := &Sink{groupCommit: groupCommit{out: out, limit: limit}, ended: make(chan struct{})}
	s.wake.L = &s.mu
	go s.run()
	return s
}

// run writes until Close, and then what arrived before.
func (s *Sink) run() {
	defer close(s.ended)
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		for len(s.queue) == 0 {
			if s.closed {
				return
			}
			s.wake.Wait()
		}
		s.takeBatch()
		s.writing = true
		s.mu.Unlock()
		written, err := s.writeBatch()
		s.mu.Lock()
		s.writing, s.stuck = false, false
		s.mu.Unlock()
		s.sendResults(written, err)
		s.mu.Lock()
	}
}

// Write writes one line. It copies the line, since the write may outlast the call.
func (s *Sink) Write(line []byte) (int, error) {
	l := pendingLines.Get().(*pendingLine)
	l.text = append(l.text[:0], line...)
	if err := s.enqueue(l); err != nil {
		l.release()
		return 0, err
	}
	timeout := l.startTimeout()
	select {
	case result := <-l.result:
		timeout.Stop()
		l.release()
		return sinkResult(line, result.err)
	case <-timeout.C:
		return sinkResult(line, s.giveUp(l))
	}
}

func sinkResult(line []byte, err error) (int, error) {
	if err != nil {
		return 0, err
	}
	return len(line), nil
}

func (s *Sink) enqueue(l *pendingLine) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return os.ErrClosed
	case s.stuck:
		return errStuck
	}
	s.queue = append(s.queue, l)
	s.wake.Signal()
	return nil
}

// giveUp ends the wait for a line that timed out, and keeps others from waiting for
// the write in progress. A line that is not in that write leaves the queue. The
// error is nil where the line was written after all.
func (s *Sink) giveUp(l *pendingLine) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.queue, l); i >= 0 {
		s.queue = slices.Delete(s.queue, i, i+1)
	}
	select {
	case result := <-l.result:
		return result.err
	default:
		s.stuck = s.writing
		return errStuck
	}
}

// Close writes the lines that wait and ends the writer. The error says that the
// last write is stuck: then it is left to the end of the process.
func (s *Sink) Close() error {
	s.mu.Lock()
	s.closed = true
	s.wake.Signal()
	s.mu.Unlock()
	select {
	case <-s.ended:
		return nil
	case <-time.After(sinkLimit):
		return errStuck
	}
}

// mayBlock reports whether a write to w may block: only one to a plain file does not.
func mayBlock(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return true
	}
	info, err := f.Stat()
	return err != nil || !info.Mode().IsRegular()
}
