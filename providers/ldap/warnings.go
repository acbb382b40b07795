package ldap

import (
	"log/slog"
	"slices"
	"sync"
	"time"

	"shorepass/internal/lru"
	"shorepass/providers"
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
	loggedAt *lru.Cache[string, loggedWarning] // by the text
}

// loggedWarning is a warning that was logged.
type loggedWarning struct {
	key string // of the configuration, which cures it
	at  time.Time
}

func newWarnings() *warnings {
	return &warnings{log: slog.New(slog.DiscardHandler), loggedAt: lru.New[string, loggedWarning](maxWarnings)}
}

// add logs a warning, unless it was logged within warnInterval. Its key of the
// configuration, or a change in the directory, cures the problem.
func (w *warnings) add(key, problem string) {
	if w.due(key, problem) {
		w.log.Warn("the directory has a problem", "problem", problem, "key", key)
	}
}

// due reports whether a text has to be logged now, and records that it is.
func (w *warnings) due(key, text string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	if last, ok := w.loggedAt.Get(text); ok && now.Sub(last.at) < warnInterval {
		return false
	}
	w.loggedAt.Put(text, loggedWarning{key, now})
	return true
}

// findings returns the warnings within warnInterval, sorted by their texts.
func (w *warnings) findings() providers.Findings {
	var found providers.Findings
	for _, text := range w.recent() {
		w.mu.Lock()
		logged, _ := w.loggedAt.Get(text)
		w.mu.Unlock()
		found = append(found, providers.Warningf(logged.key, "%s", text))
	}
	return found
}

// recent returns the warnings within warnInterval, sorted.
func (w *warnings) recent() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var texts []string
	for text, logged := range w.loggedAt.All() {
		if time.Since(logged.at) < warnInterval {
			texts = append(texts, text)
		}
	}
	slices.Sort(texts)
	return texts
}
