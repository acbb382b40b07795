package server

import (
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"shorepass/providers"
)

// reservedPaths are the server's own; the token endpoint cannot take them, nor
// anything below /oauth.
var reservedPaths = []string{"/healthz", "/readyz", "/metrics", "/v2", "/oauth"}

func reserved(path string) bool {
	return slices.Contains(reservedPaths, path) || strings.HasPrefix(path, "/oauth/")
}

// route is what stands at a path.
type route struct {
	methods []string
	handle  func(http.ResponseWriter, *http.Request, *Generation)
}

func (s *Server) routes(tokenPaths []string) map[string]route {
	routes := map[string]route{
		"/healthz": {[]string{http.MethodGet, http.MethodHead}, s.serveHealth},
		"/readyz":  {[]string{http.MethodGet, http.MethodHead}, s.serveReady},
		"/metrics": {[]string{http.MethodGet}, s.serveMetrics},
		"/v2":      {[]string{http.MethodGet, http.MethodHead}, s.serveVersionCheck},

		"/oauth/revoke":     {[]string{http.MethodPost}, s.observed(actionRevoke, s.serveRevoke)},
		"/oauth/introspect": {[]string{http.MethodPost}, s.observed(actionIntrospect, s.serveIntrospect)},
	}
	for _, p := range tokenPaths {
		routes[p] = route{[]string{http.MethodGet, http.MethodPost}, s.observed("", s.serveToken)}
	}
	return routes
}

// endpoint answers a request and fills in its event. It records the event
// before it answers, and answers nothing where it returns an error.
type endpoint func(http.ResponseWriter, *http.Request, *Generation, *event) error

// observed returns a handler that runs an endpoint and writes down what became
// of each request: the audit line, the log line of an error, the metrics.
func (s *Server) observed(action string, serve endpoint) func(http.ResponseWriter, *http.Request, *Generation) {
	return func(w http.ResponseWriter, r *http.Request, gen *Generation) {
		e := &event{Time: s.sessions.Now(), began: time.Now(), Request: requestID(), Action: action, origin: newOrigin(r, gen.trustedProxies), grant: "unknown"}
		s.observe(w, r, gen, e, serve)
	}
}

func (s *Server) observe(w http.ResponseWriter, r *http.Request, gen *Generation, e *event, serve endpoint) {
	if e.origin.peer.IsValid() {
		e.Address = e.origin.peer.String()
	}
	w.Header().Set("X-Request-Id", e.Request)
	if e.origin.spoofed && s.spoofed.CompareAndSwap(false, true) {
		s.log.Warn("a peer that is not trusted sends X-Forwarded-For or Forwarded, so the client's address is unknown; "+
			"if it is a proxy of yours, add it to server.trusted_proxies", "peer", e.Address)
	}
	defer s.metrics.observe(e)
	defer s.meter(r).done()

	err := recovered(func() error { return serve(w, r, gen, e) })
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

// answer records the request as answered and then sends body with status 200.
func (s *Server) answer(w http.ResponseWriter, e *event, body any) error {
	if err := s.audit.record(e, http.StatusOK); err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, body)
	return nil
}

// recovered turns a panic, which would be a fault of ours, into an error, so
// that it is logged under the request's id like any other.
func recovered(serve func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return serve()
}

// logFailure tells the operators what the client was not told. A wrong
// password is nobody's fault here, and the audit line has it; that a provider is
// unavailable was logged when it became so.
func (s *Server) logFailure(r *http.Request, e *event, failure httpError) {
	attrs := []any{"request", e.Request, "status", failure.status, "error", failure.Error(), "service", e.Service, "address", e.Address}
	switch {
	case r.Context().Err() != nil:
		s.log.Debug("the client went away", attrs...)
	case failure.status == http.StatusInternalServerError:
		s.log.Error("a request failed", attrs...)
	case failure.status == http.StatusServiceUnavailable && !ofProvider(failure):
		s.log.Warn("a request could not be answered", attrs...)
	default:
		s.log.Debug("a request was refused", attrs...)
	}
}

// ofProvider reports whether a provider caused a failure.
func ofProvider(failure httpError) bool {
	_, ok := errors.AsType[*providers.Failure](failure.cause)
	return ok
}
