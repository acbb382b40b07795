// Package hostport checks host names and ports, and compares where URLs lead: by host and
// port, in a normal form.
package hostport

import (
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// Of returns host and port of an http or https URL in a normal form: the host in lower
// case, and the default port where the URL has none.
func Of(u *url.URL) string { return net.JoinHostPort(strings.ToLower(u.Hostname()), Port(u)) }

// Port returns the port of an http or https URL, or the default of its scheme.
func Port(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "https":
		return "443"
	}
	return "80"
}

// IsPort reports whether a text is the number of a port that can be connected to.
func IsPort(text string) bool {
	n, err := strconv.ParseUint(text, 10, 16)
	return err == nil && n > 0
}

// IsName reports whether a text can be the name of a host (RFC 1123, section 2.1). One whose
// last label is a number is a malformed IPv4 address.
func IsName(text string) bool {
	labels := strings.Split(strings.TrimSuffix(text, "."), ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 || strings.Trim(label, "-") != label || strings.ContainsFunc(label, func(r rune) bool {
			return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_')
		}) {
			return false
		}
	}
	_, err := strconv.ParseUint(labels[len(labels)-1], 10, 64)
	return err != nil
}

// IsHost reports whether a text is the host of a URL, with or without a port: a name, an
// IPv4 address, or an IPv6 address in brackets.
func IsHost(text string) bool {
	u, err := url.Parse("https://" + text)
	if err != nil || u.Host != text || strings.HasSuffix(text, ":") || u.Port() != "" && !IsPort(u.Port()) {
		return false
	}
	addr, err := netip.ParseAddr(u.Hostname())
	return err == nil && addr.Zone() == "" || err != nil && IsName(u.Hostname())
}
