// Package durable reads and makes the regular files that a server depends on:
// keys, certificates, secrets, lists of users.
//
// [Create] makes a file that survives a crash, whole or not at all. [Read] reads
// a bounded regular file and never waits for a pipe, as [ReadPipe] does, and
// [ReadSecret] one that holds a secret. None reads a file that every account of
// the machine may write. [State] tells whether a file has changed since it was
// read.
package durable

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// ErrNotRegular says that a name is that of a folder, a pipe, a device or a
// socket.
var ErrNotRegular = errors.New("is not a regular file")

// ErrWorldWritable says that every account of the machine may change a file, and
// so decide what this process does.
var ErrWorldWritable = errors.New("everybody on this machine can change")

// ErrWorldReadable says that every account of the machine may read a secret.
var ErrWorldReadable = errors.New("everybody on this machine can read")

// TooLargeError says that a file has more than the Limit bytes that its reader
// allows.
type TooLargeError struct{ Limit int64 }

func (e *TooLargeError) Error() string { return fmt.Sprintf("is larger than %d bytes", e.Limit) }

// byteOrderMark begins a text that an editor saved as "UTF-8 with BOM".
var byteOrderMark = []byte("\ufeff")

// Read returns the content of a regular file of at most limit bytes, without a
// byte order mark at its beginning, and the State of the file that was read. The
// error wraps [fs.ErrNotExist], [ErrNotRegular], [ErrWorldWritable] or a
// [*TooLargeError], or is an error of the file system, and names the file.
func Read(name string, limit int64) ([]byte, State, error) {
	f, err := open(name)
	if err != nil {
		return nil, State{}, err
	}
	return readOpen(f, name, limit)
}

// ReadSecret is [Read] for a file that holds a secret: the error may be that of
// [RequirePrivate] too.
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

// RequirePrivate returns an error that wraps [ErrWorldReadable] where every
// account of the machine may read the file of that name and state.
func RequirePrivate(name string, state State) error {
	if !state.WorldReadable() {
		return nil
	}
	return fmt.Errorf("%w %s; chmod 600 it (in Kubernetes: defaultMode: 0440 and an fsGroup)", ErrWorldReadable, name)
}

// ReadPipe is [Read] for a file that need not be regular, such as a pipe, which it
// waits for.
func ReadPipe(name string, limit int64) ([]byte, State, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, State{}, err
	}
	return readOpen(f, name, limit)
}

// readOpen reads an open file, and closes it.
func readOpen(f *os.File, name string, limit int64) ([]byte, State, error) {
	defer f.Close()
	info, err := f.Stat() // of the open file, which a rename cannot replace
	if err != nil {
		return nil, State{}, err
	}
	if info.Mode().IsRegular() && info.Mode().Perm()&0o002 != 0 {
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

// open opens a regular file. The name is checked before it is opened, since
// opening a pipe waits for its other end.
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

// Create makes a file that must not exist, with the given mode. The name
// appears when all of the content is on disk, and is itself on disk when Create
// returns. Where the name is taken the error wraps [fs.ErrExist] and nothing is
// left behind.
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
	// A link, unlike a rename, fails where there is something already.
	if err := os.Link(f.Name(), name); err != nil {
		return err
	}
	if err := syncFolder(folder); err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", name, err), os.Remove(name))
	}
	return nil
}

// syncFolder makes a new name in a folder survive a crash.
func syncFolder(folder string) error {
	f, err := os.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
