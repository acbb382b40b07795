//go:build unix

package durable

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// The modes of access(2).
const (
	searchable = 1
	writable   = 2
)

// CheckWritable returns an error if this process may not write a file, or make files in
// a folder. It changes nothing. The error is an [*fs.PathError].
func CheckWritable(name string) error {
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	mode := uint32(writable)
	if info.IsDir() {
		mode |= searchable
	}
	if err := syscall.Access(name, mode); err != nil {
		return &fs.PathError{Op: "write to", Path: name, Err: err}
	}
	return nil
}

// Permissions returns the permission bits of a file.
func Permissions(info fs.FileInfo) fs.FileMode { return info.Mode().Perm() }

// syncFolder syncs a folder (fsync), so that a new name in it survives a crash.
func syncFolder(folder string) error {
	f, err := os.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
