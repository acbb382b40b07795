package providers

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// maxName bounds a user or group name, in bytes.
const maxName = 512

// UserName returns the user name of an entry or a claim: as it is, or in lower case and
// normal form C where its provider ignores case. It rejects, for [RefusedByConfig], a text
// that rules, audit lines or an operator could take for another name. Each provider calls
// it, and the chain once more.
func UserName(found string, foldsCase bool) (string, error) {
	problem := NameProblem(found)
	if problem == "" && strings.ContainsFunc(found, lowersToASCII) {
		problem = "holds a letter that lower case turns into one of ASCII"
	}
	if problem != "" {
		return "", Reject(RefusedByConfig, fmt.Errorf("%.200q cannot be a user name: it %s", found, problem))
	}
	if foldsCase {
		return norm.NFC.String(strings.ToLower(found)), nil
	}
	return found, nil
}

// NameProblem returns why a text can be the name of neither a user nor a group, as the end
// of a sentence, or "".
func NameProblem(text string) string {
	if problem := TextProblem(text); problem != "" {
		return problem
	}
	if strings.ContainsFunc(text, foldsToASCII) {
		return "holds a character that is one of ASCII without case"
	}
	return ""
}

// TextProblem is NameProblem for a text that is compared exactly and not without case, such
// as a subject.
func TextProblem(text string) string {
	switch {
	case text == "":
		return "is empty"
	case len(text) > maxName:
		return fmt.Sprintf("is longer than %d bytes", maxName)
	case !utf8.ValidString(text) || strings.ContainsRune(text, utf8.RuneError):
		return "is not UTF-8" // or was not, before it was decoded
	case strings.TrimSpace(text) != text:
		return "has a blank at an end"
	case strings.ContainsFunc(text, isInvisible):
		return "holds a character that is not seen"
	}
	return ""
}

// isInvisible reports whether a character has no glyph: with one of them "bob" would be two
// people to the rules and one on the screen.
func isInvisible(r rune) bool {
	if r <= unicode.MaxASCII {
		return unicode.IsControl(r)
	}
	return unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp,
		unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// foldsToASCII reports whether a character beyond ASCII equals one of ASCII without case
// (the Kelvin sign U+212A is "k", U+017F is "s") or in normal form C (U+037E is ";"), so
// that two names would be one.
func foldsToASCII(r rune) bool {
	if r <= unicode.MaxASCII {
		return false
	}
	for other := unicode.SimpleFold(r); other != r; other = unicode.SimpleFold(other) {
		if other <= unicode.MaxASCII {
			return true
		}
	}
	return norm.NFC.String(string(r))[0] <= unicode.MaxASCII
}

// lowersToASCII reports whether lower case turns a letter into ASCII that case folding
// does not: U+0130, the I with a dot, becomes "i".
func lowersToASCII(r rune) bool {
	return r > unicode.MaxASCII && unicode.ToLower(r) <= unicode.MaxASCII
}
