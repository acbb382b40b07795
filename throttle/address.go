package throttle

import "net/netip"

// ClientNetwork returns the network whose addresses one client usually has: an
// address of IPv4 itself, of IPv6 its /64. It is the zero Prefix where the address
// is unknown.
func ClientNetwork(address netip.Addr) netip.Prefix {
	address = address.Unmap().WithZone("")
	network, _ := address.Prefix(min(address.BitLen(), 64)) // does not fail for a length up to the address's own
	return network
}

// addressKey returns the text under which an address is counted, "" where the
// address is unknown: that of the network of Networks which contains it, else of its
// [ClientNetwork].
func (c *Config) addressKey(address netip.Addr) string {
	if !address.IsValid() {
		return ""
	}
	address = address.Unmap().WithZone("")
	for _, n := range c.Networks {
		if n.Contains(address) {
			return n.String()
		}
	}
	if address.Is4() {
		return address.String() // without "/32": rows are keyed by it
	}
	return ClientNetwork(address).String()
}
