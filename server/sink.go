package server

import (
	"errors"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// sinkLimit is how long somebody waits until their line is written.
const sinkLimit = time.Second

var errStuck = errors.New("what was written before is not taken; whoever reads it has stopped reading")

// Sink writes lines to where they may not be taken: a pipe whose reader stands
// still, a syslog that hangs. A Write gives up after a second, and at once
// while another one is known to be stuck, so that nobody's request waits for a
// reader of logs. A line that was given up may still come out, since a write
// cannot be called back.
//
// It is safe for concurrent use, and does not mix lines.
type Sink struct {
	out    io.Writer
	lines  chan *handover
	number atomic.Int64 // of the write under way; 0 when there is none
	stuck  atomic.Int64 // the number of the last one that somebody gave up waiting for

	closeOnce sync.Once
	closing   chan struct{}
	ended     chan struct{} // closed when nobody writes any more
}

// handover is a line that is to be written. Its text is a copy, since the
// writing may outlive who asked for it.
type handover struct {
	text []byte
	done chan error // has room for one, so that nobody needs to wait for it
}

var handovers = sync.Pool{New: func() any { return &handover{done: make(chan error, 1)} }}

// NewSink returns a sink before out. Its owner calls Close, which does not
// close out.
func NewSink(out io.Writer) *Sink {
	s := &Sink{out: out, lines: make(chan *handover), closing: make(chan struct{}), ended: make(chan struct{})}
	go s.run()
	return s
}

// run writes until Close.
func (s *Sink) run() {
	defer close(s.ended)
	for number := int64(1); ; number++ {
		select {
		case <-s.closing:
			return
		case h := <-s.lines:
			s.number.Store(number)
			_, err := s.out.Write(h.text)
			s.number.Store(0)
			h.done <- err
		}
	}
}

// Write writes one line.
func (s *Sink) Write(line []byte) (int, error) {
	if number := s.number.Load(); number != 0 && number == s.stuck.Load() {
		return 0, errStuck
	}
	limit := time.NewTimer(sinkLimit)
	defer limit.Stop()
	h := handovers.Get().(*handover)
	h.text = append(h.text[:0], line...)
	select {
	case s.lines <- h:
	case <-s.closing:
		return 0, os.ErrClosed
	case <-limit.C:
		return 0, s.giveUp()
	}
	select {
	case err := <-h.done:
		if cap(h.text) <= maxLentLine {
			handovers.Put(h)
		}
		if err != nil {
			return 0, err
		}
		return len(line), nil
	case <-limit.C:
		return 0, s.giveUp()
	}
}

// giveUp keeps others from waiting for the write under way.
func (s *Sink) giveUp() error {
	s.stuck.Store(s.number.Load())
	return errStuck
}

// Close ends the writing. The error says that the last write is stuck: then
// it is left to the end of the process.
func (s *Sink) Close() error {
	s.closeOnce.Do(func() { close(s.closing) })
	select {
	case <-s.ended:
		return nil
	case <-time.After(sinkLimit):
		return errStuck
	}
}

// mayBlock reports whether a write to w may wait for somebody: only one to a
// plain file never does.
func mayBlock(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return true
	}
	info, err := f.Stat()
	return err != nil || !info.Mode().IsRegular()
}
