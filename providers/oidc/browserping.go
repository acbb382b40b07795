package oidc

import (
	"slices"

	"shorepass/providers"
)

// describeBrowser describes what the provider advertises for the sign-in with a browser,
// and what has to be registered there.
func (m *metadata) describeBrowser(cfg Config) providers.Findings {
	found := providers.Findings{
		m.describeAuthorization(),
		providers.Infof("to be registered at the provider, below the first of server.public_urls: the redirect URI /login/%s/callback, the post-logout redirect URI /logout, the back-channel logout URI /logout/%s", cfg.Name, cfg.Name),
	}
	if !supports(m.responseTypes, "code") {
		found = append(found, providers.Warningf("grants", "the provider's response_types_supported lacks \"code\", which the grant browser needs"))
	}
	switch {
	case len(m.challengeMethods) == 0:
		found = append(found, providers.Infof("PKCE: sent, and the provider does not say whether it checks it"))
	case !slices.Contains(m.challengeMethods, "S256"):
		found = append(found, providers.Warningf("", "PKCE: the provider's code_challenge_methods_supported lacks S256, so it may refuse sign-ins with a browser: allow the client PKCE with S256 there"))
	}
	if m.requiresPush {
		found = append(found, m.describePush())
	}
	if m.promisesIss {
		found = append(found, providers.Infof("iss in its authorization responses: promised, and required"))
	}
	found = append(found, m.endSession.describe("logout endpoint"))
	if m.backchannelLogout {
		return append(found, providers.Infof("back-channel logout: advertised"))
	}
	return append(found, providers.Infof("back-channel logout: not advertised: a logout at the provider ends no session here"))
}

func (m *metadata) describeAuthorization() providers.Finding {
	address, err := m.authorization.get()
	if err != nil {
		return providers.Faultf(providers.KeyOf(err), "%v", err)
	}
	return providers.Infof("authorization endpoint: %s", printable(address))
}

func (m *metadata) describePush() providers.Finding {
	address, err := m.pushed.get()
	if err != nil {
		return providers.Faultf(providers.KeyOf(err), "the provider demands pushed authorization requests: %v", err)
	}
	return providers.Infof("authorization requests: pushed to %s, as the provider demands", printable(address))
}
