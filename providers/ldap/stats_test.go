package ldap_test

import (
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"shorepass/internal/lru"
	"shorepass/providers"
	"shorepass/providers/ldap/ldaptest"
)

// TestPeerStats: requests to a directory are counted by operation, failures only where
// no answer came, and the pools, servers and caches are shown.
func TestPeerStats(t *testing.T) {
	t.Parallel()
	s := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{})
	p := newProvider(t, slapdConfig(s))
	mustLogin(t, p, "alice", "alicepw")
	mustLogin(t, p, "alice", "alicepw")
	if _, err := login(t, p, "alice", "wrong"); !errors.Is(err, providers.ErrRejected) {
		t.Fatalf("login with a wrong password = %v, want ErrRejected", err)
	}

	got := p.PeerStats()
	if n := got.Requests["bind"].Count; n != 4 { // of the service account, and three of alice
		t.Errorf("%d binds were counted, want 4", n)
	}
	if n := got.Requests["connect"].Count; n != 2 { // a connection for each pool
		t.Errorf("%d connections were counted, want 2", n)
	}
	if got.Requests["search"].Count < 3 {
		t.Errorf("%d searches were counted, want one for each login at least", got.Requests["search"].Count)
	}
	for operation, one := range got.Requests {
		if one.Failures != 0 {
			t.Errorf("%d of the requests %s failed, though the directory answered each", one.Failures, operation)
		}
	}
	idle := providers.PoolStats{Idle: 1}
	for name, pool := range got.Pools {
		if pool.Max < 1 {
			t.Errorf("the pool %s has a bound of %d connections", name, pool.Max)
		}
		pool.Max = 0
		if pool != idle {
			t.Errorf("the pool %s = %+v, want one idle connection", name, pool)
		}
	}
	if diff := cmp.Diff(map[string]bool{s.LDAPS: true}, got.Servers); diff != "" {
		t.Errorf("servers (-want +got):\n%s", diff)
	}
	if want := (lru.Stats{Entries: 1, Hits: 1, Misses: 1}); got.Caches["group_names"] != want {
		t.Errorf("the cache of group names = %+v, want %+v", got.Caches["group_names"], want)
	}
	if diff := cmp.Diff([]string{"accounts", "group_dns", "group_names"}, slices.Sorted(maps.Keys(got.Caches))); diff != "" {
		t.Errorf("caches (-want +got):\n%s", diff)
	}

	s.Kill()
	if _, err := login(t, p, "alice", "alicepw"); err == nil {
		t.Fatal("a login succeeds with the directory down")
	}
	got = p.PeerStats()
	if got.Requests["connect"].Failures == 0 || got.Servers[s.LDAPS] {
		t.Errorf("the directory is down, and its stats are %+v, servers %v", got.Requests["connect"], got.Servers)
	}
}
