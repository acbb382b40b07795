// Package server speaks HTTP: the token endpoint (token.go), revocation and
// introspection (revoke.go, introspect.go, who asks in caller.go), the version
// check /v2/ (versioncheck.go), health and metrics.
//
// A request enters in [Server.ServeHTTP] and finds its endpoint in route.go. One
// to the token endpoint is parsed in question.go, goes its way in token.go, and
// leaves as an answer or through errors.go, the one place where an error becomes
// a status and a body. authenticate.go alone proves the credential
// (credential.go) of a request, at every endpoint. The state of a request is in
// request.go; from it observe.go makes the audit line (auditline.go), the log
// line and the metrics. body.go, head.go and sink.go bound the memory and the
// time that a stranger, or an audit log that nothing reads, can take.
//
// What a reload replaces is in a [Generation] and is swapped whole; a request
// keeps the generation it began with.
package server

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"shorepass/policy"
	"shorepass/providers"
	"shorepass/registry"
)

// Generation is one loaded configuration and what was built of it: everything a
// request passes through that a reload replaces.
type Generation struct {
	Config Config // Listen and TLS of the first one stay in force until a restart
	Chain  *providers.Chain
	Policy *policy.Policy
	Issuer *registry.Issuer

	routes         map[string]route
	realms         map[string]string // by the host of each public URL
	trustedProxies []netip.Prefix
	metricsFrom    []netip.Prefix
}

// Server answers requests. It is safe for concurrent use.
type Server struct {
	generation  atomic.Pointer[Generation]
	sessions    Sessions
	admin       SessionAdmin
	audit       *Audit
	log         *slog.Logger
	metrics     *Metrics
	largeBodies chan struct{} // one for each long body that is being read
	spoofWarned atomic.Bool   // the warning of an untrusted proxy was logged

	stopping     atomic.Bool
	lastProbe    atomic.Int64  // when /readyz was asked last, in Unix seconds
	notReadySeen chan struct{} // has one once /readyz has said that the server is stopping
}

// Sessions is what the server needs of [session.Sessions], beside [SessionAdmin].
type Sessions interface {
	redeemer      // authenticate.go
	sessionIssuer // token.go
	clock         // token.go

	// Ping reports whether the store answers and can be written to.
	Ping(ctx context.Context) error

	// DoubtedProviders returns the names of the providers whose circuit breakers
	// are open.
	DoubtedProviders() []string
}

// New returns a server without a generation: it is not ready until [Server.Reload].
func New(sessions Sessions, admin SessionAdmin, audit *Audit, metrics *Metrics, log *slog.Logger) *Server {
	return &Server{sessions: sessions, admin: admin, audit: audit, metrics: metrics, log: log, largeBodies: make(chan struct{}, maxLargeBodies), notReadySeen: make(chan struct{}, 1)}
}

// Reload puts gen in force for every request that begins from now on. Its
// Config must have passed Validate.
func (s *Server) Reload(gen Generation) error {
	var err error
	if gen.trustedProxies, err = parseNetworks(gen.Config.TrustedProxies); err != nil {
		return err
	}
	if gen.metricsFrom, err = parseNetworks(gen.Config.MetricsFrom); err != nil {
		return err
	}
	if gen.realms, err = gen.Config.realms(); err != nil {
		return err
	}
	gen.routes = s.routes(gen.Config.Paths)
	s.generation.Store(&gen)
	return nil
}

// Generation returns the one in force, or nil before the first Reload.
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

// Limits of a connection. A token request is one small message; who needs
// longer than this holds a connection to keep others out.
const (
	readHeaderLimit = 5 * time.Second
	readLimit       = 10 * time.Second
	writeLimit      = 30 * time.Second
	idleLimit       = 2 * time.Minute
	maxHeaderBytes  = 3 << 19          // a password of 1 MiB is told so in the wire's own form; head.go bounds how many
	shutdownLimit   = 20 * time.Second // drainLimit included
)

// Serve answers on l until ctx ends, then finishes the requests under way. It
// speaks TLS where tlsConfig is not nil. The error is nil after such an orderly
// end.
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
		ReadHeaderTimeout: readHeaderLimit,
		ReadTimeout:       readLimit,
		WriteTimeout:      writeLimit,
		IdleTimeout:       idleLimit,
		MaxHeaderBytes:    maxHeaderBytes,
		ConnState:         trackConnState,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug), // a client's broken handshake is not our error
	}
	served := make(chan error, 1)
	go func() { served <- h.Serve(l) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	s.log.Info("shutting down: finishing the requests under way")
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownLimit)
	defer cancel()
	s.drain(end)
	err := h.Shutdown(end)
	if serveErr := <-served; !errors.Is(serveErr, http.ErrServerClosed) {
		err = errors.Join(err, serveErr)
	}
	return err
}
