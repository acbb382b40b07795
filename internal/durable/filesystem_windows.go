package durable

import (
	"io/fs"
	"os"
)

// CheckWritable returns an error if a file is read-only or missing. Whether its access
// control list lets this process write shows only when it does.
func CheckWritable(name string) error {
	info, err := os.Stat(name)
	if err == nil && info.Mode()&0o200 == 0 {
		err = &fs.PathError{Op: "write to", Path: name, Err: fs.ErrPermission}
	}
	return err
}

// Permissions returns the owner's permission bits. Go reports 0666 for a file that is
// not read-only: access control lists, inherited from the folder, say what others may do.
func Permissions(info fs.FileInfo) fs.FileMode { return info.Mode().Perm() & 0o700 }

// syncFolder does nothing: Windows has no fsync of a folder, and NTFS journals names.
func syncFolder(string) error { return nil }
