package session

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"shorepass/providers"
)

// TestIdentityRoundTrip: everything that rules read of an identity is stored,
// and a change of any part changes the version.
func TestIdentityRoundTrip(t *testing.T) {
	whole := providers.Identity{
		Provider: "corp", Subject: "7", User: "alice", Groups: []string{"Team-A"},
		Unsure: []string{"contractors", providers.UnsureAll}, FoldsCase: true, Claims: map[string]any{"level": "high"},
	}
	identity, err := encodeIdentity(&whole)
	if err != nil {
		t.Fatal(err)
	}
	got, err := decodeIdentity(identity.Body)
	if diff := cmp.Diff(&whole, got); diff != "" || err != nil {
		t.Errorf("decodeIdentity after encodeIdentity: %v (-want +got)\n%s", err, diff)
	}
	for part, lack := range map[string]func(*providers.Identity){
		"Groups":    func(id *providers.Identity) { id.Groups = nil },
		"Unsure":    func(id *providers.Identity) { id.Unsure = id.Unsure[:1] },
		"FoldsCase": func(id *providers.Identity) { id.FoldsCase = false },
		"Claims":    func(id *providers.Identity) { id.Claims = nil },
	} {
		other := whole
		lack(&other)
		if without, err := encodeIdentity(&other); err != nil || without.Version == identity.Version {
			t.Errorf("without %s: version %x, %v; want another than %x", part, without.Version, err, identity.Version)
		}
	}
}
