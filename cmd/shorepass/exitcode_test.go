package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"syscall"
	"testing"

	"shorepass/session"
)

// TestExitCode: exit code 78 keeps systemd from starting the server again, so it is for
// what does not pass by itself, and for nothing else.
func TestExitCode(t *testing.T) {
	refusal := errors.New("refused")
	good, bad := checkedBackend{nil}, checkedBackend{refusal}
	path := func(cause error) error {
		return fmt.Errorf("open: %w", &fs.PathError{Op: "open", Path: "x", Err: cause})
	}
	listen := func(cause error) error {
		return fmt.Errorf("listen: %w", &net.OpError{Op: "listen", Err: cause})
	}
	for _, test := range []struct {
		name string
		err  error
		want int
	}{
		{"none", nil, 0},
		{"denied", errDenied, 2},
		{"any", refusal, 1},
		{"a configuration", asConfigError(refusal), 78},
		{"no error of a configuration", asConfigError(nil), 0},
		{"joined with another", errors.Join(asConfigError(refusal), refusal), 78},

		{"store: a newer program's", asStoreError(fmt.Errorf("open: %w", &session.NewerSchemaError{Is: 9, Known: 1}), good), 78},
		{"store: of no release", asStoreError(session.ErrUnreleasedSchema, good), 78},
		{"store: no sealing key", asStoreError(session.ErrNoSealKey, good), 78},
		{"store: another sealing key", asStoreError(fmt.Errorf("x %w", session.ErrWrongSealKey), good), 78},
		{"store: a folder that others can read", asStoreError(refusal, bad), 78},
		{"store: away", asStoreError(session.ErrUnavailable, bad), 1},
		{"store: a full disk", asStoreError(session.ErrFull, good), 1},
		{"store: opened", asStoreError(nil, bad), 0},

		{"file: not there", asFileError(path(syscall.ENOENT)), 78},
		{"file: not allowed", asFileError(path(syscall.EACCES)), 78},
		{"file: read-only", asFileError(path(syscall.EROFS)), 78},
		{"file: a full disk", asFileError(path(syscall.ENOSPC)), 1},
		{"file: a pipe without a reader", asFileError(path(syscall.ENXIO)), 1},
		{"listen: a port below 1024", asFileError(listen(syscall.EACCES)), 78},
		{"listen: a port in use", asFileError(listen(syscall.EADDRINUSE)), 1},
		{"listen: an address that is not there yet", asFileError(listen(syscall.EADDRNOTAVAIL)), 1},
	} {
		if got := exitCodeOf(test.err); got != test.want {
			t.Errorf("%s: %d, want %d", test.name, got, test.want)
		}
	}
}

// checkedBackend is a backend whose check returns an error.
type checkedBackend struct{ err error }

func (checkedBackend) kind() string                                { return "" }
func (checkedBackend) open(context.Context) (store, error)         { return nil, nil }
func (checkedBackend) openExisting(context.Context) (store, error) { return nil, nil }
func (b checkedBackend) check() error                              { return b.err }
func (checkedBackend) inspect(context.Context) ([]string, error)   { return nil, nil }
