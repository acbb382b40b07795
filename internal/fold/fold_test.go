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
		"jose\u0301":    "josé", // the same name in normal form D
		"JOSE\u0301":    "josé",
		"ΟΔΟΣ":          "οδοσ",
		"οδος":          "οδοσ",
		"weiß":          "weiß", // not "weiss", which is another account
		"WEIẞ":          "weiß",
		"\u212Aevin":    "\u212Aevin", // the Kelvin sign is not k
		"\u017Ftaff":    "\u017Ftaff", // the long s is not s
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

// TestEveryLetter: all forms of a letter fold to one, folding is idempotent,
// and only ASCII folds to ASCII.
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
			t.Errorf("Name of a text with %[2]U = %[1]q, want no ASCII", name, r)
		}
		other := unicode.SimpleFold(r)
		if (r < utf8.RuneSelf) == (other < utf8.RuneSelf) && foldLetter(other) != folded {
			t.Errorf("%U folds to %U, but %U, the same letter, folds to %U", r, folded, other, foldLetter(other))
		}
	}
}
