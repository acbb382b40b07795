package server

import (
	"fmt"
	"net/http"
	"runtime/debug"
	"time"
)

// reservedPaths are the server's own; the token endpoint cannot take them.
var reservedPaths = []string{"/healthz", "/readyz", "/metrics", "/v2"}

// route is what stands at a path.
type route struct {
	methods []string
	handle  func(http.ResponseWriter, *http.Request, *Rooms)
}

func (s *Server) routes(tokenPaths []string) map[string]route {
	routes := map[string]route{
		"/healthz": {[]string{http.MethodGet, http.MethodHead}, s.serveHealth},
		"/readyz":  {[]string{http.MethodGet, http.MethodHead}, s.serveReady},
		"/metrics": {[]string{http.MethodGet}, s.serveMetrics},
		"/v2":      {[]string{http.MethodGet, http.MethodHead}, s.servePing},
	}
	for _, p := range tokenPaths {
		routes[p] = route{[]string{http.MethodGet, http.MethodPost}, s.observed}
	}
	return routes
}

// observed runs the token endpoint and writes down what became of the request:
// the audit line, the log line of an error, the metrics.
func (s *Server) observed(w http.ResponseWriter, r *http.Request, rooms *Rooms) {
	e := &event{Time: time.Now(), Request: requestID(), origin: newOrigin(r, rooms.trustedProxies), grant: "unknown"}
	if e.origin.peer.IsValid() {
		e.Address = e.origin.peer.String()
	}
	w.Header().Set("X-Request-Id", e.Request)
	if e.origin.spoofed && s.spoofed.CompareAndSwap(false, true) {
		s.log.Warn("a peer that is not trusted sends X-Forwarded-For or Forwarded, so the client's address is unknown; "+
			"if it is a proxy of yours, add it to server.trusted_proxies", "peer", e.Address)
	}
	defer s.metrics.observe(e)

	err := s.recovered(w, r, e)
	if err == nil {
		return
	}
	failure := wireError(err)
	e.Reason = bounded(failure.Error())
	if required := s.audit.record(e, failure.status); required != nil {
		failure = wireError(required)
	}
	s.logFailure(r, e, failure)
	writeError(w, failure)
}

// recovered turns a panic, which would be a fault of ours, into an error, so
// that it is logged under the request's id like any other.
func (s *Server) recovered(w http.ResponseWriter, r *http.Request, e *event) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return s.serveToken(w, r, e)
}

// logFailure tells the operators what the client was not told. A wrong
// password is nobody's fault here, and the audit line has it.
func (s *Server) logFailure(r *http.Request, e *event, failure *httpError) {
	attrs := []any{"request", e.Request, "status", failure.status, "error", failure.Error(), "service", e.Service, "address", e.Address}
	switch {
	case r.Context().Err() != nil:
		s.log.Debug("the client went away", attrs...)
	case failure.status == http.StatusInternalServerError:
		s.log.Error("a request failed", attrs...)
	case failure.status == http.StatusServiceUnavailable:
		s.log.Warn("a request could not be answered", attrs...)
	default:
		s.log.Debug("a request was refused", attrs...)
	}
}
