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
// proxy, the right-most hop that is not. For policy the address is unknown where
// a trusted proxy forwards none that can be read, or a peer that is not trusted
// forwards at all; the throttle then counts the peer.
func newOrigin(r *http.Request, trusted []netip.Prefix) origin {
	from := origin{userAgent: redactTokens(r.UserAgent())}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return from
	}
	from.peer = peer.Addr().Unmap().WithZone("")
	lists, isProxy := hopsOf(r.Header), contains(trusted, from.peer)
	switch {
	case isProxy:
		if client, ok := commonClient(lists, trusted); ok {
			from.peer, from.address = client, client
		}
	case len(lists) == 0:
		from.address = from.peer
	default:
		from.spoofed = true
	}
	return from
}

// commonClient returns the client that all lists name; ok is false where there is
// none. Most proxies add to one of the two headers and pass the other on as it
// came, and which one that is cannot be seen here: where they differ, one may be
// the client's own invention.
func commonClient(lists [][]string, trusted []netip.Prefix) (client netip.Addr, ok bool) {
	for i, hops := range lists {
		named, ok := clientOf(hops, trusted)
		if !ok || i > 0 && named != client {
			return netip.Addr{}, false
		}
		client = named
	}
	return client, len(lists) > 0
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

// hopsOf returns the hops that X-Forwarded-For and Forwarded (RFC 7239) list,
// of each header that was sent.
func hopsOf(h http.Header) (lists [][]string) {
	if lines := h.Values("X-Forwarded-For"); len(lines) > 0 {
		lists = append(lists, strings.Split(strings.Join(lines, ","), ","))
	}
	lines := h.Values("Forwarded")
	if len(lines) == 0 {
		return lists
	}
	var hops []string
	for element := range strings.SplitSeq(strings.Join(lines, ","), ",") {
		hop := ""
		for pair := range strings.SplitSeq(element, ";") {
			if name, value, ok := strings.Cut(pair, "="); ok && strings.EqualFold(strings.TrimSpace(name), "for") {
				hop = strings.Trim(strings.TrimSpace(value), `"`)
			}
		}
		hops = append(hops, hop) // an element without for= is a hop that nobody can read
	}
	return append(lists, hops)
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
