package server

import (
	"fmt"
	"mime"
	"net/http"
	"strings"
	"time"
)

// isTokenRequest reports whether a request to a path without an endpoint is meant for
// the token endpoint: the realm of a registry is misspelt.
func isTokenRequest(r *http.Request) bool {
	switch r.Method {
	case http.MethodGet:
		query := r.URL.Query()
		return query.Has("service") || query.Has("scope") || query.Has("offline_token")
	case http.MethodPost:
		kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
		return err == nil && kind == "application/x-www-form-urlencoded"
	}
	return false
}

// serveWrongPath refuses a token request whose path is none of server.paths, and says
// which it should be. Nothing is verified, and it does not redirect: a redirected client
// drops its credentials. Such a path is in the realm of a registry, whose operators do
// not see what its clients print, so that the log names it too.
func (s *Server) serveWrongPath(w http.ResponseWriter, r *http.Request, gen *Generation, req *request) error {
	if q, err := parseQuestion(w, r); err == nil {
		q.service = auditText(q.service)
		req.noteQuestion(q)
	}
	asked, paths := auditText(r.URL.Path), strings.Join(gen.Config.Paths, ", ")
	if dropped, ok := s.wrongPaths.admit(asked, time.Now()); ok {
		s.log.Warn("a token request has a path that is none of server.paths; correct the realm in the registry's configuration, or add the path",
			"path", asked, "paths", gen.Config.Paths, "service", req.line.Service, "address", req.line.Address, "host", auditText(r.Host), "not_logged", dropped)
	}
	return httpError{status: http.StatusNotFound, code: codeUnsupported, oauth: "invalid_request",
		message: fmt.Sprintf("there is no token endpoint at %q; the token endpoint is %s: correct the realm in the registry's configuration", asked, paths)}
}
