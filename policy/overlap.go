package policy

import "strings"

// symbol is a part of a glob of any kind: a character, or one of the two that
// stand for others.
type symbol rune

const (
	anyText symbol = -1 // any text
	anyChar symbol = -2 // any character
)

// parseSymbols reads a glob whose "*" is any text. "?" is any character where single
// is set, as in the keys of a provider, else itself.
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

// literalSymbols reads a text in which nothing stands for anything else.
func literalSymbols(text string) []symbol {
	all := make([]symbol, 0, len(text)+1)
	for _, r := range text {
		all = append(all, symbol(r))
	}
	return all
}

// overlap reports whether some text matches both globs. It takes time
// proportional to the product of their lengths, once their beginnings agree.
func overlap(a, b []symbol) bool {
	for len(a) > 0 && len(b) > 0 && a[0] != anyText && b[0] != anyText {
		if !symbolsMatch(a[0], b[0]) {
			return false
		}
		a, b = a[1:], b[1:]
	}
	// reached[j] says that the first i of a and the first j of b match one text.
	reached := make([]bool, len(b)+1)
	for i := 0; i <= len(a); i++ {
		diagonal := false // of the row before, at j-1
		for j := 0; j <= len(b); j++ {
			above := reached[j]
			reached[j] = i == 0 && j == 0 ||
				i > 0 && above && a[i-1] == anyText || // the run is empty, or goes on
				j > 0 && reached[j-1] && b[j-1] == anyText ||
				i > 0 && j > 0 && reached[j-1] && a[i-1] == anyText ||
				i > 0 && j > 0 && above && b[j-1] == anyText ||
				i > 0 && j > 0 && diagonal && a[i-1] != anyText && b[j-1] != anyText && symbolsMatch(a[i-1], b[j-1])
			diagonal = above
		}
	}
	return reached[len(b)]
}

func symbolsMatch(a, b symbol) bool { return a == b || a == anyChar || b == anyChar }

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r >= 0x80 }) < 0
}
