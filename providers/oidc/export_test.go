package oidc

import (
	"net/http"
	"net/url"
	"time"

	"shorepass/providers"
)

// WaitForProbes raises the time limit of probes, for a busy machine.
func WaitForProbes(p *Provider) { p.discovery.probeTimeout = time.Minute }

// UseProxy sets a proxy instead of the environment's, which net/http reads once
// per process.
func UseProxy(p *Provider, proxy *url.URL) {
	p.client.http.Transport.(boundedTransport).next.Proxy = http.ProxyURL(proxy)
}

// LockoutAdvice is what Ping says about an issuer's account lockout.
func LockoutAdvice(c Config) providers.Findings { return c.lockoutAdvice() }

// DescribeClientKey is what Ping says about the file of client_key.
func DescribeClientKey(file string) (string, error) {
	key, err := readClientKey(file)
	if err != nil {
		return "", err
	}
	return key.String(), nil
}

// CheckResponse returns the code of an authorization response.
func CheckResponse(p *Provider, promisesIss bool, response providers.AuthorizationResponse) (string, error) {
	return p.checkResponse(&metadata{promisesIss: promisesIss}, response)
}

// CheckLogoutClaims checks the claims of a logout token, whose signature is right.
func CheckLogoutClaims(p *Provider, payload []byte, now time.Time) error {
	claims, err := decodeClaims(payload)
	if err != nil {
		return err
	}
	return p.verifier.checkLogoutClaims(claims, responseRequirements(p.cfg), now)
}
