package server

import (
	"sync"
	"time"
)

const (
	// logWindow is the window of a logLimit.
	logWindow = time.Minute

	// maxLogKeys is how many lines a logLimit admits in a window.
	maxLogKeys = 10
)

// logLimit is a rate limit of log lines that strangers can cause: in each window one
// line for a key, and maxLogKeys lines in all. It is safe for concurrent use.
type logLimit struct {
	mu      sync.Mutex
	began   time.Time       // of the window
	seen    map[string]bool // keys of this window, at most maxLogKeys
	dropped int             // lines that were not admitted since the last one that was
}

// admit reports whether a line is to be logged, and how many were not since the last
// one that was.
func (l *logLimit) admit(key string, now time.Time) (dropped int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.began) >= logWindow {
		l.began, l.seen = now, make(map[string]bool)
	}
	if l.seen[key] || len(l.seen) >= maxLogKeys {
		l.dropped++
		return 0, false
	}
	l.seen[key] = true
	dropped, l.dropped = l.dropped, 0
	return dropped, true
}
