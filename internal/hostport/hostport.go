// Package hostport compares where URLs lead: by host and port, in a normal form.
package hostport

import (
	"net"
	"net/url"
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
