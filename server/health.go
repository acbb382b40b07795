package server

import (
	"context"
	"net/http"
	"path"
	"time"

	"shorepass/internal/certwatch"
)

// readyTimeout is the timeout of the store's health check.
const readyTimeout = 2 * time.Second

const (
	// probeWindow is how long after a request to /readyz another one is expected.
	// Probes come every few seconds.
	probeWindow = time.Minute

	// drainTimeout is how long a shutdown waits for the next probe: the default
	// interval of Kubernetes.
	drainTimeout = 10 * time.Second
)

// readiness is the body of /readyz.
type readiness struct {
	Ready bool              `json:"ready"`
	Down  map[string]string `json:"down,omitempty"` // by the name of the part: "unavailable", "open" for a circuit breaker, "has ended" or "is not valid yet" for a certificate, or "faulty" for a configuration on disk that is not in force; the log says why
}

// serveHealth is the liveness probe.
func (s *Server) serveHealth(w http.ResponseWriter, _ *http.Request, _ *Generation) {
	writeJSON(w, http.StatusOK, map[string]bool{"alive": true})
}

// serveReady is the readiness probe: 503 only before the first configuration is in
// force and while the server shuts down. A probe that failed with the directory would
// remove every replica, and existing sessions could not use their grace. The body
// names each part that is down; with ?all such a part makes it 503 too, for alerts.
func (s *Server) serveReady(w http.ResponseWriter, r *http.Request, gen *Generation) {
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	body := readiness{Ready: !s.stopping.Load(), Down: map[string]string{}}
	if err := s.sessions.Ping(ctx); err != nil {
		body.Down["store"] = "unavailable"
	}
	if s.audit.isDown() {
		body.Down["audit"] = "unavailable"
	}
	if s.reloadFault.Load() {
		body.Down["configuration"] = "faulty"
	}
	for _, name := range gen.Chain.Down() {
		body.Down["provider "+name] = "unavailable"
	}
	for _, name := range s.sessions.DoubtedProviders() {
		body.Down["circuit breaker of "+name] = "open"
	}
	for _, found := range certwatch.Check(gen.certificates(), time.Now()) {
		if found.State != certwatch.Ending && found.Fault {
			body.Down["certificate "+found.Key] = string(found.State)
		}
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

// recordProbe records a readiness probe and, where it was answered 503, lets drain
// go on.
func (s *Server) recordProbe(ready bool) {
	s.lastProbe.Store(time.Now().Unix())
	if ready {
		return
	}
	select {
	case s.notReadySeen <- struct{}{}:
	default: // drain has its signal already
	}
}

// drain makes /readyz answer 503 and waits, while requests are still served, until a
// probe has received that, so that a load balancer sends no client to a closed port.
// If there was no probe within probeWindow, it returns immediately.
func (s *Server) drain(ctx context.Context) {
	s.stopping.Store(true)
	if time.Since(time.Unix(s.lastProbe.Load(), 0)) > probeWindow {
		return
	}
	select {
	case <-s.notReadySeen:
	case <-time.After(drainTimeout):
	case <-ctx.Done():
	}
}

// serveUnready answers every request while the store is being opened: a migration takes
// minutes, and a database may start later than this server. Such a process is alive.
func (s *Server) serveUnready(w http.ResponseWriter, r *http.Request) {
	switch path.Clean("/" + r.URL.Path) {
	case "/healthz":
		s.serveHealth(w, r, nil)
	case "/readyz":
		writeJSON(w, http.StatusServiceUnavailable, readiness{Down: map[string]string{"store": "unavailable"}})
	default:
		writeError(w, httpError{status: http.StatusServiceUnavailable, code: codeUnavailable, oauth: "temporarily_unavailable",
			retryAfter: retryUnavailable, message: "starting; try again in a moment"})
	}
}
