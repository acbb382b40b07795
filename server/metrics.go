package server

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"shorepass/providers"
	"shorepass/server/pages"
)

// Metrics are the server's Prometheus metrics, and the registry to which the caller
// adds those of other packages. Every label has few values, and clients cannot add any.
type Metrics struct {
	registry      *prometheus.Registry
	requests      *prometheus.CounterVec
	duration      *prometheus.HistogramVec
	decisions     *prometheus.CounterVec
	routes        *prometheus.CounterVec
	signIns       *prometheus.CounterVec
	inFlight      prometheus.Gauge
	handshakes    *prometheus.CounterVec
	reloads       *prometheus.CounterVec
	reloaded      prometheus.Gauge
	loadedAt      prometheus.Gauge
	auditFailures prometheus.Counter
	handler       http.Handler
}

// The values of the label method are those of the audit line's method, with one
// exception: a refresh token of ours is "refresh", where the audit line has the method
// of its login. Two more values are for a request without a credential, and for one
// whose credential could not be parsed.
const (
	methodAnonymous = "anonymous"
	methodUnknown   = "unknown"

	methods = "what the request brought: password, id_token, refresh (a refresh token, ours or the provider's), pat, robot, browser (a one-time password), anonymous, or unknown where it could not be parsed"
)

// NewMetrics returns metrics in a Prometheus registry of their own.
func NewMetrics() *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "shorepass_token_requests_total", Help: "Requests to the token endpoint, by method (" + methods + "), the provider that authenticated or refused it (none where none was asked), and the status.",
		}, []string{"method", "provider", "status"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "shorepass_token_request_duration_seconds", Help: "Time to answer a request to the token endpoint, by method (" + methods + ").",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 3, 10},
		}, []string{"method"}),
		decisions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "shorepass_policy_decisions_total", Help: "Decisions of the rules about requests with a scope, by the provider (none for anonymous requests) and the outcome: granted, partial, or denied where nothing was granted.",
		}, []string{"provider", "outcome"}),
		routes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "shorepass_http_requests_total", Help: "Requests by route (token, pages, revoke, introspect, metadata, preflight, version_check, health, ready, metrics, or none where there is nothing at the path) and status.",
		}, []string{"route", "status"}),
		signIns: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "shorepass_sign_ins_total", Help: "Sign-ins with a browser, by provider (none where none was asked) and outcome: succeeded, refused, unavailable, or failed.",
		}, []string{"provider", "outcome"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "shorepass_http_requests_in_flight", Help: "Requests that are being answered.",
		}),
		handshakes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "shorepass_tls_handshake_failures_total", Help: "Failed TLS handshakes of clients, by reason: untrusted (the client refuses the certificate), plain_http, closed, timeout, or other.",
		}, []string{"reason"}),
		reloaded: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "shorepass_config_last_reload_successful", Help: "1 if the configuration on disk is in force, 0 if it has a fault, so that an older one is.",
		}),
		loadedAt: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "shorepass_config_last_reload_success_timestamp_seconds", Help: "When the configuration in force was loaded, in Unix time.",
		}),
		auditFailures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "shorepass_audit_failures_total", Help: "Audit lines that were not written.",
		}),
		reloads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "shorepass_config_reloads_total", Help: "Reloads of the configuration, by result: ok or error. A fault that lasts is counted once.",
		}, []string{"result"}),
	}
	m.reloaded.Set(1)
	for _, reason := range handshakeReasons {
		m.handshakes.WithLabelValues(reason)
	}
	for _, result := range []string{"ok", "error"} {
		m.reloads.WithLabelValues(result)
	}
	for _, status := range firstStatuses {
		m.routes.WithLabelValues(routeToken, strconv.Itoa(status))
	}
	m.registry.MustRegister(m.requests, m.duration, m.decisions, m.routes, m.signIns, m.inFlight, m.handshakes, m.auditFailures, m.reloads, m.reloaded, m.loadedAt,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.handler = promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
	return m
}

// firstStatuses are the statuses of token requests that are 0 from the beginning, so
// that the first outage is a growth and not a new series. Alerts go by them.
var firstStatuses = []int{http.StatusOK, http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusServiceUnavailable}

// Register adds the metrics of other packages.
func (m *Metrics) Register(collector prometheus.Collector) error {
	return m.registry.Register(collector)
}

// Describe sends the descriptions of all metrics, without values.
func (m *Metrics) Describe(descriptions chan<- *prometheus.Desc) { m.registry.Describe(descriptions) }

// countAuditFailure counts an audit line that was not written.
func (m *Metrics) countAuditFailure(error) { m.auditFailures.Inc() }

// countReload counts a reload of the configuration by its result.
func (m *Metrics) countReload(err error) {
	result, successful := "ok", 1.0
	if err != nil {
		result, successful = "error", 0
	}
	m.reloads.WithLabelValues(result).Inc()
	m.reloaded.Set(successful)
}

// noProvider is the label provider of a request for which no provider was asked.
const noProvider = "none"

// observe counts a request to an audited endpoint.
func (m *Metrics) observe(req *request) {
	status := strconv.Itoa(req.line.Status)
	m.routes.WithLabelValues(cmp.Or(req.line.Action, routeToken), status).Inc()
	if req.line.Action != "" {
		return
	}
	provider := cmp.Or(req.line.Provider, req.refusedBy, noProvider)
	m.requests.WithLabelValues(req.method, provider, status).Inc()
	m.duration.WithLabelValues(req.method).Observe(time.Since(req.localTime).Seconds())
	if req.outcome != "" {
		m.decisions.WithLabelValues(provider, req.outcome).Inc()
	}
}

// observeVisit counts a request to a page.
func (m *Metrics) observeVisit(gen *Generation, done *pages.Record, status int) {
	m.countRoute(routePages, status)
	if done.Action != pages.ActionSignIn {
		return
	}
	provider := cmp.Or(providers.NameOf(done.Err), noProvider)
	if done.Identity != nil {
		provider = done.Identity.Provider
	} else if slices.ContainsFunc(gen.Chain.BrowserProviders(), func(p providers.BrowserProvider) bool { return p.Name == done.Provider }) {
		provider = done.Provider
	}
	m.signIns.WithLabelValues(provider, outcomeOf(status)).Inc()
}

// expectSignIns has sign-ins at these providers counted from 0, so that the first failure is
// a growth and not a new series.
func (m *Metrics) expectSignIns(at []providers.BrowserProvider) {
	for _, p := range at {
		for _, outcome := range signInOutcomes {
			m.signIns.WithLabelValues(p.Name, outcome)
		}
	}
}

// signInOutcomes are the values of the label outcome of sign-ins.
var signInOutcomes = []string{"succeeded", "refused", "unavailable", "failed"}

// outcomeOf returns the outcome of a sign-in with that status.
func outcomeOf(status int) string {
	switch {
	case status == http.StatusServiceUnavailable:
		return "unavailable"
	case status == http.StatusInternalServerError, status == statusClientClosed:
		return "failed"
	case status >= http.StatusBadRequest:
		return "refused"
	}
	return "succeeded"
}

// countRoute counts a request to an endpoint that is not audited.
func (m *Metrics) countRoute(route string, status int) {
	m.routes.WithLabelValues(route, strconv.Itoa(status)).Inc()
}

// serveMetrics answers addresses in server.metrics_from alone, since the labels name
// the providers.
func (s *Server) serveMetrics(w http.ResponseWriter, r *http.Request, gen *Generation) {
	from := newOrigin(r, gen.trustedProxies)
	if !contains(gen.metricsFrom, from.address) {
		writeError(w, forbidden("this address may not read metrics; server.metrics_from says which may"))
		return
	}
	s.metrics.handler.ServeHTTP(w, r)
}
