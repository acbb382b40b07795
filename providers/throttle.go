package providers

import (
	"fmt"
	"net/netip"

	"shorepass/throttle"
)

// ThrottleConfig is the [throttle] table: the address budget, the rate limit of
// wrong passwords by client address. All providers share it.
type ThrottleConfig struct {
	// Networks are networks whose addresses share one budget, such as that of a
	// mobile carrier, or an IPv6 network wider than a /64. Any other IPv4 address
	// has a budget of its own, and so has each IPv6 /64. Optional.
	Networks []string `toml:"networks"`

	// AddressFailures is the address budget: how many distinct pairs of login
	// name and password from an address may be answered 401 in ten minutes. A
	// login name that logged in at that address within a day is neither limited
	// nor counted. Default 30.
	AddressFailures int `toml:"address_failures"`
}

// maxAddressFailures is the largest address_failures: the budget is one row of the store.
const maxAddressFailures = 1000

// WithDefaults returns a copy with the defaults of the keys that were left out.
func (c ThrottleConfig) WithDefaults() ThrottleConfig {
	if c.AddressFailures == 0 {
		c.AddressFailures = 30
	}
	return c
}

// Validate reports the faults of the table. It expects the defaults to be in place.
func (c ThrottleConfig) Validate(fault func(key, problem string)) {
	if c.AddressFailures < 1 || c.AddressFailures > maxAddressFailures {
		fault("address_failures", fmt.Sprintf("%d is not between 1 and %d", c.AddressFailures, maxAddressFailures))
	}
	networks := make([]netip.Prefix, len(c.Networks))
	for i, text := range c.Networks {
		key := fmt.Sprintf("networks[%d]", i)
		network, err := netip.ParsePrefix(text)
		switch {
		case err != nil:
			fault(key, fmt.Sprintf("%q is not a network%s", text, suggestNetwork(text)))
			continue
		case network != network.Masked() || network.Addr().Is4In6():
			fault(key, fmt.Sprintf("%q is not in the form of a network%s", text, suggestNetwork(text)))
			continue
		}
		networks[i] = network
		for _, before := range networks[:i] {
			if before.IsValid() && before.Overlaps(network) {
				fault(key, fmt.Sprintf("%q overlaps %q; an address counts in one of them", text, before))
			}
		}
	}
}

// suggestNetwork returns what to write in place of a text that is no network in its
// normal form: its own network, that of its address alone, or an example.
func suggestNetwork(text string) string {
	network, err := netip.ParsePrefix(text)
	if addr, addrErr := netip.ParseAddr(text); addrErr == nil {
		network, err = netip.PrefixFrom(addr.WithZone(""), addr.BitLen()), nil
	}
	if addr := network.Addr(); err == nil && addr.Is4In6() && network.Bits() >= 96 {
		network = netip.PrefixFrom(addr.Unmap(), network.Bits()-96)
	}
	if err != nil || network.Addr().Is4In6() {
		return ` such as "203.0.113.0/24" or "2001:db8::/48"`
	}
	return fmt.Sprintf("; write %q", network.Masked())
}

// Options returns the options in the form of package throttle; tablesHash is a hash
// of the provider tables. The options must have passed Validate.
func (c ThrottleConfig) Options(tablesHash string) throttle.Config {
	cfg := throttle.Config{AddressFailures: c.AddressFailures, ConfigHash: []byte(tablesHash)}
	for _, text := range c.Networks {
		cfg.Networks = append(cfg.Networks, netip.MustParsePrefix(text))
	}
	return cfg
}
