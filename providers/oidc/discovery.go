package oidc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"shorepass/internal/ctxmutex"
	"shorepass/providers"
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
	authorization, endSession, pushed endpoint

	authMethods         []string // token_endpoint_auth_methods_supported
	assertionAlgorithms []string // token_endpoint_auth_signing_alg_values_supported
	grants              []string // grant_types_supported
	scopes              []string // scopes_supported
	algorithms          []string // id_token_signing_alg_values_supported
	challengeMethods    []string // code_challenge_methods_supported
	responseTypes       []string // response_types_supported

	requiresPush      bool // require_pushed_authorization_requests
	promisesIss       bool // authorization_response_iss_parameter_supported
	backchannelLogout bool // backchannel_logout_supported

	fetchTime   time.Duration
	fetchedAt   time.Time
	clockOffset time.Duration // how far the provider's clock is ahead of ours; 0 if unknown
}

// supports reports whether a list of the metadata has value. Such a list is
// optional; without it, value may be supported.
func supports(supported []string, value string) bool {
	return len(supported) == 0 || slices.Contains(supported, value)
}

// discovery is a cache of the provider's metadata, without TTL: it is filled at
// first use and refreshed in the background. A failure is cached for failureTTL.
// It is safe for concurrent use.
type discovery struct {
	cfg          Config
	client       *client
	probeTimeout time.Duration

	current atomic.Pointer[metadata]

	mu       ctxmutex.Mutex
	failure  error     // guarded by mu: of the last fetch; nil after a success
	failedAt time.Time // guarded by mu
}

// get returns the cached metadata, or fetches it. It is single-flight.
func (d *discovery) get(ctx context.Context) (*metadata, error) {
	if m := d.current.Load(); m != nil {
		return m, nil
	}
	if err := d.mu.Lock(ctx); err != nil {
		return nil, fmt.Errorf("wait for discovery of %s: %w", d.cfg.Issuer, err)
	}
	defer d.mu.Unlock()
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
	if err := d.mu.Lock(ctx); err != nil {
		return nil, fmt.Errorf("wait for discovery of %s: %w", d.cfg.Issuer, err)
	}
	defer d.mu.Unlock()
	if m := d.current.Load(); m != nil && time.Since(m.fetchedAt) < maxAge {
		return m, nil
	}
	return d.fetch(ctx, d.cfg.Timeout)
}

// probe is a health check: it fetches the metadata again, unless another fetch
// ended after since. It is single-flight. The error is nil also if ctx ended
// first, since that leaves open whether the provider is up.
func (d *discovery) probe(ctx context.Context, since time.Time) error {
	if d.mu.Lock(ctx) != nil {
		return nil
	}
	defer d.mu.Unlock()
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
	bounded, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	begun := time.Now()
	m, err := d.request(bounded)
	if err != nil {
		if ctx.Err() == nil { // else the caller gave up, which is no failure of the provider
			d.failure, d.failedAt = err, time.Now()
		}
		return nil, err
	}
	m.fetchedAt = time.Now()
	m.fetchTime = m.fetchedAt.Sub(begun)
	d.failure = nil
	d.current.Store(m)
	return m, nil
}

// wellKnown is the path of a discovery document below its address (OpenID
// Connect Discovery 1.0, section 4).
const wellKnown = "/.well-known/openid-configuration"

// request requests the discovery document once. Errors have the key to change,
// if it is known.
func (d *discovery) request(ctx context.Context) (*metadata, error) {
	key, address := d.cfg.discoveryAddress()
	doc, ahead, err := d.client.discover(ctx, address)
	address = strings.TrimSuffix(address, "/") + wellKnown
	if err != nil {
		err = fmt.Errorf("discover %s: %w", address, err)
		status, answered := errors.AsType[statusError](err)
		if providers.KeyOf(err) != "" || answered && status >= 500 || errors.Is(err, errExpiredCertificate) {
			return nil, err
		}
		return nil, providers.WithKey(key, err)
	}
	if issuer := doc.text("issuer"); issuer != d.cfg.Issuer {
		return nil, providers.WithKey("issuer", fmt.Errorf("discover %s: the document is that of the issuer %q: if that is your provider, write it as issuer, byte for byte", address, truncate(issuer)))
	}
	m, err := parseMetadata(d.cfg, doc)
	if err != nil {
		return nil, err
	}
	m.clockOffset = ahead
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
	resp, err := d.client.get(ctx, requestKeys, address, "")
	if err != nil {
		return nil, fmt.Errorf("read the keys of %s at %s: %w", d.cfg.Issuer, printable(address), err)
	}
	usable, unusable, err := parseKeys(resp.body)
	if err == nil && len(usable) == 0 {
		err = noUsableKey(unusable)
	}
	if err != nil {
		return nil, fmt.Errorf("read the keys of %s: %w", d.cfg.Issuer, err)
	}
	return &keySnapshot{usable, unusable, time.Now()}, nil
}

// parseMetadata checks the members of a discovery document. Those of
// mtls_endpoint_aliases replace the endpoints for a client with a certificate
// (RFC 8705, section 5).
func parseMetadata(cfg Config, doc members) (*metadata, error) {
	hosts, err := cfg.trustedHosts()
	if err != nil {
		return nil, err
	}
	aliases := members{}
	if cfg.TLS.Certificate != "" {
		aliases, _ = decodeMembers(doc["mtls_endpoint_aliases"]) // none if it is not an object
	}
	check := func(name string) endpoint {
		if _, ok := aliases[name]; ok {
			return hosts.check("mtls_endpoint_aliases."+name, aliases[name])
		}
		return hosts.check(name, doc[name])
	}
	return &metadata{
		token:      check("token_endpoint"),
		userinfo:   check("userinfo_endpoint"),
		revocation: check("revocation_endpoint"),
		jwks:       check("jwks_uri"),
		pushed:     check("pushed_authorization_request_endpoint"),

		// Browsers go there, without the client's certificate.
		authorization: hosts.check("authorization_endpoint", doc["authorization_endpoint"]),
		endSession:    hosts.check("end_session_endpoint", doc["end_session_endpoint"]),

		requiresPush:      doc.isTrue("require_pushed_authorization_requests"),
		promisesIss:       doc.isTrue("authorization_response_iss_parameter_supported"),
		backchannelLogout: doc.isTrue("backchannel_logout_supported"),

		challengeMethods:    doc.texts("code_challenge_methods_supported"),
		responseTypes:       doc.texts("response_types_supported"),
		assertionAlgorithms: doc.texts("token_endpoint_auth_signing_alg_values_supported"),

		authMethods: doc.texts("token_endpoint_auth_methods_supported"),
		grants:      doc.texts("grant_types_supported"),
		scopes:      doc.texts("scopes_supported"),
		algorithms:  doc.texts("id_token_signing_alg_values_supported"),
	}, nil
}

// scopesOf returns the scopes to request at a login.
func (m *metadata) scopesOf(cfg Config, wantsRefreshToken bool) []string {
	scopes := slices.DeleteFunc(slices.Clone(cfg.Scopes), func(scope string) bool { return scope == offlineAccess })
	if wantsRefreshToken && m.asksOfflineAccess(cfg) {
		scopes = append(scopes, offlineAccess)
	}
	return scopes
}

// asksOfflineAccess reports whether offline_access is requested with a login that
// asks for a refresh token: a provider that does not list the scope may refuse
// the login (invalid_scope).
func (m *metadata) asksOfflineAccess(cfg Config) bool {
	return slices.Contains(cfg.Scopes, offlineAccess) || supports(m.scopes, offlineAccess)
}

// refreshTokenCure says how to have the provider issue refresh tokens.
func (m *metadata) refreshTokenCure(cfg Config) string {
	if !m.asksOfflineAccess(cfg) {
		return `the provider's scopes_supported lacks "offline_access", so it is not requested: add it to scopes if the provider has it all the same (Google has not: it issues refresh tokens for access_type=offline, in a browser only)`
	}
	return `"offline_access" is requested: allow the client the scope and the grant refresh_token at the provider`
}

// authStyle returns how the client authenticates: AuthStyle, or else by the
// metadata. It is never found by trial: a rejected request in one style, repeated
// in another, would be two failed logins for one wrong password, and a replayed
// refresh token.
func (m *metadata) authStyle(cfg Config) (string, error) {
	switch {
	case cfg.AuthStyle != "":
		return cfg.AuthStyle, nil
	case cfg.ClientSecret.IsZero():
		return authNone, nil
	case supports(m.authMethods, authBasic): // also the default of the specification
		return authBasic, nil
	case supports(m.authMethods, authPost):
		return authPost, nil
	}
	return "", providers.WithKey("auth_style", fmt.Errorf("the provider takes a client only by %s: set auth_style, or leave out client_secret", printableList(m.authMethods)))
}
