package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestAuditFileThatEndsWithinALine: half a line of an earlier process, which a full disk
// or a crash left, does not damage the first line that is appended.
func TestAuditFileThatEndsWithinALine(t *testing.T) {
	for before, want := range map[string]string{"": "", "whole\n": "whole\n", `{"ha`: `{"ha` + "\n"} {
		path := filepath.Join(t.TempDir(), "audit.log")
		if err := os.WriteFile(path, []byte(before), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := openAuditFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range []string{"1\n", "2\n"} {
			if n, err := io.WriteString(out, line); n != len(line) || err != nil {
				t.Errorf("after %q: Write = %d, %v", before, n, err)
			}
		}
		if err := out.Close(); err != nil {
			t.Error(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != want+"1\n2\n" {
			t.Errorf("after %q the file is %q, %v", before, got, err)
		}
	}
}

// openTestAudit opens an audit log that must take every line.
func openTestAudit(t *testing.T, cfg AuditConfig, stdout io.Writer) (*Audit, error) {
	a, err := OpenAudit(cfg, stdout, NewMetrics(), slog.New(slog.DiscardHandler))
	if err == nil {
		a.failed = func(err error) { t.Error(err) }
	}
	return a, err
}

// TestReopenDoesNotWaitForAReader: a named pipe that no process reads any more is an error of
// Reopen, and lines go on to the next reader.
func TestReopenDoesNotWaitForAReader(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	open := func() *os.File {
		r, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	r := open()
	a, err := openTestAudit(t, AuditConfig{To: "file:" + path, Required: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	reopened := make(chan error, 1)
	go func() { reopened <- a.Reopen() }()
	select {
	case err := <-reopened:
		if !errors.Is(err, syscall.ENXIO) {
			t.Errorf("Reopen of a named pipe without a reader: %v, want %v", err, syscall.ENXIO)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("Reopen waits for a reader of the named pipe")
	}
	r = open()
	defer r.Close()
	for range 2 {
		if err := a.write(&auditLine{}); err != nil {
			t.Error(err)
		}
		if err := a.Reopen(); err != nil {
			t.Error(err)
		}
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	if text, err := io.ReadAll(r); err != nil || bytes.Count(text, []byte("\n")) != 2 {
		t.Errorf("read %q, %v, want two lines", text, err)
	}
}

// TestAuditKeepsEveryLine: many writers, over reopens, in a file and in a pipe: each
// line is there once, whole, and those of one writer are in order.
func TestAuditKeepsEveryLine(t *testing.T) {
	const writers, each = 16, 200
	fill := func(t *testing.T, a *Audit, written func()) {
		var all sync.WaitGroup
		for w := range writers {
			all.Go(func() {
				for i := range each {
					line := auditLine{Request: fmt.Sprintf("%d-%d", w, i), UserAgent: strings.Repeat("a", i)}
					if err := a.write(&line); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		written()
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}
	check := func(t *testing.T, text []byte) {
		next, seen := make(map[string]int), 0
		for line := range bytes.Lines(text) {
			_, rest, _ := bytes.Cut(line, []byte(`"request":"`))
			id, _, ok := strings.Cut(string(rest), `"`)
			writer, number, _ := strings.Cut(id, "-")
			if want := fmt.Sprint(next[writer]); !ok || number != want || !bytes.HasSuffix(line, []byte("}\n")) {
				t.Fatalf("%q is not line %s of writer %s", line, want, writer)
			}
			next[writer]++
			seen++
		}
		if seen != writers*each {
			t.Errorf("%d lines were written, want %d", seen, writers*each)
		}
	}
	t.Run("file", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "audit.log")
		a, err := openTestAudit(t, AuditConfig{To: "file:" + path, Required: true}, nil)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		var moving sync.WaitGroup
		moving.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				if err := errors.Join(os.Rename(path, fmt.Sprintf("%s.%06d", path, i)), a.Reopen()); err != nil {
					t.Error(err)
				}
				time.Sleep(time.Millisecond)
			}
		})
		fill(t, a, func() { stop(); moving.Wait() })
		files, err := filepath.Glob(path + "*")
		if err != nil {
			t.Fatal(err)
		}
		var text []byte
		for _, file := range append(files[1:], files[0]) {
			part, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			text = append(text, part...)
		}
		check(t, text)
	})
	t.Run("pipe", func(t *testing.T) {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		a, err := openTestAudit(t, AuditConfig{To: "stdout", Required: true}, w)
		if err != nil {
			t.Fatal(err)
		}
		text := make(chan []byte)
		go func() { all, _ := io.ReadAll(r); text <- all }()
		fill(t, a, func() {})
		w.Close()
		check(t, <-text)
	})
}
