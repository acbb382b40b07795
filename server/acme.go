package server

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// ServesTLS reports whether the server speaks TLS, and not plain HTTP.
func (c Config) ServesTLS() bool { return c.TLS.Certificate != "" || c.ACME.Enabled() }

// CertificateNames returns the names that the certificate of the server has to be for: the
// hosts of PublicURLs, in lower case, each once.
func (c Config) CertificateNames() []string {
	var names []string
	for _, public := range c.PublicURLs {
		parsed, err := url.Parse(public)
		if err != nil {
			continue // a fault of Validate
		}
		if name := strings.ToLower(strings.TrimSuffix(parsed.Hostname(), ".")); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// validateACME reports the faults of [server.acme], and those of other keys with it.
func (c Config) validateACME(fault func(key, problem string)) {
	if !c.ACME.Enabled() {
		return
	}
	c.ACME.Validate(func(key, problem string) { fault("acme."+key, problem) })
	if c.TLS.Certificate != "" {
		fault("acme", "tls names a certificate too, and there can be only one; leave out acme, or certificate and key of tls")
	}
	if listen := c.ACME.ListenHTTP; listen != "" {
		if problem := listenProblem(listen); problem != "" {
			fault("acme.listen_http", problem)
		} else if listen == c.Listen {
			fault("acme.listen_http", fmt.Sprintf("%q is server.listen, which speaks TLS; HTTP-01 needs plain HTTP at another port, such as %q", listen, ":80"))
		}
	}
	for i, public := range c.PublicURLs {
		key := fmt.Sprintf("public_urls[%d]", i)
		if strings.HasSuffix(public, "://"+c.ConnectAddress()) {
			key = "public_urls"
		}
		if parsed, err := url.Parse(public); err == nil && !canBeCertified(parsed.Hostname()) {
			fault(key, fmt.Sprintf("%q has no name that a directory could give a certificate for, with acme; write the URL by which clients reach this server, such as %q, or name a certificate's file in tls", public, "https://registry-auth.corp.example"))
		}
	}
}

// warnACME reports a port at which no directory validates (RFC 8555, section 8.3, RFC 8737),
// unless it is forwarded. Both options must be valid.
func (c Config) warnACME(warn func(key, problem string)) {
	_, tlsPort, _ := net.SplitHostPort(c.Listen)
	_, httpPort, _ := net.SplitHostPort(c.ACME.ListenHTTP)
	switch {
	case !c.ACME.Enabled():
	case c.ACME.ListenHTTP == "" && tlsPort != "443":
		warn("acme", fmt.Sprintf("the directory validates at port 443 of each name, and the server listens on port %s: right only where 443 is forwarded to it; else write listen = %q, or listen_http = %q in acme", tlsPort, ":443", ":80"))
	case c.ACME.ListenHTTP != "" && httpPort != "80":
		warn("acme.listen_http", fmt.Sprintf("the directory validates at port 80 of each name, and this is port %s: right only where 80 is forwarded to it", httpPort))
	}
}

// canBeCertified reports whether an ACME directory, public or private, could certify a
// host: a name that is not this machine alone. A certificate for an address is not asked
// for (RFC 8738): few directories give one.
func canBeCertified(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	_, err := netip.ParseAddr(host)
	return err != nil && net.ParseIP(host) == nil && host != "localhost" && !strings.HasSuffix(host, ".localhost")
}
