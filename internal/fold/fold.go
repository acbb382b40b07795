// Package fold compares names where a provider ignores case.
//
// It has the one function by which rules, operators and required groups do. A
// login name that was typed has other forms, see providers.Login.
package fold

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Name returns the form in which the names of a provider that ignores case are
// compared: Unicode normal form C, and each letter in lower case, by simple
// case folding. Two names of one form are one name to rules.
//
// Full folding and the compatibility forms are left out, since they make one
// name of what directories keep apart: "weiß" is not "weiss". Neither does a
// letter beyond ASCII become one of ASCII, as the Kelvin sign would: writing
// it with another K takes the name "kevin" from no person.
func Name(name string) string {
	if isLowerASCII(name) {
		return name
	}
	if !strings.ContainsAny(name, becomeASCII) {
		name = norm.NFC.String(name)
	}
	return strings.Map(foldLetter, name)
}

// becomeASCII are the characters that the normal form makes ASCII of: the Kelvin
// sign, the Greek question mark, and a grave accent.
const becomeASCII = "\u212A\u037E\u1FEF"

// foldLetter goes by way of the upper case, which the forms of one letter share:
// both "σ" and "ς" are "Σ" there.
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
