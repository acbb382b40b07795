package config

import (
	"context"
	"maps"
	"slices"
	"time"

	"shorepass/internal/durable"
)

// interval is how often Watch looks.
const interval = 2 * time.Second

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
	var before map[string]durable.State // the last look, while it differs from seen
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

// readStates states the files of c. What seen does not know yet, because c is newer
// than seen, enters it as it was when c was loaded.
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
