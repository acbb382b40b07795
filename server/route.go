package server

import (
	"net/http"
	"path"
	"slices"
	"strings"
)

// reservedPaths are paths of other endpoints, and reservedTrees those of which every path
// below is reserved too. The token endpoint can have none of them.
var (
	reservedPaths = []string{"/healthz", "/readyz", "/metrics", "/v2"}
	reservedTrees = []string{"/oauth", "/login", "/logout", "/me", "/admin", "/.well-known"}
)

func isReserved(path string) bool {
	return slices.Contains(reservedPaths, path) ||
		slices.ContainsFunc(reservedTrees, func(tree string) bool { return path == tree || strings.HasPrefix(path, tree+"/") })
}

// route is an endpoint and the methods that it accepts.
type route struct {
	name    string // the metrics' label
	methods []string
	handle  func(http.ResponseWriter, *http.Request, *Generation)
}

// Names of routes. The name of the other audited endpoints is their action.
const (
	routeToken    = "token"
	routePages    = "pages"
	routeMetadata = "metadata"
	routeNone     = "none" // there is nothing at the path
)

func (s *Server) routes(tokenPaths []string) map[string]route {
	routes := map[string]route{
		"/healthz": s.counted("health", []string{http.MethodGet, http.MethodHead}, s.serveHealth),
		"/readyz":  s.counted("ready", []string{http.MethodGet, http.MethodHead}, s.serveReady),
		"/metrics": s.counted("metrics", []string{http.MethodGet}, s.serveMetrics),
		"/v2":      s.counted("version_check", []string{http.MethodGet, http.MethodHead}, s.serveVersionCheck),

		"/oauth/revoke":     {actionRevoke, []string{http.MethodPost}, s.observed(actionRevoke, s.serveRevoke)},
		"/oauth/introspect": {actionIntrospect, []string{http.MethodPost}, s.observed(actionIntrospect, s.serveIntrospect)},
	}
	readOnly := []string{http.MethodGet, http.MethodHead}
	routes[metadataPath] = s.counted(routeMetadata, readOnly, s.serveMetadata)
	routes[keySetPath] = s.counted(routeMetadata, readOnly, s.serveKeySet)
	for _, p := range tokenPaths {
		routes[p+metadataPath] = routes[metadataPath]
		routes[p] = route{routeToken, []string{http.MethodGet, http.MethodPost}, s.observed("", s.serveToken)}
	}
	return routes
}

// counted returns the route of an endpoint that is not audited, whose handler s.observed
// does not count.
func (s *Server) counted(name string, methods []string, handle func(http.ResponseWriter, *http.Request, *Generation)) route {
	return route{name, methods, func(w http.ResponseWriter, r *http.Request, gen *Generation) {
		recorder := &statusRecorder{ResponseWriter: w, status: http.StatusOK}
		handle(recorder, r, gen)
		s.metrics.countRoute(name, recorder.status)
	}}
}

// statusRecorder remembers the status of an answer.
type statusRecorder struct {
	http.ResponseWriter
	status int
}

func (r *statusRecorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

// errNoPath is for a path at which there is nothing.
var errNoPath = httpError{status: http.StatusNotFound, code: codeUnsupported, oauth: "invalid_request", message: "there is nothing at this path"}

// ServeHTTP routes a request. It redirects no request but those of browsers to pages,
// since a redirected client drops its credentials or sends them to another server; extra
// slashes are ignored instead.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	s.metrics.inFlight.Inc()
	defer s.metrics.inFlight.Dec()
	gen := s.generation.Load()
	if gen == nil {
		s.serveUnready(w, r)
		return
	}
	found, ok := gen.routes[r.URL.Path]
	if !ok {
		found, ok = gen.routes[path.Clean("/"+r.URL.Path)]
	}
	if !ok && gen.hasPage(r) {
		s.servePage(w, r, gen)
		return
	}
	if !ok && isTokenRequest(r) {
		s.observed("", s.serveWrongPath)(w, r, gen)
		return
	}
	if !ok {
		s.metrics.countRoute(routeNone, http.StatusNotFound)
		writeError(w, errNoPath)
		return
	}
	if gen.hasUIOrigins && found.name == routeToken {
		if isAnswered := s.shareAcrossOrigins(w, r, gen); isAnswered {
			return
		}
	}
	if !slices.Contains(found.methods, r.Method) {
		allow := strings.Join(found.methods, ", ")
		w.Header().Set("Allow", allow)
		s.metrics.countRoute(found.name, http.StatusMethodNotAllowed)
		writeError(w, httpError{status: http.StatusMethodNotAllowed, code: codeUnsupported, oauth: "invalid_request", message: "this path takes only " + allow})
		return
	}
	found.handle(w, r, gen)
}
