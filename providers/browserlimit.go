package providers

import (
	"net/netip"
	"sync"
	"time"
)

const (
	// maxBrowserRequests bounds the requests of browsers in progress at one provider. It is
	// half of the connections that there are to one, so that the other half is left to
	// passwords and revalidation.
	maxBrowserRequests = 64

	// maxBrowserRequestsFrom bounds those of one address, in progress and within the last
	// browserWindow: a stranger can start a sign-in, which may push an authorization request,
	// and invent codes for it, again and again with one cookie, and the provider's own rate
	// limit of our client is everybody's.
	maxBrowserRequestsFrom = 32
	browserWindow          = time.Second
)

// browserLimit is a semaphore of the requests to providers that browsers cause, by provider,
// and a rate limit of them by address. It is in memory: each replica has its own. It is safe
// for concurrent use.
type browserLimit struct {
	mu   sync.Mutex
	at   map[string]int       // requests in progress, by provider
	from map[netip.Prefix]int // requests in progress and within the last browserWindow, by address
}

func newBrowserLimit() browserLimit {
	return browserLimit{at: make(map[string]int), from: make(map[netip.Prefix]int)}
}

// enter acquires a slot for a request to a provider. The caller calls leave. A sign-in that
// succeeded calls it with true: its request no longer counts for the address, so that a
// company behind one address is not limited by how many of its people sign in.
func (l *browserLimit) enter(provider string, address netip.Addr) (leave func(succeeded bool), err error) {
	began, from := time.Now(), networkOf(address)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.at[provider] >= maxBrowserRequests || l.from[from] >= maxBrowserRequestsFrom {
		return nil, errBusy
	}
	l.at[provider]++
	if from.IsValid() {
		l.from[from]++
	}
	return func(succeeded bool) {
		release(l, l.at, provider)
		if wait := browserWindow - time.Since(began); wait > 0 && !succeeded {
			time.AfterFunc(wait, func() { release(l, l.from, from) })
			return
		}
		release(l, l.from, from)
	}, nil
}

// release returns one slot of key.
func release[K comparable](l *browserLimit, slots map[K]int, key K) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if slots[key]--; slots[key] <= 0 {
		delete(slots, key)
	}
}

// networkOf returns an IPv4 address, or the /64 of an IPv6 address, as a prefix; the zero
// Prefix for the zero Addr.
func networkOf(address netip.Addr) netip.Prefix {
	address = address.Unmap().WithZone("")
	bits := 64
	if address.Is4() {
		bits = 32
	}
	network, err := address.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return network
}
