package server

import (
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"shorepass/policy"
	"shorepass/providers"
	"shorepass/registry"
)

// TestPolicyRequest: rules see the whole identity that a provider returned, its unsure
// groups too; so do the rights on a page.
func TestPolicyRequest(t *testing.T) {
	at, from := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC), origin{address: netip.MustParseAddr("10.1.2.3")}
	q := &question{service: "r", scopes: []registry.Scope{{Type: "repository", Name: "a", Actions: []string{"pull"}}}}
	caller := principal{identity: &providers.Identity{
		Provider: "corp", User: "alice", Groups: []string{"Team-A"}, Unsure: []string{"contractors"}, FoldsCase: true,
		Claims: map[string]any{"level": "high"}, Method: providers.MethodPassword, ACR: "gold", AMR: []string{"pwd", "mfa"}, AuthTime: at.Add(-time.Hour),
	}}
	want := policy.Request{
		User: "alice", Groups: []string{"Team-A"}, Unsure: []string{"contractors"}, FoldsCase: true,
		Claims: map[string]any{"level": "high"}, Provider: "corp", Method: "password", ACR: "gold", AMR: []string{"pwd", "mfa"}, AuthTime: at.Add(-time.Hour),
		Service: "r", Address: from.address, Time: at, Scopes: q.scopes,
	}
	if diff := cmp.Diff(want, caller.policyRequest(q, from, at), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("policyRequest (-want +got)\n%s", diff)
	}
	for i, got := 0, reflect.ValueOf(want); i < got.NumField(); i++ {
		if name := got.Type().Field(i).Name; name != "Anonymous" && got.Field(i).IsZero() {
			t.Errorf("this test does not set %s, which rules see too", name)
		}
	}
}
