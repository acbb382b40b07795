package durable

import (
	"io/fs"
	"os"
	"time"
)

// State is the result of [os.Stat] on a file, with links followed. The zero
// State is that of a missing file.
//
// It has no hash of the content, so that it is cheap enough to be taken every few
// seconds, and keys and secrets are not read again and again. A file that was
// rewritten with the same content counts as changed.
type State struct{ info fs.FileInfo }

// StateOf returns the state of the file called name. If os.Stat fails, the file
// counts as missing.
func StateOf(name string) State {
	info, err := os.Stat(name)
	if err != nil {
		return State{}
	}
	return State{info}
}

// Equal reports whether two states are those of one unchanged file. It compares
// the inode too, since a rename can put another file of the same size and time
// there.
func (s State) Equal(other State) bool {
	if s.info == nil || other.info == nil {
		return s.info == nil && other.info == nil
	}
	return os.SameFile(s.info, other.info) && s.info.Size() == other.info.Size() &&
		s.info.Mode() == other.info.Mode() && s.info.ModTime().Equal(other.info.ModTime())
}

// Exists reports whether the file existed.
func (s State) Exists() bool { return s.info != nil }

// WorldReadable reports whether every account of the machine may read the file.
func (s State) WorldReadable() bool { return s.Mode()&0o004 != 0 }

// Mode returns the permission bits.
func (s State) Mode() fs.FileMode {
	if s.info == nil {
		return 0
	}
	return Permissions(s.info)
}

// ModTime returns when the file was last written, or the zero Time.
func (s State) ModTime() time.Time {
	if s.info == nil {
		return time.Time{}
	}
	return s.info.ModTime()
}
