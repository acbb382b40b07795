package tlsconf

import "net/netip"

// IsLoopback reports whether host, a name or an IP address without brackets, is
// the loopback interface, whose connections may do without TLS. localhost is
// the only such name: there is no DNS look-up.
func IsLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}
