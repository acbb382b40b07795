package server

import (
	"context"
	"net/http"
	"time"
)

// readyLimit is how long the store may take to say that it lives.
const readyLimit = 2 * time.Second

// readiness is the body of /readyz.
type readiness struct {
	Ready bool              `json:"ready"`
	Down  map[string]string `json:"down,omitempty"` // each part that is down, and since when or why, without a peer's words
}

// serveHealth says that the process lives.
func (s *Server) serveHealth(w http.ResponseWriter, _ *http.Request, _ *Rooms) {
	writeJSON(w, http.StatusOK, map[string]bool{"alive": true})
}

// serveReady is 503 only before the first configuration is in force and while
// shutting down: a probe that takes every replica away while a directory is
// down would take the grace of sessions away too. Its body names each part
// that is down; with ?all they make it 503 as well, for alerts.
func (s *Server) serveReady(w http.ResponseWriter, r *http.Request, rooms *Rooms) {
	ctx, cancel := context.WithTimeout(r.Context(), readyLimit)
	defer cancel()
	body := readiness{Ready: !s.stopping.Load(), Down: map[string]string{}}
	if err := s.sessions.Ping(ctx); err != nil {
		body.Down["store"] = "unavailable"
	}
	for _, name := range rooms.Chain.Down() {
		body.Down["provider "+name] = "unavailable"
	}
	status := http.StatusOK
	if !body.Ready || (r.URL.Query().Has("all") && len(body.Down) > 0) {
		status = http.StatusServiceUnavailable
	}
	writeJSON(w, status, body)
}

// serveUnready answers while there is no configuration yet.
func (s *Server) serveUnready(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/healthz" {
		s.serveHealth(w, r, nil)
		return
	}
	writeError(w, &httpError{status: http.StatusServiceUnavailable, code: codeUnavailable, oauth: "temporarily_unavailable",
		retryAfter: retryUnavailable, message: "starting; try again in a moment"})
}
