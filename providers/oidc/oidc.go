package oidc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"shorepass/internal/ctxmutex"
	"shorepass/internal/secret"
	"shorepass/providers"
)

// Provider is one OpenID provider, as one of its clients sees it. It is safe for
// concurrent use.
type Provider struct {
	cfg       Config
	client    *client
	discovery *discovery
	keys      *keyCache
	verifier  *verifier
	mapper    *claimMapper
	log       *logger

	warnedNoRefreshToken atomic.Bool

	clientCheck clientCheck
	background  background
}

var (
	_ providers.Provider            = (*Provider)(nil)
	_ providers.IDTokenVerifier     = (*Provider)(nil)
	_ providers.RefreshGrant        = (*Provider)(nil)
	_ providers.Revalidator         = (*Provider)(nil)
	_ providers.Revoker             = (*Provider)(nil)
	_ providers.BrowserSignIn       = (*Provider)(nil)
	_ providers.RefreshTokenOptions = (*Provider)(nil)
	_ providers.TokenAcceptor       = (*Provider)(nil)
	_ providers.Pinger              = (*Provider)(nil)
	_ providers.LogSetter           = (*Provider)(nil)
	_ providers.Starter             = (*Provider)(nil)
	_ providers.PeerReporter        = (*Provider)(nil)
)

// New returns a provider for a Config that has its defaults and is valid. It
// reads the files of cfg.TLS and makes no request.
func New(cfg Config) (*Provider, error) {
	log := new(logger)
	mapper, err := newClaimMapper(cfg, log)
	if err != nil {
		return nil, err
	}
	requests := newRequests()
	http, err := newHTTPClient(cfg, requests)
	if err != nil {
		return nil, err
	}
	client := &client{cfg: cfg, http: http, requests: requests}
	if cfg.ClientKey != "" {
		if client.key, err = readClientKey(cfg.ClientKey); err != nil {
			return nil, providers.WithKey("client_key", fmt.Errorf("read client_key: %w", err))
		}
	}
	discovery := &discovery{cfg: cfg, client: client, probeTimeout: probeTimeout, mu: ctxmutex.New()}
	keys := newKeyCache(discovery.fetchKeys, log)
	if mapper.graph, err = newGraphGroups(client, discovery, mapper.namer, log); err != nil {
		return nil, err
	}
	return &Provider{
		cfg:       cfg,
		client:    client,
		discovery: discovery,
		keys:      keys,
		verifier:  newVerifier(cfg, keys),
		mapper:    mapper,
		log:       log,

		clientCheck: clientCheck{mu: ctxmutex.New()},
	}, nil
}

// logger is where the provider logs, once SetLog has set it.
type logger struct{ set atomic.Pointer[slog.Logger] }

func (l *logger) get() *slog.Logger {
	if log := l.set.Load(); log != nil {
		return log
	}
	return slog.New(slog.DiscardHandler)
}

// SetLog implements [providers.LogSetter].
func (p *Provider) SetLog(log *slog.Logger) { p.log.set.Store(log) }

// Fingerprint implements [providers.Provider]: the issuer, the client, and the
// claims of the subject unless they are the default.
func (p *Provider) Fingerprint() string {
	fingerprint := "oidc " + p.cfg.Issuer + " " + p.cfg.ClientID
	if subject := strings.Join(p.cfg.Subject, " "); subject != "sub" {
		fingerprint += " " + subject
	}
	return fingerprint
}

// TrustsIssuer implements [providers.TokenAcceptor].
func (p *Provider) TrustsIssuer(iss string) bool { return iss == p.cfg.Issuer }

// Accepts implements [providers.TokenIssuer]: the kinds that grants names.
func (p *Provider) Accepts(kind providers.Kind) bool {
	switch kind {
	case providers.Password:
		return p.cfg.grants(grantPassword)
	case providers.RefreshToken:
		return p.cfg.grants(grantRefresh)
	case providers.IDToken:
		return p.cfg.grants(grantIDToken)
	}
	return false
}

// checkGranted refuses a credential of a kind that grants does not name, without
// parsing it, and an empty one.
func (p *Provider) checkGranted(kind providers.Kind, credential secret.Text) error {
	switch {
	case !p.Accepts(kind):
		return fmt.Errorf("%w: grants do not name %s", providers.ErrNotMine, kind)
	case credential.IsZero():
		return fmt.Errorf("%w: empty", providers.ErrRejected)
	}
	return nil
}

// Lookup implements [providers.Provider] without a request: an OpenID provider
// cannot tell whether it has a name, so Prove rejects a name without an account.
// ErrNotMine means that grants does not name passwords.
func (p *Provider) Lookup(_ context.Context, login providers.Login) (*providers.Account, error) {
	if !p.Accepts(providers.Password) {
		return nil, fmt.Errorf("%w: grants do not name %s", providers.ErrNotMine, providers.Password)
	}
	return &providers.Account{Prove: func(ctx context.Context, password providers.LoginPassword) (*providers.Identity, error) {
		return p.prove(ctx, login, password)
	}}, nil
}

// prove is the resource owner password grant (RFC 6749, section 4.3).
func (p *Provider) prove(ctx context.Context, login providers.Login, password providers.LoginPassword) (*providers.Identity, error) {
	if err := p.checkGranted(providers.Password, password.Secret); err != nil {
		return nil, err
	}
	wantsRefreshToken := password.Offline && p.cfg.grants(grantRefresh)
	m, err := p.loginMetadata(ctx, wantsRefreshToken)
	if err != nil {
		return nil, err
	}
	got, err := p.client.passwordGrant(ctx, m, string(login), password.Secret.Reveal(), m.scopesOf(p.cfg, wantsRefreshToken))
	if err != nil {
		return nil, p.probeAfter(ctx, err)
	}
	sets, err := p.readClaims(ctx, m, got, "")
	if err != nil {
		return nil, providers.NotCounted(err) // the password is right, so the provider counted no failure
	}
	id, err := p.mapper.identity(ctx, sets)
	if err != nil {
		if wantsRefreshToken && errors.Is(err, providers.ErrRejected) {
			p.revokeUnused(ctx, m, got)
		}
		return nil, err
	}
	if got.id != "" {
		id.ACR, id.AMR = sets[0].authentication()
	}
	id.AuthTime = time.Now() // by the password; auth_time may be that of the provider's session
	if wantsRefreshToken {
		id.RefreshToken = secret.New(got.refresh)
		p.warnIfNoRefreshToken(m, got)
	}
	return id, nil
}

// loginMetadata returns the metadata for a password grant. One for a refresh token waits
// for the signing keys too: at a provider that stores one refresh token for each person,
// a login that fails after the grant ends the person's other logins. Errors are marked
// with [providers.NotCounted].
func (p *Provider) loginMetadata(ctx context.Context, wantsRefreshToken bool) (*metadata, error) {
	if wantsRefreshToken {
		return p.readyMetadata(ctx)
	}
	m, err := p.discovery.get(ctx)
	if err != nil {
		return nil, providers.NotCounted(err)
	}
	return m, nil
}

// revokeUnused revokes the refresh token of a login that is refused after the grant, or
// each further attempt would leave one behind. It does nothing if a revocation may end
// other logins of the person, or is not wanted: see Config.Revoke.
func (p *Provider) revokeUnused(ctx context.Context, m *metadata, got tokens) {
	if got.refresh == "" || p.RevokeWhen() != providers.RevokeSignIn {
		return
	}
	if err := p.client.revoke(ctx, m, secret.New(got.refresh)); err != nil {
		p.log.get().Warn("could not revoke the refresh token of a refused login", "error", err)
	}
}

// warnIfNoRefreshToken logs, once, that a login which asked for a refresh token
// got none, so that its session cannot be revalidated.
func (p *Provider) warnIfNoRefreshToken(m *metadata, got tokens) {
	if got.refresh == "" && p.warnedNoRefreshToken.CompareAndSwap(false, true) {
		p.log.get().Warn("a login brought no refresh token: its session cannot be revalidated, and ends after session.unchecked_lifetime", "cure", m.refreshTokenCure(p.cfg))
	}
}

// probeAfter probes the provider after a password grant whose error leaves open
// whether the password arrived. If the provider is down, the error is marked with
// [providers.NotCounted], so that an outage uses up no attempts of the people who
// log in during it.
func (p *Provider) probeAfter(ctx context.Context, err error) error {
	if errors.Is(err, providers.ErrRejected) || !providers.MayBeCounted(err) {
		return err
	}
	failed := time.Now()
	ctx, cancel := detachedContext(ctx, maxTimeout)
	defer cancel()
	if p.discovery.probe(ctx, failed) != nil {
		return providers.NotCounted(err)
	}
	return err
}

// RedeemRefreshToken implements [providers.RefreshGrant]. The identity's
// RefreshToken is that of the response, rotated or not. No answer to a token that
// a client sent is marked with [providers.NotCounted], since it says nothing of
// the provider's health: some blame our client for the token of another one.
func (p *Provider) RedeemRefreshToken(ctx context.Context, presented secret.Text) (*providers.Identity, error) {
	if err := p.checkGranted(providers.RefreshToken, presented); err != nil {
		return nil, err
	}
	m, err := p.readyMetadata(ctx)
	if err != nil {
		return nil, err
	}
	got, err := p.client.refreshGrant(ctx, m, presented)
	if err != nil {
		return nil, err
	}
	ctx, cancel := detachedContext(ctx, maxTimeout)
	defer cancel()
	id, err := p.identify(ctx, m, got)
	if err != nil {
		return nil, err
	}
	if err := p.checkSignIn(id); err != nil {
		return nil, err
	}
	id.RefreshToken = secret.New(got.refresh)
	return id, nil
}

// VerifyIDToken implements [providers.IDTokenVerifier]. The only requests are for
// metadata and keys, which are cached.
func (p *Provider) VerifyIDToken(ctx context.Context, token secret.Text) (*providers.Identity, error) {
	if err := p.checkGranted(providers.IDToken, token); err != nil {
		return nil, err
	}
	claims, err := p.verifier.verify(ctx, token.Reveal(), passwordRequirements(p.cfg))
	if err != nil {
		return nil, asRejected(err)
	}
	id, err := p.mapper.identity(ctx, claimSets{claims})
	if err != nil {
		return nil, err
	}
	if err := p.checkSignIn(id); err != nil {
		return nil, err
	}
	id.ACR, id.AMR = claims.authentication()
	return id, nil
}

// identify returns the identity in a response to a refresh grant, without ACR and
// AMR, which describe a login.
func (p *Provider) identify(ctx context.Context, m *metadata, got tokens) (*providers.Identity, error) {
	sets, err := p.readClaims(ctx, m, got, "")
	if err != nil {
		return nil, err
	}
	return p.mapper.identity(ctx, sets)
}

// readClaims returns the claims of a token response: those of its ID token, and
// those of userinfo as the userinfo key says. An ID token that does not verify
// means unavailable, not rejected: the provider made it. nonce is that of the
// authorization request, "" where there was none.
func (p *Provider) readClaims(ctx context.Context, m *metadata, got tokens, nonce string) (claimSets, error) {
	var sets claimSets
	if got.id != "" {
		want := responseRequirements(p.cfg)
		want.nonce = nonce
		claims, err := p.verifier.verify(ctx, got.id, want)
		if err != nil {
			return nil, fmt.Errorf("verify the ID token of %s: %w", p.cfg.Issuer, err)
		}
		sets = append(sets, claims)
	}
	if p.needsUserinfo(m, sets) {
		claims, err := p.userinfo(ctx, m, got.access)
		if err != nil {
			return nil, fmt.Errorf("userinfo of %s: %w", p.cfg.Issuer, err)
		}
		if len(sets) > 0 && sets[0]["sub"] != claims["sub"] {
			return nil, fmt.Errorf("userinfo of %s has another sub than the ID token", p.cfg.Issuer)
		}
		sets = append(sets, claims)
	}
	if len(sets) == 0 {
		return nil, fmt.Errorf("%s gave no ID token: put openid into scopes, or set userinfo = \"auto\"", p.cfg.Issuer)
	}
	return sets, nil
}

// needsUserinfo applies the userinfo key: "auto" means that there is no ID token,
// or that it lacks a configured claim and the provider has the endpoint.
func (p *Provider) needsUserinfo(m *metadata, sets claimSets) bool {
	switch p.cfg.Userinfo {
	case "always":
		return true
	case "never":
		return false
	}
	if len(sets) == 0 {
		return true
	}
	return m.userinfo.err == nil && p.mapper.lacksClaim(sets)
}
