package policy

import "strings"

// symbol is one position of a glob of any kind: a character or a wildcard.
type symbol rune

const (
	anyText symbol = -1 // any text, the empty one included
	anyChar symbol = -2 // any one character
)

// parseSymbols parses a glob whose "*" matches any text. "?" matches any one
// character if single is set, as in the keys of a provider, else itself.
func parseSymbols(text string, single bool) []symbol {
	all := make([]symbol, 0, len(text))
	for _, r := range text {
		switch {
		case r == '*' && len(all) > 0 && all[len(all)-1] == anyText:
		case r == '*':
			all = append(all, anyText)
		case r == '?' && single:
			all = append(all, anyChar)
		default:
			all = append(all, symbol(r))
		}
	}
	return all
}

// literalSymbols returns the symbols of a text without wildcards.
func literalSymbols(text string) []symbol {
	all := make([]symbol, 0, len(text)+1)
	for _, r := range text {
		all = append(all, symbol(r))
	}
	return all
}

// overlap reports whether some text matches both globs. It is dynamic
// programming, in time proportional to the product of their lengths, after
// their common prefix.
func overlap(a, b []symbol) bool {
	for len(a) > 0 && len(b) > 0 && a[0] != anyText && b[0] != anyText {
		if !symbolsMatch(a[0], b[0]) {
			return false
		}
		a, b = a[1:], b[1:]
	}
	// reached[j] says that some text matches both the first i of a and the first j of b.
	reached := make([]bool, len(b)+1)
	for i := 0; i <= len(a); i++ {
		diagonal := false // reached[j-1] of the previous row
		for j := 0; j <= len(b); j++ {
			above := reached[j]
			reached[j] = i == 0 && j == 0 ||
				i > 0 && above && a[i-1] == anyText || // the wildcard is empty
				j > 0 && reached[j-1] && b[j-1] == anyText ||
				i > 0 && j > 0 && reached[j-1] && a[i-1] == anyText || // it takes one symbol more
				i > 0 && j > 0 && above && b[j-1] == anyText ||
				i > 0 && j > 0 && diagonal && a[i-1] != anyText && b[j-1] != anyText && symbolsMatch(a[i-1], b[j-1])
			diagonal = above
		}
	}
	return reached[len(b)]
}

// symbolsMatch reports whether some character matches both symbols, of which
// neither is anyText.
func symbolsMatch(a, b symbol) bool { return a == b || a == anyChar || b == anyChar }

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r >= 0x80 }) < 0
}
