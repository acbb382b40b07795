package providers

import (
	"strings"
	"testing"
)

// TestValidateName: the name of a provider is a step of URLs.
func TestValidateName(t *testing.T) {
	for name, want := range map[string]string{
		"sso": "", "corp.example": "", "...": "", ".sso": "", "A-1_b": "",
		"":                      "is required",
		".":                     "a step in a path",
		"..":                    "a step in a path",
		"a/b":                   "is not made of",
		"a b":                   "is not made of",
		"%2e":                   "is not made of",
		"ä":                     "is not made of",
		strings.Repeat("a", 65): "is not made of",
	} {
		var got string
		Config{Name: name}.WithDefaults().Validate(func(key, problem string) { got += key + " " + problem })
		if want == "" && got != "" || want != "" && !strings.HasPrefix(got, "name ") || !strings.Contains(got, want) {
			t.Errorf("name %q: %q, want %q", name, got, want)
		}
	}
}
