package server

import (
	"net/http"
	"path"
	"slices"
	"strings"
)

// reservedPaths are paths of other endpoints. The token endpoint can have none of them,
// and no path below /oauth.
var reservedPaths = []string{"/healthz", "/readyz", "/metrics", "/v2", "/oauth"}

func isReserved(path string) bool {
	return slices.Contains(reservedPaths, path) || strings.HasPrefix(path, "/oauth/")
}

// route is an endpoint and the methods that it accepts.
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

// ServeHTTP routes a request. It never redirects, since a redirected client drops its
// credentials or sends them to another server; extra slashes are ignored instead.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	gen := s.generation.Load()
	if gen == nil {
		s.serveUnready(w, r)
		return
	}
	found, ok := gen.routes[r.URL.Path]
	if !ok {
		found, ok = gen.routes[path.Clean("/"+r.URL.Path)]
	}
	if !ok && isTokenRequest(r) {
		s.observed("", s.serveWrongPath)(w, r, gen)
		return
	}
	if !ok {
		writeError(w, httpError{status: http.StatusNotFound, code: codeUnsupported, oauth: "invalid_request", message: "there is nothing at this path"})
		return
	}
	if !slices.Contains(found.methods, r.Method) {
		allow := strings.Join(found.methods, ", ")
		w.Header().Set("Allow", allow)
		writeError(w, httpError{status: http.StatusMethodNotAllowed, code: codeUnsupported, oauth: "invalid_request", message: "this path takes only " + allow})
		return
	}
	found.handle(w, r, gen)
}
