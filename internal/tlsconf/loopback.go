package tlsconf

import "net/netip"

// IsLoopback reports whether host, a name or an IP address without brackets, is
// this machine: a connection to it never leaves it, and may do without TLS. Of
// names that is only localhost; none is looked up.
func IsLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}
