package server

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"shorepass/internal/hostport"
	"shorepass/internal/tlsconf"
)

// listenProblem says why no server can listen at an address, and what would be right. It
// is empty where one may; whether the address is one of this machine is not checked.
func listenProblem(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return fmt.Sprintf("%q is not host:port; write %q to listen on every address", listen, ":5001")
	}
	if !hostport.IsPort(port) && port != "0" {
		return fmt.Sprintf("%q has the port %q, which is not a number from 1 to 65535; write one such as %q", listen, port, net.JoinHostPort(host, "5001"))
	}
	if _, err := netip.ParseAddr(host); host != "" && err != nil && !hostport.IsName(host) {
		return fmt.Sprintf("%q has the host %q, which is neither an address nor a name; write %q to listen on every address", listen, host, ":"+port)
	}
	return ""
}

// publicURLProblem says why clients cannot use an element of PublicURLs, and what would be
// right. With TLS the server does not answer at an http URL, whatever its port.
func (c Config) publicURLProblem(text string) string {
	parsed, err := url.Parse(text)
	if err != nil || parsed.Hostname() == "" || parsed.Scheme != "http" && parsed.Scheme != "https" {
		return fmt.Sprintf("%q is not a URL such as %q", text, "https://registry-auth.corp.example")
	}
	bare := parsed.Scheme + "://" + parsed.Host
	path := strings.TrimSuffix(parsed.Path, "/")
	addr, addrErr := netip.ParseAddr(parsed.Hostname())
	switch {
	case parsed.Scheme == "http" && c.ServesTLS():
		return fmt.Sprintf("%q cannot be reached, since with tls the server answers https only; write %q", text, "https://"+parsed.Host+parsed.Path)
	case parsed.User != nil || parsed.RawQuery != "" || parsed.ForceQuery || parsed.Fragment != "":
		return fmt.Sprintf("is more than scheme, host, port and path; write %q", bare+path)
	case addrErr == nil && addr.IsUnspecified():
		return fmt.Sprintf("%q is every address and none that a client can connect to; write the name of this server", text)
	case addrErr != nil && !hostport.IsName(parsed.Hostname()):
		return fmt.Sprintf("%q has the host %q, which is neither an address nor a name", text, parsed.Hostname())
	case parsed.Port() != "" && !hostport.IsPort(parsed.Port()):
		return fmt.Sprintf("%q has the port %q, which is not a number from 1 to 65535", text, parsed.Port())
	}
	for _, token := range c.Paths {
		if prefix, ok := strings.CutSuffix(path, token); ok {
			return fmt.Sprintf("%q has the path of the token endpoint, which is added from paths; write %q", text, bare+prefix)
		}
	}
	return ""
}

// publicURLWarning says why an element of PublicURLs probably does not lead to Listen.
// Behind a proxy it may; so there is no warning where one is trusted, or where one must
// terminate TLS. Both options must be valid.
func (c Config) publicURLWarning(text string) string {
	parsed, err := url.Parse(text)
	if err != nil {
		return ""
	}
	if path := strings.TrimSuffix(parsed.Path, "/"); path != "" {
		return fmt.Sprintf("the realm is %s, which leads to %s only through a proxy that removes %q from the path; else write the whole path in paths", c.realmAt(text), c.Paths[0], path)
	}
	host, port, _ := net.SplitHostPort(c.Listen)
	samePort := port == hostport.Port(parsed)
	speaks := "http"
	if c.ServesTLS() {
		speaks = "https"
	}
	switch {
	case len(c.TrustedProxies) > 0 || port == "0":
	case parsed.Scheme != speaks && samePort && !tlsconf.IsLoopback(host):
		return fmt.Sprintf("%q is https, and without tls the server answers http at that port; set tls, or have a proxy terminate TLS", text)
	case parsed.Scheme != speaks: // a proxy terminates TLS
	case !samePort:
		return fmt.Sprintf("%q leads to port %s, and the server listens on port %s: right only behind a load balancer or a published port; else write %q, or listen = %q",
			text, hostport.Port(parsed), port, parsed.Scheme+"://"+net.JoinHostPort(parsed.Hostname(), port), net.JoinHostPort(host, hostport.Port(parsed)))
	case tlsconf.IsLoopback(host) && !tlsconf.IsLoopback(parsed.Hostname()):
		return fmt.Sprintf("listen = %q is reached from this machine alone: right only behind a proxy on it; else write listen = %q", c.Listen, ":"+port)
	}
	return ""
}

// warnURLs reports elements of PublicURLs that probably do not lead to Listen.
func (c Config) warnURLs(warn func(key, problem string)) {
	if _, port, _ := net.SplitHostPort(c.Listen); port == "0" {
		warn("listen", fmt.Sprintf("%q is another port at each start, which no registry can know; write a port", c.Listen))
	}
	for i, text := range c.PublicURLs {
		if warning := c.publicURLWarning(text); warning != "" && slices.Index(c.PublicURLs, text) == i {
			warn(fmt.Sprintf("public_urls[%d]", i), warning)
		}
	}
}

// PagesOrigin returns the origin of the HTML pages: the first of PublicURLs. The error is
// of that URL, and says why there can be no pages at it: a cookie must not cross the
// network in the clear, and __Host- cookies are those of a whole host.
func (c Config) PagesOrigin() (*url.URL, error) {
	u, err := url.Parse(c.PublicURLs[0])
	switch {
	case err != nil:
		return nil, err
	case u.Scheme != "https" && !tlsconf.IsLoopback(u.Hostname()):
		return nil, fmt.Errorf("people cannot sign in with a browser at %s, where their cookies would cross the network unencrypted; make the first URL https", u)
	case strings.Trim(u.Path, "/") != "":
		return nil, fmt.Errorf("people cannot sign in with a browser at %s, since the cookies are those of the whole host; give this server a host name of its own, and make the first URL one without a path", u)
	}
	return originOf(u), nil
}

// originOf returns the origin of an http or https URL in the form of browsers: in lower
// case, without the default port (RFC 6454, section 6).
func originOf(u *url.URL) *url.URL {
	host := strings.ToLower(u.Host)
	if u.Port() == hostport.Port(&url.URL{Scheme: u.Scheme}) {
		host = strings.TrimSuffix(host, ":"+u.Port())
	}
	return &url.URL{Scheme: u.Scheme, Host: host}
}
