package ldap

import (
	"log/slog"
	"slices"
	"sync"
	"time"

	"shorepass/internal/lru"
)

const (
	maxWarnings = 100

	// warnInterval is the interval in which one warning is logged once: a fault of
	// the directory shows at each login that it concerns.
	warnInterval = time.Hour
)

// warnings is a rate-limited log of faults of the directory: each text is logged once
// per warnInterval. It stores at most maxWarnings texts (LRU).
type warnings struct {
	log *slog.Logger

	mu       sync.Mutex
	loggedAt *lru.Cache[string, time.Time]
}

func newWarnings() *warnings {
	return &warnings{log: slog.New(slog.DiscardHandler), loggedAt: lru.New[string, time.Time](maxWarnings)}
}

// add logs a warning, unless it was logged within warnInterval.
func (w *warnings) add(problem string) {
	if w.due(problem) {
		w.log.Warn("the directory has a problem", "problem", problem)
	}
}

// due reports whether a text has to be logged now, and records that it is.
func (w *warnings) due(text string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	if at, ok := w.loggedAt.Get(text); ok && now.Sub(at) < warnInterval {
		return false
	}
	w.loggedAt.Put(text, now)
	return true
}

// recent returns the warnings within warnInterval, sorted.
func (w *warnings) recent() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var texts []string
	for text, at := range w.loggedAt.All() {
		if time.Since(at) < warnInterval {
			texts = append(texts, text)
		}
	}
	slices.Sort(texts)
	return texts
}
