package server

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"
)

// gate is an output whose writes wait until the test lets them pass.
type gate struct {
	begun chan string // the text of each write
	pass  chan gateResult
}

type gateResult struct {
	written int // -1 for all
	err     error
}

func newGate() *gate { return &gate{make(chan string, 100), make(chan gateResult)} }

func (g *gate) Write(text []byte) (int, error) {
	g.begun <- string(text)
	result := <-g.pass
	if result.written < 0 {
		result.written = len(text)
	}
	return result.written, result.err
}

// next lets the write in progress pass as result says, and returns its text.
func (g *gate) next(t *testing.T, result gateResult) string {
	t.Helper()
	select {
	case text := <-g.begun:
		g.pass <- result
		return text
	case <-time.After(10 * time.Second):
		t.Fatal("no write has begun")
		return ""
	}
}

var wholeWrite = gateResult{-1, nil}

// groupCommits are the two writers that share the queue.
func groupCommits(t *testing.T, test func(t *testing.T, g *groupCommit, w io.Writer, out *gate)) {
	t.Run("file", func(t *testing.T) {
		out := newGate()
		f := newLineFile(out)
		test(t, &f.groupCommit, f, out)
	})
	t.Run("sink", func(t *testing.T) {
		out := newGate()
		s := NewSink(out)
		test(t, &s.groupCommit, s, out)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

// send writes a line in the background and returns when it waits behind the write
// in progress, as line number place of the queue; 0 is the write in progress itself.
func send(t *testing.T, g *groupCommit, w io.Writer, line string, place int) <-chan error {
	t.Helper()
	result := make(chan error, 1)
	go func() {
		n, err := io.WriteString(w, line)
		if err == nil && n != len(line) {
			err = fmt.Errorf("%d bytes of %d", n, len(line))
		}
		result <- err
	}()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(100 * time.Microsecond) {
		g.mu.Lock()
		waiting := len(g.queue)
		g.mu.Unlock()
		if place == 0 || waiting == place {
			return result
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d lines wait, want %d", waiting, place)
		}
	}
}

// sendFirst writes a line with no write in progress, and returns once it is in one.
func sendFirst(t *testing.T, g *groupCommit, w io.Writer, out *gate, line string) <-chan error {
	t.Helper()
	result := send(t, g, w, line, 0)
	for deadline := time.Now().Add(10 * time.Second); len(out.begun) == 0; time.Sleep(100 * time.Microsecond) {
		if time.Now().After(deadline) {
			t.Fatal("a line with no write in progress is not written")
		}
	}
	return result
}

// TestLinesAreWrittenTogether: a line goes out immediately with no write in
// progress, lines that arrive during a write together in the next one and in order,
// and no caller returns before its line was written.
func TestLinesAreWrittenTogether(t *testing.T) {
	groupCommits(t, func(t *testing.T, g *groupCommit, w io.Writer, out *gate) {
		results := []<-chan error{sendFirst(t, g, w, out, "1\n")}
		for i := 2; i <= 5; i++ {
			results = append(results, send(t, g, w, fmt.Sprintln(i), i-1))
		}
		for i, result := range results {
			select {
			case err := <-result:
				t.Fatalf("line %d returns %v before it was written", i+1, err)
			default:
			}
		}
		if got := out.next(t, wholeWrite); got != "1\n" {
			t.Errorf("the first write is %q, want one line", got)
		}
		if err := <-results[0]; err != nil {
			t.Error(err)
		}
		late := make(chan error, 1)
		if got, want := out.next(t, wholeWrite), "2\n3\n4\n5\n"; got != want {
			t.Errorf("the second write is %q, want %q", got, want)
		}
		for _, result := range results[1:] {
			if err := <-result; err != nil {
				t.Error(err)
			}
		}
		go func() { _, err := io.WriteString(w, "6\n"); late <- err }()
		if got := out.next(t, wholeWrite); got != "6\n" {
			t.Errorf("a line after a batch is written as %q", got)
		}
		if err := <-late; err != nil {
			t.Error(err)
		}
	})
}

// TestShortWriteFailsLines: of a batch that was written in part the whole lines
// succeed and the others fail, and what comes next begins on a line of its own.
func TestShortWriteFailsLines(t *testing.T) {
	full := errors.New("disk full")
	groupCommits(t, func(t *testing.T, g *groupCommit, w io.Writer, out *gate) {
		first := sendFirst(t, g, w, out, "first\n")
		var batch []<-chan error
		for i, line := range []string{"one\n", "two\n", "three\n"} {
			batch = append(batch, send(t, g, w, line, i+1))
		}
		out.next(t, wholeWrite)
		if err := <-first; err != nil {
			t.Error(err)
		}
		out.next(t, gateResult{len("one\ntw"), full})
		for i, want := range []error{nil, full, full} {
			if err := <-batch[i]; err != want {
				t.Errorf("line %d of the batch: %v, want %v", i+1, err, want)
			}
		}
		for _, test := range []struct {
			result gateResult
			text   string
			err    error
		}{
			{gateResult{0, full}, "\nnext\n", full},
			{gateResult{1, full}, "\nnext\n", full}, // the line break alone
			{wholeWrite, "next\n", nil},
			{gateResult{2, nil}, "next\n", io.ErrShortWrite},
			{wholeWrite, "\nnext\n", nil},
			{wholeWrite, "next\n", nil},
		} {
			next := sendFirst(t, g, w, out, "next\n")
			if got := out.next(t, test.result); got != test.text {
				t.Errorf("the next line is written as %q, want %q", got, test.text)
			}
			if err := <-next; err != test.err {
				t.Errorf("the next line returns %v, want %v", err, test.err)
			}
		}
	})
}

// TestWriteHasALimit: what goes out together is bounded, so that a pipe takes it in
// one piece; syslog gets a line a datagram; a line beyond the limit goes alone.
func TestWriteHasALimit(t *testing.T) {
	line, long := strings.Repeat("x", 999)+"\n", strings.Repeat("y", 2*limitPipe)+"\n"
	for _, test := range []struct {
		name  string
		limit int
		want  []int // bytes of each write
	}{
		{"pipe", limitPipe, []int{1000, 4000, 1000, len(long), 1000}},
		{"syslog", limitOneLine, []int{1000, 1000, 1000, 1000, 1000, 1000, len(long), 1000}},
	} {
		t.Run(test.name, func(t *testing.T) {
			out := newGate()
			s := newSink(out, test.limit)
			sendFirst(t, &s.groupCommit, s, out, line)
			for i, next := range []string{line, line, line, line, line, long, line} {
				send(t, &s.groupCommit, s, next, i+1)
			}
			for i, want := range test.want {
				if got := len(out.next(t, wholeWrite)); got != want {
					t.Errorf("write %d has %d bytes, want %d", i+1, got, want)
				}
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestCloseWritesWaitingLines: a line that arrived before Close is written, one
// after it is refused.
func TestCloseWritesWaitingLines(t *testing.T) {
	out := newGate()
	s := NewSink(out)
	first := sendFirst(t, &s.groupCommit, s, out, "1\n")
	second := send(t, &s.groupCommit, s, "2\n", 1)
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	if got := out.next(t, wholeWrite) + out.next(t, wholeWrite); got != "1\n2\n" {
		t.Errorf("written is %q, want both lines", got)
	}
	if err := errors.Join(<-first, <-second, <-closed); err != nil {
		t.Error(err)
	}
	if _, err := io.WriteString(s, "3\n"); !errors.Is(err, os.ErrClosed) {
		t.Errorf("a line after Close: %v, want %v", err, os.ErrClosed)
	}
}

// TestTimedOutLineLeavesTheQueue: of the lines that timed out only those in the
// stuck write come out later.
func TestTimedOutLineLeavesTheQueue(t *testing.T) {
	out := newGate()
	s := NewSink(out)
	first := sendFirst(t, &s.groupCommit, s, out, "1\n")
	second := send(t, &s.groupCommit, s, "2\n", 1)
	for _, result := range []<-chan error{first, second} {
		if err := <-result; err != errStuck {
			t.Errorf("a line behind a stuck write: %v, want %v", err, errStuck)
		}
	}
	if _, err := io.WriteString(s, "3\n"); err != errStuck {
		t.Errorf("one more line: %v, want %v", err, errStuck)
	}
	out.next(t, wholeWrite)
	for len(out.begun) == 0 { // until the sink takes lines again
		go io.WriteString(s, "4\n")
		time.Sleep(time.Millisecond)
	}
	close(out.pass) // 0 bytes and no error, which is a short write
	if got := <-out.begun; strings.Trim(got, "4\n") != "" {
		t.Errorf("after the stuck write %q is written, want the line that came last", got)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestAuditQueue: the lines that wait for the write in progress are a gauge.
func TestAuditQueue(t *testing.T) {
	groupCommits(t, func(t *testing.T, g *groupCommit, w io.Writer, out *gate) {
		audit := &Audit{out: struct {
			io.Writer
			*groupCommit
			io.Closer
		}{w, g, nil}}
		if n := audit.Stats().Queue; n != 0 {
			t.Errorf("%d lines wait before the first one", n)
		}
		written := make(chan error)
		write := func(line string) {
			_, err := io.WriteString(w, line)
			written <- err
		}
		go write("first\n")
		first := <-out.begun
		out.begun <- first // for next
		go write("second\n")
		for deadline := time.Now().Add(10 * time.Second); audit.Stats().Queue != 1; {
			if time.Now().After(deadline) {
				t.Fatalf("%d lines wait, want one", audit.Stats().Queue)
			}
			time.Sleep(time.Millisecond)
		}
		out.next(t, wholeWrite)
		out.next(t, wholeWrite)
		for range 2 {
			if err := <-written; err != nil {
				t.Error(err)
			}
		}
		if n := audit.Stats().Queue; n != 0 {
			t.Errorf("%d lines wait after the last one", n)
		}
	})
}

// TestAuditOutputsHaveQueues: the gauge knows the queue of every output.
func TestAuditOutputsHaveQueues(t *testing.T) {
	for _, out := range []any{ownFile{}, ownSink{}, keepOpen{}, NewSink(io.Discard), &syslogFrames{}} {
		if _, ok := out.(interface{ waiting() int }); !ok {
			t.Errorf("%T has no queue for Audit.Stats", out)
		}
	}
}
