package server

import (
	"io"
	"sync"
	"time"
)

// groupCommit is the queue of a group commit without a timer: with no write in
// progress a line is written immediately, and lines that arrive during a write go
// out together in the next one, in the order of their arrival. The writer is the
// caller in [lineFile] and a goroutine in [Sink].
type groupCommit struct {
	out   io.Writer
	limit int // bytes of a write that holds several lines

	mu    sync.Mutex
	queue []*pendingLine // arrived during the write in progress; guarded by mu

	// The write in progress owns these.
	batch []*pendingLine
	text  []byte
	torn  bool // the output ends within a line
}

// The limits of a write. A pipe takes up to PIPE_BUF bytes in one piece (pipe(7));
// of a longer write another process that writes to the pipe may split a line.
const (
	limitOneLine = 0 // a datagram of syslog
	limitPipe    = 4 << 10
	limitFile    = 64 << 10
)

// pendingLine is a line and the result that its caller waits for.
type pendingLine struct {
	text    []byte
	result  chan commitResult // has room for one, so that the writer never waits
	timeout *time.Timer       // of a Sink; nil until it is needed
}

// commitResult is the result of a line's write, or the turn of its caller to write.
type commitResult struct {
	err  error
	lead bool
}

var pendingLines = sync.Pool{New: func() any { return &pendingLine{result: make(chan commitResult, 1)} }}

// startTimeout starts the line's timer.
func (l *pendingLine) startTimeout() *time.Timer {
	if l.timeout == nil {
		l.timeout = time.NewTimer(sinkLimit)
	} else {
		l.timeout.Reset(sinkLimit)
	}
	return l.timeout
}

// release returns a line whose result was received to the pool.
func (l *pendingLine) release() {
	if cap(l.text) > maxLentLine {
		l.text = nil
	}
	pendingLines.Put(l)
}

// waiting returns the number of lines in the queue.
func (g *groupCommit) waiting() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.queue)
}

// takeBatch moves the first lines of the queue into the batch: as many as fit into
// one write, and one at least unless the queue is empty. g.mu is held.
func (g *groupCommit) takeBatch() {
	count, size := 0, 0
	for _, l := range g.queue {
		if size += len(l.text); count > 0 && size > g.limit {
			break
		}
		count++
	}
	g.batch = append(g.batch[:0], g.queue[:count]...)
	rest := copy(g.queue, g.queue[count:])
	clear(g.queue[rest:])
	g.queue = g.queue[:rest]
}

// writeBatch writes the batch, which is not empty, and returns how much of its text
// was written.
func (g *groupCommit) writeBatch() (written int, err error) {
	text, before := g.batchText()
	written, err = g.out.Write(text)
	if err == nil && written < len(text) {
		err = io.ErrShortWrite
	}
	if written > 0 {
		g.torn = written < len(text) && text[written-1] != '\n'
	}
	if cap(g.text) > limitFile {
		g.text = nil
	}
	return written - before, err
}

// sendResults ends the wait of the batch. After a short write the lines that are
// whole in it succeed, and the others fail.
func (g *groupCommit) sendResults(written int, err error) {
	for i, l := range g.batch {
		result := commitResult{err: err}
		if written -= len(l.text); written >= 0 {
			result.err = nil
		}
		g.batch[i] = nil
		l.result <- result // from here on l is its caller's
	}
}

// batchText returns the text of the batch, and how much of it comes before the first
// line: after half a line a line break, so that a reader loses that line alone.
func (g *groupCommit) batchText() (text []byte, before int) {
	if len(g.batch) == 1 && !g.torn {
		return g.batch[0].text, 0
	}
	g.text = g.text[:0]
	if g.torn {
		g.text = append(g.text, '\n')
	}
	before = len(g.text)
	for _, l := range g.batch {
		g.text = append(g.text, l.text...)
	}
	return g.text, before
}

// lineFile writes lines to a plain file, where a write does not block. The caller
// of Write is the writer. It then hands the turn to the caller of the first line that
// arrived during its write. So a line alone costs a lock and no switch of goroutines.
// It is safe for concurrent use.
type lineFile struct {
	groupCommit
	writing bool // guarded by mu
}

func newLineFile(out io.Writer) *lineFile {
	return &lineFile{groupCommit: groupCommit{out: out, limit: limitFile}}
}

// Write writes one line.
func (f *lineFile) Write(line []byte) (int, error) {
	l := pendingLines.Get().(*pendingLine)
	l.text = line
	err := f.write(l)
	l.text = nil
	l.release()
	if err != nil {
		return 0, err
	}
	return len(line), nil
}

func (f *lineFile) write(l *pendingLine) error {
	f.mu.Lock()
	f.queue = append(f.queue, l)
	if f.writing {
		f.mu.Unlock()
		if result := <-l.result; !result.lead {
			return result.err
		}
		f.mu.Lock()
	}
	f.writing = true
	f.takeBatch() // l is its first
	f.mu.Unlock()
	f.sendResults(f.writeBatch())
	f.mu.Lock()
	if len(f.queue) > 0 {
		f.queue[0].result <- commitResult{lead: true}
	} else {
		f.writing = false
	}
	f.mu.Unlock()
	return (<-l.result).err
}
