package oidc

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	goidc "github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// failureTTL is the TTL of a cached failure, so that logins do not each send a
// request to a provider that is down.
const failureTTL = time.Second

// probeTimeout is the timeout of a probe, so that it fits into a login whose
// other requests used up theirs.
const probeTimeout = 1500 * time.Millisecond

// metadata is the checked metadata of the provider (OpenID Connect Discovery 1.0,
// section 3). It is never changed.
type metadata struct {
	token, userinfo, revocation, jwks endpoint

	authMethods []string // token_endpoint_auth_methods_supported
	grants      []string // grant_types_supported
	scopes      []string // scopes_supported
	algorithms  []string // id_token_signing_alg_values_supported
	fetchTime   time.Duration
	fetchedAt   time.Time
}

// endpoint is the URL of one of the provider's endpoints, or why it must not be
// used. The error is that of its use, not of discovery: a provider whose userinfo
// endpoint is on another host still serves logins that do not need it.
type endpoint struct {
	url string
	err error
}

func (e endpoint) get() (string, error) { return e.url, e.err }

// supports reports whether a list of the metadata has value. Such a list is
// optional; without it, value may be supported.
func supports(supported []string, value string) bool {
	return len(supported) == 0 || slices.Contains(supported, value)
}

// ctxMutex is a mutex whose waiters give up when their context ends.
type ctxMutex chan struct{}

func newCtxMutex() ctxMutex { return make(ctxMutex, 1) }

func (m ctxMutex) lock(ctx context.Context) error {
	select {
	case m <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (m ctxMutex) unlock() { <-m }

// discovery is a cache of the provider's metadata, without TTL: it is filled at
// first use and refreshed in the background. A failure is cached for failureTTL.
// It is safe for concurrent use.
type discovery struct {
	cfg          Config
	client       *client
	probeTimeout time.Duration

	current atomic.Pointer[metadata]

	mu       ctxMutex
	failure  error     // guarded by mu: of the last fetch; nil after a success
	failedAt time.Time // guarded by mu
}

// get returns the cached metadata, or fetches it. It is single-flight.
func (d *discovery) get(ctx context.Context) (*metadata, error) {
	if m := d.current.Load(); m != nil {
		return m, nil
	}
	if err := d.mu.lock(ctx); err != nil {
		return nil, fmt.Errorf("wait for discovery of %s: %w", d.cfg.Issuer, err)
	}
	defer d.mu.unlock()
	if m := d.current.Load(); m != nil {
		return m, nil
	}
	if d.failure != nil && time.Since(d.failedAt) < failureTTL {
		return nil, d.failure
	}
	return d.fetch(ctx, d.cfg.Timeout)
}

// refresh fetches the metadata again if the cached one is older than maxAge.
// After an error the cached one stays in use.
func (d *discovery) refresh(ctx context.Context, maxAge time.Duration) (*metadata, error) {
	if err := d.mu.lock(ctx); err != nil {
		return nil, fmt.Errorf("wait for discovery of %s: %w", d.cfg.Issuer, err)
	}
	defer d.mu.unlock()
	if m := d.current.Load(); m != nil && time.Since(m.fetchedAt) < maxAge {
		return m, nil
	}
	return d.fetch(ctx, d.cfg.Timeout)
}

// probe is a health check: it fetches the metadata again, unless another fetch
// ended after since. It is single-flight. The error is nil also if ctx ended
// first, since that leaves open whether the provider is up.
func (d *discovery) probe(ctx context.Context, since time.Time) error {
	if d.mu.lock(ctx) != nil {
		return nil
	}
	defer d.mu.unlock()
	if m := d.current.Load(); m != nil && m.fetchedAt.After(since) {
		return nil
	}
	if d.failure != nil && d.failedAt.After(since) {
		return d.failure
	}
	if _, err := d.fetch(ctx, d.probeTimeout); ctx.Err() == nil {
		return err
	}
	return nil
}

// fetch requests the metadata, within limit, and caches it or the failure. The
// caller holds mu.
func (d *discovery) fetch(ctx context.Context, limit time.Duration) (*metadata, error) {
	bounded, cancel := context.WithTimeout(goidc.ClientContext(ctx, d.client.http), limit)
	defer cancel()
	begun := time.Now()
	var trace requestTrace
	found, err := goidc.NewProvider(trace.attach(bounded), d.cfg.Issuer)
	if err != nil {
		err = fmt.Errorf("discover %s: %w", d.cfg.Issuer, trace.quote(err))
		if ctx.Err() == nil { // else the caller gave up, which is no failure of the provider
			d.failure, d.failedAt = err, time.Now()
		}
		return nil, err
	}
	m, err := parseMetadata(d.cfg, found)
	if err != nil {
		err = fmt.Errorf("discover %s: %w", d.cfg.Issuer, err)
		d.failure, d.failedAt = err, time.Now()
		return nil, err
	}
	m.fetchedAt = time.Now()
	m.fetchTime = m.fetchedAt.Sub(begun)
	d.failure = nil
	d.current.Store(m)
	return m, nil
}

// fetchKeys requests the key set (RFC 7517) at jwks_uri. A set without a usable
// key is an error, so that the cached one stays in use.
func (d *discovery) fetchKeys(ctx context.Context) (*keySnapshot, error) {
	m, err := d.get(ctx)
	if err != nil {
		return nil, err
	}
	address, err := m.jwks.get()
	if err != nil {
		return nil, err
	}
	body, err := d.client.get(ctx, address, "")
	if err != nil {
		return nil, fmt.Errorf("read the keys of %s: %w", d.cfg.Issuer, err)
	}
	usable, unusable, err := parseKeys(body)
	if err == nil && len(usable) == 0 {
		err = noUsableKey(unusable)
	}
	if err != nil {
		return nil, fmt.Errorf("read the keys of %s: %w", d.cfg.Issuer, err)
	}
	return &keySnapshot{usable, unusable, time.Now()}, nil
}

func parseMetadata(cfg Config, found *goidc.Provider) (*metadata, error) {
	var doc struct {
		Token       string   `json:"token_endpoint"`
		Userinfo    string   `json:"userinfo_endpoint"`
		Revocation  string   `json:"revocation_endpoint"`
		JWKS        string   `json:"jwks_uri"`
		AuthMethods []string `json:"token_endpoint_auth_methods_supported"`
		Grants      []string `json:"grant_types_supported"`
		Scopes      []string `json:"scopes_supported"`
		Algorithms  []string `json:"id_token_signing_alg_values_supported"`
	}
	if err := found.Claims(&doc); err != nil {
		return nil, fmt.Errorf("read the discovery document: %w", new(requestTrace).quote(err))
	}
	issuer, err := url.Parse(cfg.Issuer)
	if err != nil {
		return nil, err
	}
	check := func(name, raw string) endpoint { return checkEndpoint(issuer, cfg.Hosts, name, raw) }
	return &metadata{
		token:       check("token_endpoint", doc.Token),
		userinfo:    check("userinfo_endpoint", doc.Userinfo),
		revocation:  check("revocation_endpoint", doc.Revocation),
		jwks:        check("jwks_uri", doc.JWKS),
		authMethods: doc.AuthMethods,
		grants:      doc.Grants,
		scopes:      doc.Scopes,
		algorithms:  doc.Algorithms,
	}, nil
}

// errNoEndpoint means that the provider has no such endpoint.
var errNoEndpoint = errors.New("is not in the provider's discovery document")

// checkEndpoint accepts an endpoint on the issuer's host and port or on one of
// hosts, with https unless the issuer is plain http. An attacker who can change
// the discovery document must not redirect passwords, or cause requests into
// the network (SSRF).
func checkEndpoint(issuer *url.URL, hosts []string, name, raw string) endpoint {
	if raw == "" {
		return endpoint{err: fmt.Errorf("%s %w", name, errNoEndpoint)}
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.Fragment != "":
		return endpoint{err: fmt.Errorf("the provider's %s is not a URL", name)}
	case u.Scheme != "https" && (u.Scheme != "http" || issuer.Scheme != "http"):
		return endpoint{err: fmt.Errorf("the provider's %s %q is not https", name, truncate(raw))}
	}
	host := authority(u)
	if host == authority(issuer) || slices.ContainsFunc(hosts, func(h string) bool {
		return host == authority(&url.URL{Scheme: u.Scheme, Host: h})
	}) {
		return endpoint{url: raw}
	}
	return endpoint{err: fmt.Errorf("the provider's %s is on %q, another host than the issuer's: if that is right, add it to hosts", name, truncate(u.Host))}
}

// authority returns host and port in a normal form, with the default port filled
// in.
func authority(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[u.Scheme]
	}
	return strings.ToLower(u.Hostname()) + " " + port
}

// authStyle returns how the client authenticates at the token endpoint. With
// AuthStyleAutoDetect x/oauth2 would retry a rejected request in the other style:
// two failed logins for one wrong password, and a replayed refresh token.
func (m *metadata) authStyle(cfg Config) (oauth2.AuthStyle, error) {
	style := cfg.AuthStyle
	switch {
	case style != "":
	case cfg.ClientSecret.IsZero():
		style = authNone
	case supports(m.authMethods, authBasic): // also the default of the specification
		style = authBasic
	case supports(m.authMethods, authPost):
		style = authPost
	default:
		return 0, fmt.Errorf("the provider takes a client only by %s: set auth_style, or leave out client_secret", printableList(m.authMethods))
	}
	if style == authBasic {
		return oauth2.AuthStyleInHeader, nil
	}
	return oauth2.AuthStyleInParams, nil
}
