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

	// warnEvery is how often the same is said: what is wrong in the directory
	// shows at each login of those it concerns.
	warnEvery = time.Hour
)

// warnings tells an operator of what is wrong in the directory, each once an
// hour.
type warnings struct {
	log *slog.Logger

	mu   sync.Mutex
	said *lru.Cache[string, time.Time]
}

func newWarnings() *warnings {
	return &warnings{log: slog.New(slog.DiscardHandler), said: lru.New[string, time.Time](maxWarnings)}
}

func (w *warnings) add(text string) {
	if w.fresh(text) {
		w.log.Warn("directory: " + text)
	}
}

// fresh reports whether the text was not said lately.
func (w *warnings) fresh(text string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	if at, ok := w.said.Get(text); ok && now.Sub(at) < warnEvery {
		return false
	}
	w.said.Put(text, now)
	return true
}

// recent returns what was said within the hour.
func (w *warnings) recent() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var texts []string
	for text, at := range w.said.All() {
		if time.Since(at) < warnEvery {
			texts = append(texts, text)
		}
	}
	slices.Sort(texts)
	return texts
}
