package oidc

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"shorepass/providers"
)

// pingMaxAge is the TTL of what Ping reports, so that Ping in a loop does not ask
// the provider each time.
const pingMaxAge = 10 * time.Second

// Ping implements [providers.Pinger].
func (p *Provider) Ping(ctx context.Context) (providers.Findings, error) {
	if err := p.refreshCaches(ctx, pingMaxAge); err != nil {
		return nil, err
	}
	m, err := p.discovery.get(ctx)
	if err != nil {
		return nil, err
	}
	found := providers.Findings{
		providers.Infof("%s: discovery in %s", p.cfg.Issuer, m.fetchTime.Round(time.Millisecond)),
		providers.Infof("keys: %s", p.keys.current.Load()),
		m.signingAlgorithms(p.cfg),
	}
	if p.cfg.grants(grantPassword) || p.cfg.grants(grantRefresh) {
		found = append(found, m.describeTokenEndpoint(p.cfg)...)
	}
	if p.cfg.grants(grantPassword) {
		found = append(found, p.cfg.lockoutAdvice()...)
	}
	if p.cfg.grants(grantIDToken) {
		found = append(found, providers.Infof("ID tokens as passwords: for the audience %s", providers.Quoted(p.cfg.Audience)))
	}
	return append(found, p.mapper.graph.ping(ctx)...), nil
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
		return providers.Findings{providers.Faultf("", "%v", err)}
	}
	found := providers.Findings{providers.Infof("token endpoint: %s", printable(address))}
	if _, err := m.authStyle(cfg); err != nil {
		found = append(found, providers.Faultf("auth_style", "%v", err))
	}
	for _, grant := range []string{grantPassword, grantRefresh} {
		switch {
		case !cfg.grants(grant):
		case len(m.grants) == 0:
			found = append(found, providers.Infof("grant %s: the provider does not say which it has", grant))
		case slices.Contains(m.grants, grant):
			found = append(found, providers.Infof("grant %s: advertised", grant))
		default:
			found = append(found, providers.Warningf("grants", "grant %s is not advertised by the provider", grant))
		}
	}
	if cfg.grants(grantRefresh) {
		found = append(found, m.offlineAccess())
	}
	return append(found, m.userinfo.describe("userinfo endpoint"), m.revocation.describe("revocation endpoint"))
}

// entraHosts are the issuer hosts of Entra ID, which share its lockout defaults.
var entraHosts = []string{"login.microsoftonline.com", "login.partner.microsoftonline.cn", "sts.windows.net"}

// lockoutAdvice says what to configure for the provider's account lockout,
// which no protocol reports. Entra ID locks an account at the tenth wrong
// password by default.
func (c Config) lockoutAdvice() providers.Findings {
	if u, err := url.Parse(c.Issuer); err == nil && slices.Contains(entraHosts, u.Hostname()) {
		return providers.Findings{
			providers.Infof("Entra ID cannot be asked when it locks accounts; for its defaults write:"),
			providers.Infof("  wrong_passwords = 8"), providers.Infof(`  wrong_password_window = "2m"`),
		}
	}
	return providers.Findings{providers.Infof("an OpenID provider cannot be asked when it locks accounts: ask its administrator at which wrong password it does (T) and how long it counts them (W), and write wrong_passwords = T-1, at most 8, half of that where it takes two names for one account, and wrong_password_window = W")}
}

func (m *metadata) offlineAccess() providers.Finding {
	if supports(m.scopes, "offline_access") {
		return providers.Infof("scope offline_access: offered")
	}
	return providers.Infof("scope offline_access: not offered, so it is not asked for")
}

func (e endpoint) describe(name string) providers.Finding {
	if _, err := e.get(); err != nil {
		return providers.Infof("%s: none (%v)", name, err)
	}
	return providers.Infof("%s: %s", name, printable(e.url))
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
