package dockerauth

import (
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"shorepass/config"
	"shorepass/policy"
	"shorepass/registry"
)

// TestOpenIDPeople: what people of OpenID providers may do by the imported rules: labels are
// claims, and strangers of a Google domain may do nothing.
func TestOpenIDPeople(t *testing.T) {
	archive, err := txtar.ParseFile("testdata/examples/openid.txtar")
	if err != nil {
		t.Fatal(err)
	}
	text, _, err := Import(exampleInput(archive), testKinds)
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Parse("shorepass.toml", []byte(text), testKinds, config.OnlySecrets())
	if err != nil {
		t.Fatal(err)
	}
	harbour := map[string]any{"groups": []any{"harbour", "staff"}}
	for _, tt := range []struct {
		provider, user string
		claims         map[string]any
		repository     string
		want           bool
	}{
		{"google", "marit@corp.example", nil, "public/a", true},
		{"google", "Marit@Corp.Example", nil, "public/a", true}, // the provider ignores case
		{"google", "marit@corp.example.evil.example", nil, "public/a", false},
		{"google", "eve@evil.example", harbour, "ships/a", false},
		{"google", "eve@notcorp.example", harbour, "ships/a", false},
		{"oidc", "eve@evil.example", harbour, "ships/a", true},
		{"oidc", "eve@evil.example", nil, "ships/a", false},
		{"oidc", "marit@corp.example", nil, "public/a", true},
	} {
		got := cfg.Policy.Decide(policy.Request{
			User: tt.user, Provider: tt.provider, FoldsCase: cfg.FoldsCase(tt.provider), Method: "browser", Groups: []string{"authenticated"}, Claims: tt.claims,
			Scopes: []registry.Scope{{Type: "repository", Name: tt.repository, Actions: []string{"pull"}}},
		})
		if granted := len(got.Access) > 0; granted != tt.want {
			t.Errorf("%s of %s pulls %s: %v, want %v (%v)", tt.user, tt.provider, tt.repository, granted, tt.want, got.Rules)
		}
	}
}
