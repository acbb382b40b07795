package dockerauth

import (
	"regexp"
	"strings"
)

// globExpression translates a glob of path.Match into a regular expression. ok is
// false if the glob is broken.
func globExpression(glob string) (source string, ok bool) {
	var b strings.Builder
	b.WriteByte('^')
	for rest := []rune(glob); len(rest) > 0; {
		switch rest[0] {
		case '*':
			for len(rest) > 0 && rest[0] == '*' {
				rest = rest[1:]
			}
			b.WriteString("[^/]*")
		case '?':
			b.WriteString("[^/]")
			rest = rest[1:]
		case '[':
			class, n := globClass(rest)
			if n == 0 {
				return "", false
			}
			b.WriteString(class)
			rest = rest[n:]
		case '\\':
			if len(rest) == 1 {
				return "", false
			}
			rest = rest[1:]
			fallthrough
		default:
			b.WriteString(regexp.QuoteMeta(string(rest[0])))
			rest = rest[1:]
		}
	}
	b.WriteByte('$')
	return b.String(), true
}

// globClass translates the class that rest begins with, and returns its length, which
// is 0 if the class is broken. A negated class matches a slash too.
func globClass(rest []rune) (class string, n int) {
	i := 1
	negated := i < len(rest) && rest[i] == '^'
	if negated {
		i++
	}
	var b strings.Builder
	for ranges := 0; ; ranges++ {
		if i < len(rest) && rest[i] == ']' && ranges > 0 {
			i++
			break
		}
		low, next := classRune(rest, i)
		high := low
		if next > 0 && next < len(rest) && rest[next] == '-' {
			high, next = classRune(rest, next+1)
		}
		if next == 0 || next >= len(rest) {
			return "", 0
		}
		if i = next; low <= high {
			b.WriteString(quoteClassRune(low))
			if low < high {
				b.WriteString("-" + quoteClassRune(high))
			}
		}
	}
	switch {
	case b.Len() == 0 && negated:
		return `[\x00-\x{10FFFF}]`, i
	case b.Len() == 0:
		return `[^\x00-\x{10FFFF}]`, i
	case negated:
		return "[^" + b.String() + "]", i
	}
	return "[" + b.String() + "]", i
}

// classRune returns the character of a class at i and the index after it, which is 0
// if there is none.
func classRune(rest []rune, i int) (r rune, next int) {
	if i >= len(rest) || rest[i] == '-' || rest[i] == ']' {
		return 0, 0
	}
	if rest[i] == '\\' {
		if i++; i >= len(rest) {
			return 0, 0
		}
	}
	return rest[i], i + 1
}

func quoteClassRune(r rune) string {
	if strings.ContainsRune(`\]^-[`, r) {
		return `\` + string(r)
	}
	return string(r)
}

// quoteGlob returns the glob that matches just the text.
func quoteGlob(text string) string {
	var b strings.Builder
	for i := range len(text) {
		if strings.IndexByte(`*?[]\^-`, text[i]) >= 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(text[i])
	}
	return b.String()
}
