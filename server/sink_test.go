package server_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"shorepass/server"
)

// fullPipe returns a pipe that is full and has no reader.
func fullPipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	w.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
	if _, err := w.Write(make([]byte, 1<<20)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("a pipe takes a megabyte: %v", err)
	}
	w.SetWriteDeadline(time.Time{})
	return r, w
}

// TestSink: a reader that stops costs a caller one second, and further callers
// nothing; once it reads again it gets whole lines.
func TestSink(t *testing.T) {
	r, w := fullPipe(t)
	s := server.NewSink(w)
	begin := time.Now()
	var waiting sync.WaitGroup
	for i := range 20 {
		waiting.Go(func() {
			if _, err := fmt.Fprintf(s, "stuck %d\n", i); err == nil {
				t.Error("a line into a full pipe is written")
			}
		})
	}
	waiting.Wait()
	if took := time.Since(begin); took < 900*time.Millisecond || took > 5*time.Second {
		t.Errorf("20 lines into a full pipe took %v together, want a second", took)
	}
	begin = time.Now()
	if _, err := s.Write([]byte("stuck too\n")); err == nil || time.Since(begin) > 500*time.Millisecond {
		t.Errorf("one more: %v after %v, want an error immediately", err, time.Since(begin))
	}

	read, stuck := make(chan string), make(chan string, 20) // those of the stuck write come out late
	go func() {
		defer close(read)
		for lines := bufio.NewReader(r); ; {
			line, err := lines.ReadString('\n')
			if err != nil {
				return
			}
			if line = strings.Trim(line, "\x00\n"); strings.HasPrefix(line, "stuck ") {
				stuck <- line
				continue
			}
			read <- line
		}
	}()
	<-stuck
	line := strings.Repeat("x", 100_000)
	for range 100 { // each in a buffer that is reused immediately
		buffer := []byte(line + "\n")
		if _, err := s.Write(buffer); err != nil {
			t.Fatalf("a line once the reader reads again: %v", err)
		}
		clear(buffer)
		if got := <-read; got != line {
			t.Fatalf("a line of %d bytes is read as one of %d", len(line), len(got))
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := s.Write([]byte("late\n")); !errors.Is(err, os.ErrClosed) {
		t.Errorf("a line after Close: %v, want %v", err, os.ErrClosed)
	}
	w.Close()
	if late, ok := <-read; ok {
		t.Errorf("read %.20q at the end, want nothing more", late)
	}
}

// TestAuditIsNotRead: a stuck reader of the audit log fails no login, unless
// audit.required is set, and the server can shut down.
func TestAuditIsNotRead(t *testing.T) {
	for required, status := range map[bool]int{false: http.StatusOK, true: http.StatusServiceUnavailable} {
		t.Run(fmt.Sprint("required=", required), func(t *testing.T) {
			t.Parallel()
			h := newHarness(t, server.AuditConfig{})
			_, w := fullPipe(t)
			metrics := server.NewMetrics()
			audit, err := server.OpenAudit(server.AuditConfig{To: "stdout", Required: required}, w, metrics, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			h.server = server.New(audit, metrics, slog.New(slog.DiscardHandler))
			h.server.Open(h.sessions, h.sessions.Admin())
			h.reload(t)
			address, stop, ended := h.serve(t, nil)
			h.URL = "http://" + address

			begin := time.Now()
			var asking sync.WaitGroup
			for range 20 {
				asking.Go(func() {
					if a := h.get(t, "service=blue&scope=repository:public/app:pull"); a.status != status {
						t.Errorf("answer = %d %s, want %d", a.status, a.body, status)
					}
				})
			}
			asking.Wait()
			if a := h.get(t, "service=blue", "alice", password); a.status != status {
				t.Errorf("a login = %d %s, want %d", a.status, a.body, status)
			}
			if took := time.Since(begin); took > 5*time.Second {
				t.Errorf("21 requests took %v, want a second for all of them", took)
			}
			resp, err := http.Get(h.URL + "/metrics")
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			text, err := io.ReadAll(resp.Body)
			if want := "\nshorepass_audit_failures_total 21\n"; err != nil || !strings.Contains(string(text), want) {
				t.Errorf("metrics lack %q: %v", want, err)
			}

			begin = time.Now()
			stop()
			if err := <-ended; err != nil {
				t.Error(err)
			}
			if err := audit.Close(); err == nil {
				t.Error("Close does not tell that a line is stuck")
			}
			if took := time.Since(begin); took > 5*time.Second {
				t.Errorf("the end took %v, want a second", took)
			}
		})
	}
}

// BenchmarkSink writes lines to a pipe that is read.
func BenchmarkSink(b *testing.B) {
	for _, writers := range []int{1, 16} {
		b.Run(fmt.Sprint("writers=", writers), func(b *testing.B) {
			b.ReportAllocs()
			r, w, err := os.Pipe()
			if err != nil {
				b.Fatal(err)
			}
			defer r.Close()
			go io.Copy(io.Discard, r)
			defer w.Close()
			s := server.NewSink(w)
			defer s.Close()
			line := []byte(strings.Repeat("x", 599) + "\n")
			var all sync.WaitGroup
			for range writers {
				all.Go(func() {
					for range b.N / writers {
						if _, err := s.Write(line); err != nil {
							b.Error(err)
						}
					}
				})
			}
			all.Wait()
		})
	}
}
