package server

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// origin is where a request comes from.
type origin struct {
	peer      netip.Addr // whom throttles count: the client as far as it is known for certain
	address   netip.Addr // what policy sees; the zero Addr when it is unknown
	userAgent string
	spoofed   bool // an untrusted peer sent a forwarding header
}

// newOrigin finds the client of r: the peer, or, if the peer is a trusted
// proxy, the right-most hop that is not. A peer that is not trusted and yet
// forwards is throttled as itself and has no address for policy.
func newOrigin(r *http.Request, trusted []netip.Prefix) origin {
	from := origin{userAgent: r.UserAgent()}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return from
	}
	from.peer = peer.Addr().Unmap().WithZone("")
	hops, forwarded := hopsOf(r.Header)
	switch {
	case !forwarded:
		from.address = from.peer
	case !contains(trusted, from.peer):
		from.spoofed = true
	default:
		if client, ok := clientOf(hops, trusted); ok {
			from.peer, from.address = client, client
		}
	}
	return from
}

// clientOf returns the right-most hop that is no trusted proxy. ok is false
// when a hop before it cannot be read, or when there is none.
func clientOf(hops []string, trusted []netip.Prefix) (client netip.Addr, ok bool) {
	for _, hop := range slices.Backward(hops) {
		addr, err := parseHop(hop)
		if err != nil {
			return netip.Addr{}, false
		}
		if !contains(trusted, addr) {
			return addr, true
		}
	}
	return netip.Addr{}, false
}

// hopsOf returns the hops that X-Forwarded-For or, where there is none,
// Forwarded (RFC 7239) lists, and whether any such header was sent.
func hopsOf(h http.Header) (hops []string, forwarded bool) {
	if lines := h.Values("X-Forwarded-For"); len(lines) > 0 {
		return strings.Split(strings.Join(lines, ","), ","), true
	}
	lines := h.Values("Forwarded")
	if len(lines) == 0 {
		return nil, false
	}
	for element := range strings.SplitSeq(strings.Join(lines, ","), ",") {
		hop := ""
		for pair := range strings.SplitSeq(element, ";") {
			if name, value, ok := strings.Cut(pair, "="); ok && strings.EqualFold(strings.TrimSpace(name), "for") {
				hop = strings.Trim(strings.TrimSpace(value), `"`)
			}
		}
		hops = append(hops, hop) // an element without for= is a hop that nobody can read
	}
	return hops, true
}

// parseHop reads "192.0.2.1", "192.0.2.1:4711", "2001:db8::1" and
// "[2001:db8::1]:4711".
func parseHop(hop string) (netip.Addr, error) {
	hop = strings.TrimSpace(hop)
	if withPort, err := netip.ParseAddrPort(hop); err == nil {
		return withPort.Addr().Unmap().WithZone(""), nil
	}
	addr, err := netip.ParseAddr(strings.Trim(hop, "[]"))
	if err != nil {
		return netip.Addr{}, err
	}
	return addr.Unmap().WithZone(""), nil
}

func contains(networks []netip.Prefix, addr netip.Addr) bool {
	return slices.ContainsFunc(networks, func(n netip.Prefix) bool { return n.Contains(addr) })
}
