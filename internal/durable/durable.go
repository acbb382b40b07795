// Package durable reads and creates the regular files that a server depends on:
// keys, certificates, secrets, lists of users.
//
// [Create] creates a file atomically and durably: after a crash it is whole or
// not there. [Read] reads a regular file up to a limit, [ReadSecret] one that
// holds a secret; neither reads a pipe, which [ReadPipe] does. None of them
// reads a world-writable file. [State] tells whether a file has changed since
// it was read.
package durable

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// ErrNotRegular means that a name is that of a folder, a pipe, a device or a
// socket.
var ErrNotRegular = errors.New("is not a regular file")

// ErrWorldWritable means that a file is world-writable: every account of the
// machine could decide what this process does.
var ErrWorldWritable = errors.New("everybody on this machine can change")

// ErrWorldReadable means that a secret is world-readable.
var ErrWorldReadable = errors.New("everybody on this machine can read")

// TooLargeError means that a file has more than Limit bytes.
type TooLargeError struct{ Limit int64 }

func (e *TooLargeError) Error() string { return fmt.Sprintf("is larger than %d bytes", e.Limit) }

// byteOrderMark is at the start of a text that an editor saved as "UTF-8 with
// BOM".
var byteOrderMark = []byte("\ufeff")

// Read returns the content of a regular file of at most limit bytes, without a
// byte order mark at its start, and the State of the file that was read. The
// error wraps [fs.ErrNotExist], [ErrNotRegular], [ErrWorldWritable] or a
// [*TooLargeError], or is another error of the file system. It names the file.
func Read(name string, limit int64) ([]byte, State, error) {
	f, err := open(name)
	if err != nil {
		return nil, State{}, err
	}
	defer f.Close()
	return readAll(f, name, limit)
}

// ReadSecret is [Read] for a file that holds a secret: it also returns the
// error of [RequirePrivate].
func ReadSecret(name string, limit int64) ([]byte, State, error) {
	data, state, err := Read(name, limit)
	if err == nil {
		err = RequirePrivate(name, state)
	}
	if err != nil {
		return nil, state, err
	}
	return data, state, nil
}

// RequirePrivate returns an error that wraps [ErrWorldReadable] if state is
// that of a world-readable file; name is for the error.
func RequirePrivate(name string, state State) error {
	if !state.WorldReadable() {
		return nil
	}
	return fmt.Errorf("%w %s; chmod 600 it (in Kubernetes: defaultMode: 0440 and an fsGroup)", ErrWorldReadable, name)
}

// ErrNoWriter means that nothing was written to a pipe for three seconds, or that its
// writer did not come to an end within a minute.
var ErrNoWriter = errors.New("is a pipe without a writer, or whose writer does not end")

// Limits of the wait for a pipe. A writer may have to ask for a passphrase.
const (
	writerWait = 3 * time.Second
	pipeWait   = time.Minute
)

// ReadPipe is [Read] for a regular file or a pipe. The error for a pipe without a writer
// wraps [ErrNoWriter].
func ReadPipe(name string, limit int64) ([]byte, State, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, State{}, err
	}
	if info.Mode().Type() != fs.ModeNamedPipe {
		return Read(name, limit)
	}
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) // an open that blocks could wait forever
	if err != nil {
		return nil, State{}, err
	}
	began := time.Now()
	if err := f.SetReadDeadline(began.Add(pipeWait)); err != nil {
		return nil, State{}, errors.Join(fmt.Errorf("wait for the pipe %s: %w", name, err), f.Close())
	}
	for {
		data, state, err := readAll(f, name, limit)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded), err == nil && len(data) == 0 && time.Since(began) > writerWait:
			return nil, State{}, errors.Join(fmt.Errorf("%s %w", name, ErrNoWriter), f.Close())
		case err != nil || len(data) > 0:
			return data, state, errors.Join(err, f.Close())
		}
		time.Sleep(10 * time.Millisecond) // a read without a writer returns immediately
	}
}

// readAll reads an open file.
func readAll(f *os.File, name string, limit int64) ([]byte, State, error) {
	info, err := f.Stat() // of the open file: a rename cannot replace it
	if err != nil {
		return nil, State{}, err
	}
	if info.Mode().IsRegular() && Permissions(info)&0o002 != 0 {
		return nil, State{info}, fmt.Errorf("%w %s; chmod o-w it", ErrWorldWritable, name)
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	switch {
	case err != nil:
		return nil, State{}, err
	case int64(len(data)) > limit:
		return nil, State{}, fmt.Errorf("%s %w", name, &TooLargeError{limit})
	}
	return bytes.TrimPrefix(data, byteOrderMark), State{info}, nil
}

// open opens a regular file. It checks the type first, since opening a pipe
// blocks until its other end is opened.
func open(name string) (*os.File, error) {
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s %w", name, ErrNotRegular)
	}
	return os.Open(name)
}

// Create creates a file that must not exist, with the given mode. The file gets
// its name when its content is synced to disk, and the folder is synced before
// Create returns. If the name exists, the error wraps [fs.ErrExist] and Create
// leaves no file.
func Create(name string, data []byte, mode fs.FileMode) (err error) {
	folder := filepath.Dir(name)
	f, err := os.CreateTemp(folder, ".shorepass-*") // 0600
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(f.Name())) }()
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(mode)
	}
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	// A link, unlike a rename, fails if the name exists.
	if err := os.Link(f.Name(), name); err != nil {
		return err
	}
	if err := syncFolder(folder); err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", name, err), os.Remove(name))
	}
	return nil
}
