package certwatch

import "time"

// Watcher reports each certificate once a threshold. It is not safe for concurrent use.
type Watcher struct {
	reported map[identity]report // the last one of each certificate
}

// identity tells a certificate from the one that replaces it.
type identity struct {
	key, file string
	notAfter  time.Time
}

// report is what was said of a certificate.
type report struct {
	state  State
	within time.Duration
}

// Due returns the findings among all that were not reported in their state and at their
// threshold yet, and records them. Certificates that are no longer among all are forgotten.
func (w *Watcher) Due(all []Finding) []Finding {
	var due []Finding
	reported := make(map[identity]report, len(all))
	for _, f := range all {
		id, says := identity{f.Key, f.File, f.NotAfter}, report{f.State, f.Within}
		if last, ok := w.reported[id]; !ok || says != last {
			due = append(due, f)
		}
		reported[id] = says
	}
	w.reported = reported
	return due
}
