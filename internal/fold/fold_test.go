package fold

import (
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestName(t *testing.T) {
	for name, want := range map[string]string{
		"Team-Blue":     "team-blue",
		"JOSÉ":          "josé",
		"jose\u0301":    "josé", // one name in two normal forms
		"JOSE\u0301":    "josé",
		"ΟΔΟΣ":          "οδοσ",
		"οδος":          "οδοσ",
		"weiß":          "weiß", // and not "weiss", which is another account
		"WEIẞ":          "weiß",
		"\u212Aevin":    "\u212Aevin", // A10: the Kelvin sign is no k
		"\u017Ftaff":    "\u017Ftaff", // nor the long s an s
		"\u0130stanbul": "\u0130stanbul",
		"ａｄｍｉｎ":         "ａｄｍｉｎ", // full width
		"\xff":          "\uFFFD",
		"a*/**B":        "a*/**b",
	} {
		if got := Name(name); got != want {
			t.Errorf("Name(%q) = %q, want %q", name, got, want)
		}
	}
}

// The forms of one letter fold to one, folding again changes nothing, and
// nothing but ASCII becomes ASCII.
func TestEveryLetter(t *testing.T) {
	for r := range rune(unicode.MaxRune + 1) {
		folded := foldLetter(r)
		if foldLetter(folded) != folded {
			t.Errorf("%U folds to %U, and that to %U", r, folded, foldLetter(folded))
		}
		if r >= utf8.RuneSelf && folded < utf8.RuneSelf {
			t.Errorf("%U folds to %q", r, folded)
		}
		if name := Name("a" + string(r)); r >= utf8.RuneSelf && isLowerASCII(name) {
			t.Errorf("Name makes %q of %U", name, r)
		}
		other := unicode.SimpleFold(r)
		if (r < utf8.RuneSelf) == (other < utf8.RuneSelf) && foldLetter(other) != folded {
			t.Errorf("%U folds to %U, but %U, the same letter, to %U", r, folded, other, foldLetter(other))
		}
	}
}
