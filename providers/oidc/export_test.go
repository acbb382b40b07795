package oidc

import (
	"net/http"
	"net/url"
	"time"
)

// WaitForProbes lets a probe take as long as it may on a busy machine.
func WaitForProbes(p *Provider) { p.discovery.probeLimit = time.Minute }

// UseProxy puts a proxy in the place of that of the environment, which net/http
// reads once in a process.
func UseProxy(p *Provider, proxy *url.URL) {
	p.client.http.Transport.(boundedTransport).next.Proxy = http.ProxyURL(proxy)
}

// Lockout is what Ping says of an issuer's lock of accounts.
func LockoutAdvice(c Config) []string { return c.lockoutAdvice() }
