package oidc

import (
	"slices"
	"strings"
	"testing"
)

func TestParsePath(t *testing.T) {
	tests := []struct {
		text string
		want claimPath // nil: an error
	}{
		{"sub", claimPath{"sub"}},
		{"realm_access.roles", claimPath{"realm_access", "roles"}},
		{"https://corp.example/groups", claimPath{"https://corp.example/groups"}},
		{"/resource_access/registry.corp/roles", claimPath{"resource_access", "registry.corp", "roles"}},
		{"/a~1b/c~0d", claimPath{"a/b", "c~d"}},
		{"/~01", claimPath{"~1"}}, // RFC 6901, section 4
		{"/https:~1~1corp.example~1groups", claimPath{"https://corp.example/groups"}},
		{"/", claimPath{""}}, // a name can be empty
		{"naïve claim", claimPath{"naïve claim"}},
		{"", nil},
		{".", nil},
		{"a..b", nil},
		{".a", nil},
		{"a.", nil},
		{"/a~", nil},
		{"/~2", nil},
	}
	for _, tt := range tests {
		got, err := parsePath(tt.text)
		if !slices.Equal(got, tt.want) || (err == nil) != (tt.want != nil) {
			t.Errorf("parsePath(%q) = %q, %v, want %q", tt.text, []string(got), err, []string(tt.want))
		}
	}
}

// FuzzParsePath: a parsed path, formatted as a JSON pointer, parses to the same
// path, and resolves to the value there.
func FuzzParsePath(f *testing.F) {
	for _, text := range []string{"sub", "realm_access.roles", "/a~1b/c~0d", "https://corp.example/groups", "/~01", "a..b", ""} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		path, err := parsePath(text)
		if err != nil {
			if path != nil {
				t.Errorf("parsePath(%q) = %q and an error", text, []string(path))
			}
			return
		}
		var pointer strings.Builder
		for _, name := range path {
			pointer.WriteString("/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name))
		}
		again, err := parsePath(pointer.String())
		if err != nil || !slices.Equal(path, again) {
			t.Errorf("parsePath(%q) = %q, but %q = %q, %v", text, []string(path), pointer.String(), []string(again), err)
		}
		var claims any = "found"
		for _, name := range slices.Backward(path) {
			claims = map[string]any{name: claims}
		}
		if value, ok := path.resolve(claims.(map[string]any)); !ok || value != "found" {
			t.Errorf("path %q resolves to %v, %v", []string(path), value, ok)
		}
	})
}

// TestOverage covers the overage claims of userinfo, which no library checks.
func TestOverage(t *testing.T) {
	for _, test := range []struct {
		set  claimSet
		want bool
	}{
		{claimSet{}, false},
		{claimSet{"_claim_names": nil}, false},
		{claimSet{"_claim_names": map[string]any{"groups": nil}}, true},
		{claimSet{"_claim_names": map[string]any{"address": "src1"}}, false},
		{claimSet{"_claim_names": "groups"}, true}, // malformed, so nothing is known
		{claimSet{"hasgroups": true}, true},
		{claimSet{"hasgroups": false}, false},
		{claimSet{"hasgroups": "True"}, true},
		{claimSet{"hasgroups": int64(1)}, true}, // any value but false
		{claimSet{"hasgroups": map[string]any{}}, true},
		{claimSet{"groups:src1": map[string]any{}}, true},
	} {
		if got := (claimSets{{}, test.set}).overage(claimPath{"groups"}); got != test.want {
			t.Errorf("overage of %v = %v, want %v", test.set, got, test.want)
		}
	}
}
