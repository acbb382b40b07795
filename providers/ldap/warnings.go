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

	// warnInterval is how often the same is said: what is wrong in the directory
	// shows at each login of those it concerns.
	warnInterval = time.Hour
)

// warnings tells an operator of what is wrong in the directory, each once an
// hour.
type warnings struct {
	log *slog.Logger

	mu       sync.Mutex
	loggedAt *lru.Cache[string, time.Time]
}

func newWarnings() *warnings {
	return &warnings{log: slog.New(slog.DiscardHandler), loggedAt: lru.New[string, time.Time](maxWarnings)}
}

func (w *warnings) add(text string) {
	if w.due(text) {
		w.log.Warn("directory: " + text)
	}
}

// due reports whether the text was not said lately.
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

// recent returns what was said within the hour.
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
