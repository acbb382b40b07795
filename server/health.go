package server

import (
	"context"
	"net/http"
	"time"
)

// readyLimit is how long the store may take to say that it lives.
const readyLimit = 2 * time.Second

const (
	// probeWindow is how long ago somebody who still asks /readyz asked last.
	// Probes come every few seconds.
	probeWindow = time.Minute

	// drainLimit is how long the end waits for the next probe: as long as
	// Kubernetes waits between two unless told otherwise.
	drainLimit = 10 * time.Second
)

// readiness is the body of /readyz.
type readiness struct {
	Ready bool              `json:"ready"`
	Down  map[string]string `json:"down,omitempty"` // by name of what is down, "unavailable", or "open" for a circuit breaker; the log says why
}

// serveHealth says that the process lives.
func (s *Server) serveHealth(w http.ResponseWriter, _ *http.Request, _ *Generation) {
	writeJSON(w, http.StatusOK, map[string]bool{"alive": true})
}

// serveReady is 503 only before the first configuration is in force and while
// shutting down: a probe that takes every replica away while a directory is
// down would take the grace of sessions away too. Its body names each part
// that is down; with ?all they make it 503 as well, for alerts.
func (s *Server) serveReady(w http.ResponseWriter, r *http.Request, gen *Generation) {
	ctx, cancel := context.WithTimeout(r.Context(), readyLimit)
	defer cancel()
	body := readiness{Ready: !s.stopping.Load(), Down: map[string]string{}}
	if err := s.sessions.Ping(ctx); err != nil {
		body.Down["store"] = "unavailable"
	}
	for _, name := range gen.Chain.Down() {
		body.Down["provider "+name] = "unavailable"
	}
	for _, name := range s.sessions.DoubtedProviders() {
		body.Down["circuit breaker of "+name] = "open"
	}
	status, all := http.StatusOK, r.URL.Query().Has("all")
	if !body.Ready || all && len(body.Down) > 0 {
		status = http.StatusServiceUnavailable
	}
	writeJSON(w, status, body)
	if !all {
		s.recordProbe(body.Ready)
	}
}

// recordProbe notes what a probe was told that may send people elsewhere.
func (s *Server) recordProbe(ready bool) {
	s.lastProbe.Store(time.Now().Unix())
	if ready {
		return
	}
	select {
	case s.notReadySeen <- struct{}{}:
	default: // another one was told
	}
}

// drain has /readyz answer 503, and goes on serving until whoever asks it
// has seen that, so that a balancer sends nobody to a closed port. Where nobody
// asked of late it returns at once.
func (s *Server) drain(ctx context.Context) {
	s.stopping.Store(true)
	if time.Since(time.Unix(s.lastProbe.Load(), 0)) > probeWindow {
		return
	}
	select {
	case <-s.notReadySeen:
	case <-time.After(drainLimit):
	case <-ctx.Done():
	}
}

// serveUnready answers while there is no configuration yet.
func (s *Server) serveUnready(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/healthz" {
		s.serveHealth(w, r, nil)
		return
	}
	writeError(w, httpError{status: http.StatusServiceUnavailable, code: codeUnavailable, oauth: "temporarily_unavailable",
		retryAfter: retryUnavailable, message: "starting; try again in a moment"})
}
