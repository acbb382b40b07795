package server

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// origin is the sender of a request.
type origin struct {
	peer      netip.Addr // the client as far as it is certain, as the rate limit counts it
	address   netip.Addr // the client as the policy sees it; the zero Addr where it is unknown
	userAgent string
	spoofed   bool // an untrusted peer sent a forwarding header
}

// newOrigin finds the client of r: the peer or, if the peer is a trusted proxy, the
// right-most hop that is not one. The policy's address is unknown where a trusted
// proxy forwards no readable address, or where an untrusted peer sends a forwarding
// header. The rate limit then counts the peer.
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

// isFromProxy reports whether the peer of r is a trusted proxy.
func isFromProxy(r *http.Request, trusted []netip.Prefix) bool {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && contains(trusted, peer.Addr().Unmap().WithZone(""))
}

// commonClient returns the client that all lists name; ok is false where they
// differ or there is none. Most proxies append to one of the two headers and pass
// the other one on unchanged, and the request does not show which. Where the
// headers differ, one of them may be forged by the client.
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

// clientOf returns the right-most hop that is not a trusted proxy. ok is false
// where there is none, or where a hop to the right of it is not an address.
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

// hopsOf returns one list of hops for each of X-Forwarded-For and Forwarded (RFC
// 7239) that was sent.
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
		hops = append(hops, hop) // an element without for= is an unreadable hop
	}
	return append(lists, hops)
}

// parseHop parses "192.0.2.1", "192.0.2.1:4711", "2001:db8::1" and
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
