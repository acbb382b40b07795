// Package fold normalizes names for comparison without case.
//
// Rules, operators and required groups all compare the names of a provider that
// ignores case with its one function. A login name has other normal forms, see
// providers.Login.
package fold

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Name returns the form in which the names of a provider that ignores case are
// compared: Unicode normal form C and simple case folding to lower case. It is
// idempotent. Rules take two names of one form for one name.
//
// Full case folding and the compatibility forms (NFKC) are not used, since they
// would merge names that directories distinguish: "weiß" and "weiss". No letter
// beyond ASCII becomes an ASCII letter, as the Kelvin sign would: an account
// named with it must not pass for "kevin".
func Name(name string) string {
	if isLowerASCII(name) {
		return name
	}
	if !strings.ContainsAny(name, becomeASCII) {
		name = norm.NFC.String(name)
	}
	return strings.Map(foldLetter, name)
}

// becomeASCII are the characters that normal form C turns into ASCII: the
// Kelvin sign, the Greek question mark, and a grave accent.
const becomeASCII = "\u212A\u037E\u1FEF"

// foldLetter returns the lower case of the upper case, which all forms of a
// letter share: "σ" and "ς" both have "Σ".
func foldLetter(r rune) rune {
	folded := unicode.ToLower(unicode.ToUpper(r))
	if folded < utf8.RuneSelf && r >= utf8.RuneSelf {
		return r
	}
	return folded
}

func isLowerASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf || 'A' <= s[i] && s[i] <= 'Z' {
			return false
		}
	}
	return true
}
