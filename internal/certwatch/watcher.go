package certwatch

import "time"

// Watcher reports each certificate once a threshold. It is not safe for concurrent use.
type Watcher struct {
	reported map[identity]time.Duration // the smallest threshold reported
}

// identity tells a certificate from the one that replaces it.
type identity struct {
	key, file string
	notAfter  time.Time
}

// Due returns the findings among all that were not reported at their threshold yet, and
// records them. Certificates that are no longer among all are forgotten.
func (w *Watcher) Due(all []Finding) []Finding {
	var due []Finding
	reported := make(map[identity]time.Duration, len(all))
	for _, f := range all {
		id := identity{f.Key, f.File, f.NotAfter}
		if last, ok := w.reported[id]; !ok || f.Within < last {
			due = append(due, f)
		}
		reported[id] = f.Within
	}
	w.reported = reported
	return due
}
