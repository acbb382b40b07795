package oidc

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"shorepass/providers"
)

// pingTTL is the TTL of what Ping reports, so that Ping in a loop does not ask
// the provider each time.
const pingTTL = 10 * time.Second

// Ping implements [providers.Pinger]. What a provider that answers has wrong is a
// finding; the error is for one that does not.
func (p *Provider) Ping(ctx context.Context) (providers.Findings, error) {
	m, err := p.pingMetadata(ctx)
	if err != nil && isOutage(err) {
		return nil, err
	}
	if err != nil {
		return providers.Findings{providers.Faultf(providers.KeyOf(err), "%v", err)}, nil
	}
	found := providers.Findings{providers.Infof("%s: discovery in %s", p.cfg.Issuer, m.fetchTime.Round(time.Millisecond))}
	found = append(found, describeKeys(p.cfg, p.keys.current.Load())...)
	found = append(found, m.signingAlgorithms(p.cfg))
	found = append(found, m.describeClock()...)
	if p.cfg.usesClient() {
		found = append(found, m.describeTokenEndpoint(p.cfg)...)
		if key := p.client.key; key != nil {
			found = append(found, providers.Infof("client key: to be registered at the provider: %s", key))
		}
		if _, err := m.authStyle(p.cfg); err == nil && m.token.err == nil {
			found = append(found, p.checkClient(ctx, m))
		}
	}
	if p.cfg.grants(grantPassword) || p.cfg.grants(grantBrowser) {
		found = append(found, m.describeScopes(p.cfg)...)
		found = append(found, m.describeRefreshTokens(p.cfg))
	}
	if p.cfg.grants(grantPassword) {
		found = append(found, p.cfg.lockoutAdvice()...)
	}
	if p.cfg.grants(grantBrowser) {
		found = append(found, m.describeBrowser(p.cfg)...)
	}
	if p.cfg.grants(grantIDToken) {
		found = append(found, providers.Infof("ID tokens as passwords: for the audience %s", providers.Quoted(p.cfg.Audience)))
	}
	return append(found, p.mapper.graph.ping(ctx)...), nil
}

// pingMetadata returns metadata and refreshes the keys.
func (p *Provider) pingMetadata(ctx context.Context) (*metadata, error) {
	if err := p.refreshCaches(ctx, pingTTL); err != nil {
		return nil, err
	}
	return p.discovery.get(ctx)
}

// isOutage reports whether the error of a request says that the provider did not
// answer, rather than what is wrong with its answer.
func isOutage(err error) bool {
	_, broken := errors.AsType[requestError](err)
	_, proxy := errors.AsType[proxyError](err)
	status, answered := errors.AsType[statusError](err)
	return broken || proxy || answered && status >= 500 || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// describeKeys describes the published keys, each that is not used with the
// reason.
func describeKeys(cfg Config, keys *keySnapshot) providers.Findings {
	found := providers.Findings{providers.Infof("keys: %s", keys)}
	if !slices.ContainsFunc(keys.usable, func(key publicKey) bool { return slices.ContainsFunc(cfg.Algorithms, key.fits) }) {
		found = append(found, providers.Faultf("algorithms", "none of the provider's keys is for one of %s", providers.Quoted(cfg.Algorithms)))
	}
	for _, key := range keys.unusable[:min(len(keys.unusable), maxNamedKeys)] {
		if key.foreign {
			found = append(found, providers.Infof("not used: %s", key))
		} else {
			found = append(found, providers.Warningf("", "not used: %s", key))
		}
	}
	return found
}

// describeClock compares the provider's clock with ours: a token whose iat is in
// the future is refused.
func (m *metadata) describeClock() providers.Findings {
	switch offset := m.clockOffset.Round(time.Second); {
	case offset > clockSkew:
		return providers.Findings{providers.Faultf("", "the provider's clock is %s ahead of the one here, so its tokens are not valid yet: set the clocks by NTP", offset)}
	case offset < -clockSkew:
		return providers.Findings{providers.Warningf("", "the provider's clock is %s behind the one here, so its tokens expire too early: set the clocks by NTP", -offset)}
	}
	return nil
}

// signingAlgorithms describes which of the provider's algorithms are accepted.
func (m *metadata) signingAlgorithms(cfg Config) providers.Finding {
	var both []string
	for _, alg := range m.algorithms {
		if slices.Contains(cfg.Algorithms, alg) {
			both = append(both, alg)
		}
	}
	if len(both) == 0 && len(m.algorithms) > 0 {
		return providers.Faultf("algorithms", "the provider signs with %s, and algorithms accepts none of these", printableList(m.algorithms))
	}
	return providers.Infof("signs with: %s", strings.Join(both, ", "))
}

// describeTokenEndpoint describes the endpoints, and whether the provider
// advertises the configured grants.
func (m *metadata) describeTokenEndpoint(cfg Config) providers.Findings {
	address, err := m.token.get()
	if err != nil {
		return providers.Findings{providers.Faultf(providers.KeyOf(err), "%v", err)}
	}
	found := providers.Findings{providers.Infof("token endpoint: %s", printable(address))}
	if _, err := m.authStyle(cfg); err != nil {
		found = append(found, providers.Faultf("auth_style", "%v", err))
	}
	for _, grant := range []string{grantPassword, grantBrowser, grantRefresh} {
		protocolName := grant
		if grant == grantBrowser {
			protocolName = grantCode
		}
		switch {
		case !cfg.grants(grant):
		case len(m.grants) == 0:
			found = append(found, providers.Infof("grant %s: the provider does not say which it has", grant))
		case slices.Contains(m.grants, protocolName):
			found = append(found, providers.Infof("grant %s: advertised", grant))
		default:
			found = append(found, providers.Warningf("grants", "grant %s is not advertised by the provider", grant))
		}
	}
	return append(found, m.userinfo.describe("userinfo endpoint"), m.revocation.describe("revocation endpoint"))
}

// entraHosts are the issuer hosts of Entra ID, which share its defaults.
var entraHosts = []string{"login.microsoftonline.com", "login.partner.microsoftonline.cn", "sts.windows.net"}

// isEntra reports whether the provider is Entra ID, which departs from others at some places.
func (c Config) isEntra() bool {
	u, err := url.Parse(c.Issuer)
	return err == nil && slices.Contains(entraHosts, u.Hostname())
}

// lockoutAdvice says what to configure for the provider's account lockout,
// which no protocol reports. Entra ID locks an account at the tenth wrong
// password by default.
func (c Config) lockoutAdvice() providers.Findings {
	if c.isEntra() {
		return providers.Findings{
			providers.Infof("Entra ID cannot be asked when it locks accounts; for its defaults write:"),
			providers.Infof("  wrong_passwords = 8"), providers.Infof(`  wrong_password_window = "2m"`),
		}
	}
	return providers.Findings{providers.Infof("an OpenID provider cannot be asked when it locks accounts: ask its administrator at which wrong password it does (T) and how long it counts them (W), and write wrong_passwords = T-1, at most 8, half of that where it takes two names for one account, and wrong_password_window = W")}
}

// describeScopes warns of each configured scope that the provider does not list:
// one of a typo is refused or, at most providers, ignored with its claims. A provider
// may leave out scopes that it has.
func (m *metadata) describeScopes(cfg Config) providers.Findings {
	var found providers.Findings
	for _, scope := range cfg.Scopes {
		if scope != offlineAccess && !supports(m.scopes, scope) {
			found = append(found, providers.Warningf("scopes", "the provider's scopes_supported lacks %q: if it has no such scope, it refuses logins (invalid_scope), or leaves out claims", scope))
		}
	}
	return found
}

// describeRefreshTokens says whether a login by password, or with a browser, brings a
// refresh token, without which its session cannot be revalidated.
func (m *metadata) describeRefreshTokens(cfg Config) providers.Finding {
	switch {
	case !cfg.grants(grantRefresh):
		return providers.Infof("the session of a docker login ends after session.unchecked_lifetime, since grants does not have refresh_token")
	case cfg.Issuer == googleIssuer && cfg.grants(grantBrowser):
		return providers.Infof("access_type=offline: requested at a sign-in with a browser")
	case !m.asksOfflineAccess(cfg):
		return providers.Warningf("scopes", "the session of a docker login may end after session.unchecked_lifetime: %s", m.refreshTokenCure(cfg))
	}
	return providers.Infof("scope offline_access: requested for an offline token")
}

func (e endpoint) describe(name string) providers.Finding {
	_, err := e.get()
	switch {
	case err == nil:
		return providers.Infof("%s: %s", name, printable(e.url))
	case providers.KeyOf(err) != "":
		return providers.Warningf(providers.KeyOf(err), "%s: none (%v)", name, err)
	}
	return providers.Infof("%s: none (%v)", name, err)
}

// printable returns a text of the metadata for printing: truncated, and quoted if
// it is not printable ASCII.
func printable(text string) string {
	if len(text) <= maxQuoted && !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return text
	}
	return strconv.QuoteToASCII(truncate(text))
}

// printableList returns the first words of a list in the metadata, for printing.
func printableList(words []string) string {
	const most = 16
	var list []string
	for _, word := range words[:min(len(words), most)] {
		list = append(list, printable(word))
	}
	if len(words) > most {
		list = append(list, fmt.Sprintf("and %d more", len(words)-most))
	}
	return strings.Join(list, ", ")
}
