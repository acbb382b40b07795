package main

import (
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// terminal is a writer for people, which escapes what a terminal would interpret. A peer
// chooses the names in its certificate and the texts of its errors.
type terminal struct{ w io.Writer }

// Write writes text that ends with a whole character.
func (t terminal) Write(text []byte) (int, error) {
	if _, err := io.WriteString(t.w, escapeControls(string(text))); err != nil {
		return 0, err
	}
	return len(text), nil
}

// escapeControls returns a text with Go's escapes for what is not printable, except for
// newlines and tabs.
func escapeControls(text string) string {
	plain := func(r rune) bool { return r == '\n' || r == '\t' || unicode.IsPrint(r) && r != utf8.RuneError }
	if !strings.ContainsFunc(text, func(r rune) bool { return !plain(r) }) {
		return text
	}
	var b strings.Builder
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		if part := text[:size]; plain(r) {
			b.WriteString(part)
		} else {
			quoted := strconv.Quote(part)
			b.WriteString(quoted[1 : len(quoted)-1])
		}
		text = text[size:]
	}
	return b.String()
}
