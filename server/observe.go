package server

import (
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"

	"shorepass/providers"
)

// endpoint answers a request and fills in its state. It records the request
// before it answers, and answers nothing where it returns an error.
type endpoint func(http.ResponseWriter, *http.Request, *Generation, *request) error

// observed returns a handler that runs an endpoint and records each request: in
// the audit line, the metrics, and the log line of an error.
func (s *Server) observed(action string, serve endpoint) func(http.ResponseWriter, *http.Request, *Generation) {
	return func(w http.ResponseWriter, r *http.Request, gen *Generation) {
		req := newRequest(action, s.sessions.Now(), newOrigin(r, gen.trustedProxies))
		s.observe(w, r, gen, req, serve)
	}
}

func (s *Server) observe(w http.ResponseWriter, r *http.Request, gen *Generation, req *request, serve endpoint) {
	w.Header().Set("X-Request-Id", req.line.Request)
	if req.origin.spoofed && s.spoofWarned.CompareAndSwap(false, true) {
		s.log.Warn("a peer that is not trusted sends X-Forwarded-For or Forwarded, so the client's address is unknown; "+
			"if it is a proxy of yours, add it to server.trusted_proxies", "peer", req.line.Address)
	}
	defer s.metrics.observe(req)
	defer s.limitBody(r).release()

	err := catchPanic(func() error { return serve(w, r, gen, req) })
	if err == nil {
		return
	}
	failure := wireError(err)
	req.line.Reason = auditText(failure.Error())
	if required := req.record(s.audit, failure.status); required != nil {
		failure = wireError(required)
	}
	s.logFailure(r, req, failure)
	writeError(w, failure)
}

// answer records the request as answered and then sends body with status 200.
func (s *Server) answer(w http.ResponseWriter, req *request, body any) error {
	if err := req.record(s.audit, http.StatusOK); err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, body)
	return nil
}

// catchPanic turns a panic into an error, which is logged under the request's id
// like any other.
func catchPanic(serve func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return serve()
}

// logFailure logs why a request failed, which the client is not told. A wrong
// password is no fault of the server, and is in the audit line; that a provider is
// unavailable was logged when it became so.
func (s *Server) logFailure(r *http.Request, req *request, failure httpError) {
	attrs := []any{"request", req.line.Request, "status", failure.status, "error", failure.Error(), "service", req.line.Service, "address", req.line.Address}
	switch {
	case r.Context().Err() != nil:
		s.log.Debug("the client went away", attrs...)
	case failure.status == http.StatusInternalServerError:
		s.log.Error("a request failed", attrs...)
	case failure.status == http.StatusServiceUnavailable && !isProviderFailure(failure):
		s.log.Warn("a request could not be answered", attrs...)
	default:
		s.log.Debug("a request was refused", attrs...)
	}
}

// isProviderFailure reports whether a provider caused a failure.
func isProviderFailure(failure httpError) bool {
	_, ok := errors.AsType[*providers.Failure](failure.cause)
	return ok
}
