package providers

import (
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestBrowserLimit: what a stranger makes the provider answer is bounded by address; others
// sign in meanwhile, and people who succeed are not counted.
func TestBrowserLimit(t *testing.T) {
	const here = "192.0.2.1"
	start := func(t *testing.T, c *Chain, from string) error {
		_, err := c.AuthorizationURL(t.Context(), "sso", AuthorizationRequest{State: "x", Address: netip.MustParseAddr(from)})
		return err
	}
	redeem := func(t *testing.T, c *Chain, from string) error {
		_, err := c.SignIn(t.Context(), "sso", AuthorizationResponse{Request: AuthorizationRequest{Address: netip.MustParseAddr(from)}})
		return err
	}
	alice := &SignedIn{Identity: &Identity{Subject: "1", User: "alice"}}
	for _, test := range []struct {
		name  string
		sso   *openIDProvider
		do    func(*testing.T, *Chain, string) error
		want  int    // of 100 requests that reach the provider
		other string // an address that is not limited
	}{
		{"invented codes", &openIDProvider{err: ErrRejected}, redeem, maxBrowserRequestsFrom, "192.0.2.2"},
		{"codes at a provider that is down", &openIDProvider{err: ErrUnavailable}, redeem, maxBrowserRequestsFrom, "2001:db8::1"},
		{"sign-ins that are started", &openIDProvider{}, start, maxBrowserRequestsFrom, "192.0.2.2"},
		{"people who sign in", &openIDProvider{signedIn: alice}, redeem, 100, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sso := test.sso
				c := chainOf(t, newThrottle(t), Member{sso, Config{Name: "sso", Kind: "oidc"}})
				for range 100 {
					_ = test.do(t, c, here)
				}
				if sso.requests != test.want {
					t.Errorf("%d of 100 requests reached the provider, want %d", sso.requests, test.want)
				}
				if test.other != "" {
					_ = test.do(t, c, test.other)
				}
				time.Sleep(2 * browserWindow)
				synctest.Wait()
				_ = test.do(t, c, here)
				if want := test.want + 2; test.other != "" && sso.requests != want {
					t.Errorf("%d requests with that of another address, and one a second later, want %d", sso.requests, want)
				}
				time.Sleep(2 * browserWindow)
				synctest.Wait()
				if got := fmt.Sprint(c.browsers.at, c.browsers.from); got != "map[] map[]" {
					t.Errorf("slots at the end: %s", got)
				}
			})
		})
	}
}

// TestBrowserLimitOfProvider: the requests in progress at one provider leave connections to
// its passwords, and slots at another provider, from however many addresses they come.
func TestBrowserLimitOfProvider(t *testing.T) {
	l := newBrowserLimit()
	var all sync.WaitGroup
	for i := range 200 {
		all.Go(func() { _, _ = l.enter("sso", netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})) })
	}
	all.Wait()
	if l.at["sso"] != maxBrowserRequests || len(l.from) != maxBrowserRequests {
		t.Errorf("%d requests from %d addresses, want %d", l.at["sso"], len(l.from), maxBrowserRequests)
	}
	if _, err := l.enter("lab", netip.Addr{}); err != nil {
		t.Errorf("at another provider: %v", err)
	}
	same, other := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::ffff")
	if networkOf(same) != networkOf(other) || networkOf(netip.MustParseAddr("::ffff:192.0.2.1")) != networkOf(netip.MustParseAddr("192.0.2.1")) || networkOf(netip.Addr{}).IsValid() {
		t.Error("addresses are counted otherwise than by their network")
	}
}
