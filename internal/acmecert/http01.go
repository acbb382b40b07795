package acmecert

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"time"
)

// challengeTimeout bounds a request to the HTTP-01 listener, which is one short line.
const challengeTimeout = 5 * time.Second

// Serve answers HTTP-01 challenges on l until ctx ends. There is nothing else at this port,
// and no redirect: a client that sends a password to it has the wrong URL, and must not
// work.
func (m *Manager) Serve(ctx context.Context, l net.Listener) error {
	h := &http.Server{
		Handler:     http.HandlerFunc(m.serveChallenge),
		ReadTimeout: challengeTimeout, WriteTimeout: challengeTimeout, IdleTimeout: challengeTimeout,
		MaxHeaderBytes: 4 << 10,
		ErrorLog:       log.New(io.Discard, "", 0), // it is about clients that break off
	}
	h.SetKeepAlivesEnabled(false)
	stop := context.AfterFunc(ctx, func() { _ = h.Close() })
	defer stop()
	if err := h.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func (m *Manager) serveChallenge(w http.ResponseWriter, r *http.Request) {
	m.mu.RLock()
	answer, ok := m.answers[r.URL.Path]
	m.mu.RUnlock()
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if !ok || r.Method != http.MethodGet {
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, "This port answers ACME challenges alone. The token server is at https.\n")
		return
	}
	_, _ = io.WriteString(w, answer)
}
