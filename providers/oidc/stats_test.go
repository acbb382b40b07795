package oidc_test

import (
	"testing"
	"time"
)

// TestPeerStats: requests to the provider are counted by operation, failures only where
// it did not answer, and the age of its keys is known.
func TestPeerStats(t *testing.T) {
	op := start(t, nil)
	p := newProvider(t, op.Issuer, nil)
	if got := p.PeerStats(); !got.KeysFetched.IsZero() || got.Keys != 0 {
		t.Errorf("before the first request there are %d keys of %v", got.Keys, got.KeysFetched)
	}
	id := login(t, p, offline("alice", "alice's pass"))
	if _, err := authenticate(t.Context(), p, password("alice", "wrong")); err == nil {
		t.Fatal("a wrong password is right")
	}
	got := p.PeerStats()
	for operation, want := range map[string]uint64{"discovery": 1, "keys": 1, "token": 2, "revocation": 0, "graph": 0} {
		if one := got.Requests[operation]; one.Count != want || one.Failures != 0 {
			t.Errorf("%s was counted %d times with %d failures, want %d and none", operation, one.Count, one.Failures, want)
		}
	}
	if got.Keys == 0 || time.Since(got.KeysFetched) > time.Minute {
		t.Errorf("%d keys of %v, want some of now", got.Keys, got.KeysFetched)
	}
	op.Kill()
	if _, err := p.Revalidate(t.Context(), id); err == nil {
		t.Fatal("a revalidation succeeds with the provider down")
	}
	if one := p.PeerStats().Requests["token"]; one.Failures == 0 {
		t.Errorf("the provider is down, and the token requests are %+v", one)
	}
}
