package oidc

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"

	"shorepass/internal/hostport"
	"shorepass/providers"
)

// endpoint is the URL of one of the provider's endpoints, or why it must not be
// used. The error is that of its use, not of discovery: a provider whose userinfo
// endpoint is on another host still serves logins that do not need it.
type endpoint struct {
	url string
	err error
}

func (e endpoint) get() (string, error) { return e.url, e.err }

// errNoEndpoint means that the provider has no such endpoint.
var errNoEndpoint = errors.New("is not in the provider's discovery document")

// discoveryAddress returns the URL below which the discovery document is, and the
// key that has it.
func (c Config) discoveryAddress() (key, address string) {
	if c.Discovery != "" {
		return "discovery", c.Discovery
	}
	return "issuer", c.Issuer
}

// trustedHosts are the hosts to which the configuration allows requests, with
// their ports. An attacker who can change the discovery document must not
// redirect passwords, or cause requests into the network (SSRF).
type trustedHosts struct {
	issuer, discovery *url.URL
	further           []string // hosts
}

func (c Config) trustedHosts() (trustedHosts, error) {
	_, address := c.discoveryAddress()
	discovery, err := url.Parse(address)
	if err != nil {
		return trustedHosts{}, err
	}
	issuer, err := url.Parse(c.Issuer)
	return trustedHosts{issuer, discovery, c.Hosts}, err
}

// check returns the endpoint in a member of the metadata, with its error if it is
// not on a trusted host, or is plain http and the configuration has no plain http
// URL of that host.
func (t trustedHosts) check(name string, member json.RawMessage) endpoint {
	if len(member) == 0 || string(member) == "null" {
		return endpoint{err: fmt.Errorf("%s %w", name, errNoEndpoint)}
	}
	var raw string
	_ = json.Unmarshal(member, &raw) // else empty, so not a URL
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.Fragment != "":
		return endpoint{err: fmt.Errorf("the provider's %s is not a URL", name)}
	case u.Scheme != "https" && !t.allowsPlain(u):
		return endpoint{err: fmt.Errorf("the provider's %s %q is not https", name, truncate(raw))}
	case !t.has(u):
		return endpoint{err: providers.WithKey("hosts", fmt.Errorf("the provider's %s is on %q, another host than the issuer's: if that is right, add it to hosts", name, truncate(u.Host)))}
	}
	return endpoint{url: raw}
}

// allowsPlain reports whether u may be plain http: with a plain http issuer, or
// on the host of a plain http discovery.
func (t trustedHosts) allowsPlain(u *url.URL) bool {
	return u.Scheme == "http" && (t.issuer.Scheme == "http" || t.discovery.Scheme == "http" && hostport.Of(u) == hostport.Of(t.discovery))
}

// has reports whether u is on a trusted host.
func (t trustedHosts) has(u *url.URL) bool {
	host := hostport.Of(u)
	return host == hostport.Of(t.issuer) || host == hostport.Of(t.discovery) || slices.ContainsFunc(t.further, func(h string) bool {
		return host == hostport.Of(&url.URL{Scheme: u.Scheme, Host: h})
	})
}
