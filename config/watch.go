package config

import (
	"context"
	"maps"
	"slices"
	"time"

	"shorepass/internal/durable"
)

// pollInterval is the polling interval of Watch.
const pollInterval = 2 * time.Second

// Watch polls the files that the configuration depends on, and calls changed when one
// has changed, until ctx ends. current returns the configuration in force. changed is
// called in the same goroutine, after the files have not changed for one pollInterval, so
// that a file is not read while it is written: half a policy can be valid and lack its
// deny rules.
//
// It polls on purpose. A notification of the operating system names a folder or an
// inode, not a path. It misses files that an editor renames into place, links that
// Kubernetes swaps two levels above a mounted file, and network file systems, and each
// of these needs its own workaround. A stat of a dozen files costs microseconds and
// detects them all.
func Watch(ctx context.Context, current func() *Config, changed func()) {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	seen := maps.Clone(current().states)
	var before map[string]durable.State // the states of the last poll, while they differ from seen
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := readStates(current(), seen)
		switch {
		case equalStates(now, seen):
			before = nil
		case before == nil || !equalStates(now, before):
			before = now
		default:
			before, seen = nil, now
			changed()
		}
	}
}

// AddFiles adds files to c.Files by their absolute paths, or takes the state anew of one
// that is there. It is called before they are read.
func (c *Config) AddFiles(names ...string) {
	for _, name := range names {
		if !slices.Contains(c.Files, name) {
			c.Files = append(c.Files, name)
		}
		c.states[name] = durable.StateOf(name)
	}
}

// readStates returns the states of c's files. It makes seen have the same files: one that
// is new in c gets its state of when c was loaded.
func readStates(c *Config, seen map[string]durable.State) map[string]durable.State {
	now := make(map[string]durable.State, len(c.Files))
	for _, name := range c.Files {
		now[name] = durable.StateOf(name)
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

func equalStates(a, b map[string]durable.State) bool {
	return maps.EqualFunc(a, b, durable.State.Equal)
}
