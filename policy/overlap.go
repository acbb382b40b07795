package policy

import "strings"

// symbol is one position of a glob of any kind: a character or a wildcard.
type symbol rune

const (
	anyText symbol = -1 // any text, the empty one included
	anyChar symbol = -2 // any one character
	anyPart symbol = -3 // any text without "/", the empty one included
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

// symbols returns the symbols of a glob of rules. A placeholder is any text without "/".
func (g glob) symbols() []symbol {
	all := make([]symbol, 0, 32)
	for i := range g {
		switch g[i].kind {
		case literal:
			all = append(all, literalSymbols(g[i].text)...)
		case doubleStar:
			all = append(all, anyText)
		default:
			all = append(all, anyPart)
		}
	}
	return all
}

func (s symbol) isWildcard() bool { return s == anyText || s == anyPart }

// absorbs reports whether a wildcard matches each text that another symbol matches.
func (s symbol) absorbs(other symbol) bool {
	return s == anyText || s == anyPart && other != '/' && other != anyText && other != anyChar
}

// reaches reports whether a wildcard matches some text that another symbol matches.
func (s symbol) reaches(other symbol) bool { return s == anyText || s == anyPart && other != '/' }

// includes reports whether each text that the glob narrow matches matches wide too. It
// may be false although that is so: it has a wildcard of narrow absorbed as a whole by
// one of wide.
func includes(wide, narrow []symbol) bool {
	for len(wide) > 0 && !wide[0].isWildcard() {
		if len(narrow) == 0 || narrow[0] != wide[0] {
			return false
		}
		wide, narrow = wide[1:], narrow[1:]
	}
	// reached[j] says that the first i of wide match what the first j of narrow match.
	reached := make([]bool, len(narrow)+1)
	for i := 0; i <= len(wide); i++ {
		diagonal := false // reached[j-1] of the previous row
		for j := 0; j <= len(narrow); j++ {
			above := reached[j]
			reached[j] = i == 0 && j == 0 ||
				i > 0 && above && wide[i-1].isWildcard() ||
				i > 0 && j > 0 && reached[j-1] && wide[i-1].isWildcard() && wide[i-1].absorbs(narrow[j-1]) ||
				i > 0 && j > 0 && diagonal && !wide[i-1].isWildcard() && wide[i-1] == narrow[j-1]
			diagonal = above
		}
	}
	return reached[len(narrow)]
}

// overlap reports whether some text matches both globs. It is dynamic
// programming, in time proportional to the product of their lengths, after
// their common prefix.
func overlap(a, b []symbol) bool {
	for len(a) > 0 && len(b) > 0 && !a[0].isWildcard() && !b[0].isWildcard() {
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
				i > 0 && above && a[i-1].isWildcard() || // the wildcard is empty
				j > 0 && reached[j-1] && b[j-1].isWildcard() ||
				i > 0 && j > 0 && reached[j-1] && a[i-1].isWildcard() && a[i-1].reaches(b[j-1]) || // it takes one symbol more
				i > 0 && j > 0 && above && b[j-1].isWildcard() && b[j-1].reaches(a[i-1]) ||
				i > 0 && j > 0 && diagonal && !a[i-1].isWildcard() && !b[j-1].isWildcard() && symbolsMatch(a[i-1], b[j-1])
			diagonal = above
		}
	}
	return reached[len(b)]
}

// symbolsMatch reports whether some character matches both symbols, of which
// neither is a wildcard of any length.
func symbolsMatch(a, b symbol) bool { return a == b || a == anyChar || b == anyChar }

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r >= 0x80 }) < 0
}
