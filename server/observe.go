package server

import (
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"

	"shorepass/providers"
)

// endpoint handles a request and fills in its state. It records the request before
// it answers, and sends no answer where it returns an error.
type endpoint func(http.ResponseWriter, *http.Request, *Generation, *request) error

// observed is the middleware of audited endpoints: it runs serve and records each
// request in the audit log, in the metrics and, after an error, in the log.
func (s *Server) observed(action string, serve endpoint) func(http.ResponseWriter, *http.Request, *Generation) {
	return func(w http.ResponseWriter, r *http.Request, gen *Generation) {
		req := newRequest(action, s.sessions.Now(), newOrigin(r, gen.trustedProxies))
		s.observe(w, r, gen, req, serve)
	}
}

func (s *Server) observe(w http.ResponseWriter, r *http.Request, gen *Generation, req *request, serve endpoint) {
	s.begin(w, req)
	defer s.metrics.observe(req)
	defer s.limitBody(r).release()

	err := catchPanic(func() error { return serve(w, r, gen, req) })
	if err == nil {
		return
	}
	failure := gen.failure(r, err)
	req.refusedBy = providers.NameOf(err)
	req.line.Reason = auditText(failure.Error())
	if required := req.record(s.audit, failure.status); required != nil {
		failure = gen.wireError(required)
	}
	s.logFailure(r, req, failure)
	writeError(w, failure.shownByEngine(req.origin.userAgent, len(req.line.Asked) > 0))
}

// begin tells the client the request's id, and the log of an untrusted proxy.
func (s *Server) begin(w http.ResponseWriter, req *request) {
	w.Header().Set("X-Request-Id", req.line.Request)
	if req.origin.spoofed && s.spoofWarned.CompareAndSwap(false, true) {
		s.log.Warn("an untrusted peer sends X-Forwarded-For or Forwarded, so the client's address is unknown; "+
			"if the peer is your proxy, add it to server.trusted_proxies", "address", req.line.Address)
	}
}

// answer records the request and then sends body with status 200.
func (s *Server) answer(w http.ResponseWriter, req *request, body any) error {
	if err := req.record(s.audit, http.StatusOK); err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, body)
	return nil
}

// catchPanic calls serve and returns a panic as an error, which is logged under the
// request's id like any other.
func catchPanic(serve func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return serve()
}

// logFailure logs the cause of a failure, which the client does not receive. A refused
// login is Debug, since the audit log has it. So is a failure that is logged already: a
// provider that became unavailable, a circuit breaker that opened, an audit line that was
// not written.
func (s *Server) logFailure(r *http.Request, req *request, failure httpError) {
	attrs := []any{"request", req.line.Request, "status", failure.status, "error", failure.Error(), "service", req.line.Service, "address", req.line.Address}
	switch {
	case r.Context().Err() != nil:
		s.log.Debug("the client disconnected", attrs...)
	case failure.status == http.StatusInternalServerError:
		s.log.Error("a request failed", attrs...)
	case failure.status == http.StatusServiceUnavailable && !isLogged(failure):
		s.log.Warn("a request could not be answered", attrs...)
	default:
		s.log.Debug("a request was refused", attrs...)
	}
}

func isLogged(failure httpError) bool {
	return providers.NameOf(failure.cause) != "" || errors.Is(failure.cause, errNoAuditLine)
}
