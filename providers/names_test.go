package providers

import (
	"errors"
	"strings"
	"testing"
)

// TestUserName: a name that looks like or folds to another one is rejected.
func TestUserName(t *testing.T) {
	for _, test := range []struct {
		found     string
		foldsCase bool
		want      string // empty: rejected
	}{
		{"bob", false, "bob"},
		{"Bob", false, "Bob"},
		{"Bob", true, "bob"},
		{"JOSÉ", true, "josé"},
		{"jose\u0301", true, "jos\u00e9"}, // a directory takes both for one
		{"jose\u0301", false, "jose\u0301"},
		{"weiß", true, "weiß"},
		{"o(brien", true, "o(brien"},
		{"a b", false, "a b"},
		{"\u212aevin", true, ""},  // the Kelvin sign, in lower case "k"
		{"\u212aevin", false, ""}, //
		{"\u0130smail", true, ""}, // in lower case "i"
		{"\u017fam", false, ""},   // without case "s"
		{"a\u037eb", true, ""},    // in normal form C ";"
		{"bob\u200b", true, ""},   // zero width
		{"b\u200dob", true, ""},
		{"\u202ebob", true, ""}, // right to left
		{"bob\u2066", false, ""},
		{"bob\ufe0f", false, ""}, // variation selector
		{"b\u034fob", false, ""}, // combining grapheme joiner
		{"bo\u3164b", false, ""}, // Hangul filler
		{"bo\u2028b", false, ""}, // line separator
		{"bob\n", false, ""},
		{"b\x00b", false, ""},
		{"b\xe9b", false, ""},
		{"b\ufffdb", false, ""},
		{" bob", false, ""},
		{"bob\u00a0", true, ""},
		{"", true, ""},
		{strings.Repeat("b", 513), true, ""},
	} {
		got, err := UserName(test.found, test.foldsCase)
		switch {
		case test.want == "" && (!errors.Is(err, ErrRejected) || ReasonOf(err) != RefusedByConfig):
			t.Errorf("UserName(%q, %v) = %q, %v, want ErrRejected by the configuration", test.found, test.foldsCase, got, err)
		case test.want != "" && (err != nil || got != test.want):
			t.Errorf("UserName(%q, %v) = %q, %v, want %q", test.found, test.foldsCase, got, err, test.want)
		}
	}
}
