package server

import (
	"net/http"
	"slices"

	"shorepass/registry"
)

// Cross-origin resource sharing (Fetch, section 3.2) for the token endpoint alone: the web
// page of a registry, at an origin of ui_origins, may request tokens by scripts. It sends
// the person's password itself. No answer allows credentials, so that a browser attaches
// none of its own, and no other endpoint takes part.

// routePreflight is the name of a preflight request, which is not counted as a request to
// the token endpoint.
const routePreflight = "preflight"

// preflightMaxAge is how long a browser caches the answer to a preflight, in seconds.
const preflightMaxAge = "600"

// shareAcrossOrigins applies the protocol to a request to the token endpoint, and answers
// it where it is a preflight.
func (s *Server) shareAcrossOrigins(w http.ResponseWriter, r *http.Request, gen *Generation) (isAnswered bool) {
	h := w.Header()
	h.Set("Vary", "Origin")
	if r.Header.Get("Origin") == "" {
		return false
	}
	gen.allowOrigin(w, r, r.URL.Query().Get("service"))
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	if h.Get("Access-Control-Allow-Origin") != "" { // else the browser does not send the request
		h.Set("Access-Control-Allow-Methods", "GET, POST")
		h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type")
		h.Set("Access-Control-Max-Age", preflightMaxAge)
	}
	s.metrics.countRoute(routePreflight, http.StatusNoContent)
	w.WriteHeader(http.StatusNoContent)
	return true
}

// allowOrigin lets scripts of the page that sends the request read the answer, also where
// it is an error, if the origin is one of the service's.
func (g *Generation) allowOrigin(w http.ResponseWriter, r *http.Request, service string) {
	if origin := r.Header.Get("Origin"); g.allowsOrigin(origin, service) {
		w.Header().Set("Access-Control-Allow-Origin", origin)
		return
	}
	w.Header().Del("Access-Control-Allow-Origin")
}

// allowsOrigin reports whether an origin is one of a service's. Where there is no such
// service, no token is issued, and it may be one of any service's.
func (g *Generation) allowsOrigin(origin, service string) bool {
	name, err := g.Issuer.Service(service)
	return slices.ContainsFunc(g.Services, func(s registry.Service) bool {
		return (s.Name == name || err != nil) && slices.Contains(s.UIOrigins, origin)
	})
}

// hasUIOrigins reports whether a service has any.
func hasUIOrigins(services []registry.Service) bool {
	return slices.ContainsFunc(services, func(s registry.Service) bool { return len(s.UIOrigins) > 0 })
}
