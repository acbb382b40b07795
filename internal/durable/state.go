package durable

import (
	"io/fs"
	"os"
	"time"
)

// State is what [os.Stat] says of a file, links followed. The zero State is
// that of a file that is not there.
//
// The content is not part of it: a State is cheap enough to be taken every few
// seconds, and no key or secret is read over and over. A file that was written
// again with the same content counts as changed.
type State struct{ info fs.FileInfo }

// StateOf returns the state of the file called name; one that cannot be looked
// at counts as not there.
func StateOf(name string) State {
	info, err := os.Stat(name)
	if err != nil {
		return State{}
	}
	return State{info}
}

// Equal reports whether two states are of one unchanged file. Size and time
// alone would not tell: a rename can put another file of the same size and time
// in place.
func (s State) Equal(other State) bool {
	if s.info == nil || other.info == nil {
		return s.info == nil && other.info == nil
	}
	return os.SameFile(s.info, other.info) && s.info.Size() == other.info.Size() &&
		s.info.Mode() == other.info.Mode() && s.info.ModTime().Equal(other.info.ModTime())
}

// Exists reports whether the file was there.
func (s State) Exists() bool { return s.info != nil }

// WorldReadable reports whether every account of the machine may read the file.
func (s State) WorldReadable() bool { return s.info != nil && s.info.Mode().Perm()&0o004 != 0 }

// Mode returns the permission bits.
func (s State) Mode() fs.FileMode {
	if s.info == nil {
		return 0
	}
	return s.info.Mode().Perm()
}

// ModTime returns when the file was written, or the zero Time.
func (s State) ModTime() time.Time {
	if s.info == nil {
		return time.Time{}
	}
	return s.info.ModTime()
}
