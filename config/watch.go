package config

import (
	"context"
	"io/fs"
	"maps"
	"os"
	"slices"
	"time"
)

// interval is how often Watch looks.
const interval = 2 * time.Second

// fileState is the state of a file: all that os.Stat tells, links followed. The
// zero fileState is that of a file that is not there.
//
// The content is not part of it. It must be cheap, since it is taken
// every two seconds, and should not read keys and secrets over and over; that
// a file is written anew with the same content only means a needless reload.
type fileState struct{ info fs.FileInfo }

func fileStateOf(name string) fileState {
	info, err := os.Stat(name)
	if err != nil {
		return fileState{}
	}
	return fileState{info}
}

// open reports whether everybody can read the file.
func (s fileState) open() bool { return s.info != nil && s.info.Mode().Perm()&0o004 != 0 }

func (s fileState) equal(other fileState) bool {
	if s.info == nil || other.info == nil {
		return s.info == nil && other.info == nil
	}
	return os.SameFile(s.info, other.info) && s.info.Size() == other.info.Size() &&
		s.info.Mode() == other.info.Mode() && s.info.ModTime().Equal(other.info.ModTime())
}

// Watch calls changed whenever a file that the configuration depends on has
// become another, until ctx ends. current returns the configuration in force;
// changed is called in the same goroutine, after current's files have not
// changed for one interval, so that a file that is being written is not read
// half: half a policy can be valid and lack its deny rules.
//
// It looks every two seconds, on purpose. A notification of the system names a
// folder or an inode, not a path: it misses what an editor renames into place,
// the links that Kubernetes swaps two levels above a mounted file, and anything
// on a network file system, and each of these needs its own repair. A stat of a
// dozen files costs microseconds and sees them all.
func Watch(ctx context.Context, current func() *Config, changed func()) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	seen := maps.Clone(current().states)
	var before map[string]fileState // the last look, while it differs from seen
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := look(current(), seen)
		switch {
		case same(now, seen):
			before = nil
		case before == nil || !same(now, before):
			before = now
		default:
			before, seen = nil, now
			changed()
		}
	}
}

// look states the files of c. What seen does not know yet, because c is newer
// than seen, enters it as it was when c was loaded.
func look(c *Config, seen map[string]fileState) map[string]fileState {
	now := make(map[string]fileState, len(c.Files))
	for _, name := range c.Files {
		now[name] = fileStateOf(name)
		if _, ok := seen[name]; !ok {
			seen[name] = c.states[name]
		}
	}
	for name := range seen {
		if !slices.Contains(c.Files, name) {
			delete(seen, name)
		}
	}
	return now
}

func same(a, b map[string]fileState) bool {
	return maps.EqualFunc(a, b, fileState.equal)
}
