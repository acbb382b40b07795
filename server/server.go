// Package server is the HTTP layer: the token endpoint (token.go), revocation and
// introspection (revoke.go, introspect.go, their callers in caller.go), the version
// check /v2/ (versioncheck.go), the HTML pages (page.go), health checks and metrics.
//
// [Server.ServeHTTP] routes a request to its endpoint (route.go). A token request is
// parsed in question.go and handled in token.go; errors.go is the one place that maps
// an error to a status and a body. authenticate.go alone verifies credentials
// (credential.go), at every endpoint. The state of a request is in request.go;
// observe.go writes the audit line (auditline.go), the log line and the metrics from
// it. body.go, head.go and sink.go bound the memory and the time that clients, or a
// blocked reader of the audit log, can take.
//
// A reload swaps the [Generation] atomically; a request ends with the generation that
// it began with.
package server

import (
	"context"
	"crypto/tls"
	"errors"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"sync/atomic"
	"time"

	"shorepass/internal/certwatch"
	"shorepass/policy"
	"shorepass/providers"
	"shorepass/registry"
	"shorepass/server/pages"
	"shorepass/session"
)

// Generation is one loaded configuration and what was built from it: everything that
// requests use and a reload replaces.
type Generation struct {
	Config Config // Listen and TLS of the first one stay in force until a restart
	Chain  *providers.Chain
	Policy *policy.Policy
	Issuer *registry.Issuer

	Services      []registry.Service // the [[service]] tables
	PageConfig    pages.Config
	SessionConfig session.Config // lifetimes that pages show

	// Certificates returns the certificate files in use, whose ends /readyz and
	// /metrics report. Optional.
	Certificates func() []certwatch.File

	pages       *pages.Pages // nil where none are served
	pagesOrigin *url.URL     // at which they are
	signInURL   string       // of the page at which people sign in; empty where no provider has the grant browser

	routes         map[string]route
	publicURLs     map[string]string // by host, without a slash at the end
	hasUIOrigins   bool              // a service has some
	trustedProxies []netip.Prefix
	metricsFrom    []netip.Prefix
}

// Server is the http.Handler of all endpoints. It is safe for concurrent use.
type Server struct {
	generation  atomic.Pointer[Generation]
	sessions    Sessions     // set before the first generation, and constant from then on
	admin       SessionAdmin // likewise
	audit       *Audit
	log         *slog.Logger
	metrics     *Metrics
	largeBodies chan struct{} // semaphore, see body.go
	spoofWarned atomic.Bool   // the warning about an untrusted proxy was logged
	wrongPaths  logLimit
	wrongHosts  logLimit

	reloadFault  atomic.Bool // the configuration on disk has a fault, so that an older one is in force
	stopping     atomic.Bool
	lastProbe    atomic.Int64  // time of the last readiness probe, in Unix seconds
	notReadySeen chan struct{} // has an element once a probe was answered 503
}

// Sessions is the part of [session.Sessions] that the server needs; its Admin is
// [SessionAdmin].
type Sessions interface {
	pages.Sessions
	redeemer      // authenticate.go
	sessionIssuer // token.go
	clock         // token.go

	// Ping is the health check of the store: it answers and takes writes.
	Ping(ctx context.Context) error

	// DoubtedProviders returns the names of the providers whose circuit breakers
	// are open.
	DoubtedProviders() []string
}

// New returns a server without sessions and without a generation. Until [Server.Open]
// and [Server.Reload] gave it both it answers /healthz, and 503 at any other path.
func New(audit *Audit, metrics *Metrics, log *slog.Logger) *Server {
	return &Server{audit: audit, metrics: metrics, log: log, largeBodies: make(chan struct{}, maxLargeBodies), notReadySeen: make(chan struct{}, 1)}
}

// Open gives the server its sessions. It is called once, before the first Reload.
func (s *Server) Open(sessions Sessions, admin SessionAdmin) {
	s.sessions, s.admin = sessions, admin
}

// Reload swaps in gen for every request that begins after it. The Config of gen must
// have passed Validate.
func (s *Server) Reload(gen Generation) error {
	var err error
	if gen.trustedProxies, err = parseNetworks(gen.Config.TrustedProxies); err != nil {
		return err
	}
	if gen.metricsFrom, err = parseNetworks(gen.Config.MetricsFrom); err != nil {
		return err
	}
	if gen.publicURLs, err = gen.Config.publicURLs(); err != nil {
		return err
	}
	if err = s.newPages(&gen); err != nil {
		return err
	}
	gen.hasUIOrigins = hasUIOrigins(gen.Services)
	gen.routes = s.routes(gen.Config.Paths)
	s.generation.Store(&gen)
	s.metrics.loadedAt.SetToCurrentTime()
	return nil
}

// certificates returns the certificate files in use.
func (g *Generation) certificates() []certwatch.File {
	if g.Certificates == nil {
		return nil
	}
	return g.Certificates()
}

// RecordReload records the result of loading the configuration from disk, for the metrics
// and /readyz: after an error the old one stays in force.
func (s *Server) RecordReload(err error) {
	s.reloadFault.Store(err != nil)
	s.metrics.countReload(err)
}

// Generation returns the generation in force, or nil before the first Reload.
func (s *Server) Generation() *Generation { return s.generation.Load() }

func parseNetworks(texts []string) ([]netip.Prefix, error) {
	networks := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		var err error
		if networks[i], err = parseNetwork(text); err != nil {
			return nil, err
		}
	}
	return networks, nil
}

// Timeouts and limits of a connection. A token request is one small message, so that
// a client that needs longer is broken or an attacker that holds connections.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 10 * time.Second
	writeTimeout      = 30 * time.Second
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 3 << 19          // room for a password of 1 MiB, which gets our own error; head.go bounds how many heads
	shutdownTimeout   = 20 * time.Second // drainTimeout included
)

// Serve answers requests on l until ctx ends, then drains and finishes the requests
// in flight. It speaks TLS if tlsConfig is not nil. The error is nil after such a
// graceful shutdown.
func (s *Server) Serve(ctx context.Context, l net.Listener, tlsConfig *tls.Config) error {
	l = newHeadListener(l, func(peer netip.Addr) bool {
		gen := s.Generation()
		return gen == nil || !contains(gen.trustedProxies, peer)
	})
	if tlsConfig != nil {
		l = tls.NewListener(l, tlsConfig)
	}
	h := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ConnState:         trackConnState,
		ErrorLog:          log.New(&httpErrors{log: s.log, metrics: s.metrics}, "", 0),
	}
	served := make(chan error, 1)
	go func() { served <- h.Serve(l) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	s.log.Info("shutting down: finishing the requests in flight")
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	s.drain(end)
	err := h.Shutdown(end)
	if serveErr := <-served; !errors.Is(serveErr, http.ErrServerClosed) {
		err = errors.Join(err, serveErr)
	}
	return err
}
