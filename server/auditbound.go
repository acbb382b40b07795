package server

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxAuditLine bounds the JSON of an audit line, in bytes and with every character beyond
// ASCII counted as its escape. With the header of a syslog message it stays below 64 KiB,
// which collectors can be set to take. Nothing else bounds a line: 256 KiB of scopes, ten
// thousand groups or a rule for each scope make megabytes.
const maxAuditLine = 64<<10 - 512

// maxLongText bounds each text of a line whose texts alone are longer than maxAuditLine,
// in bytes: such a name is one that a provider made up.
const maxLongText = 512

// bounded returns a copy of the line, whose JSON has size bytes, with at most
// maxAuditLine. Entries are cut from the ends of the lists, of those first that can be
// derived from the rest: which rules matched, the groups, the claims, what was denied, what
// was asked, and what was granted last. Truncated counts them.
func (l *auditLine) bounded(size int) *auditLine {
	short := *l
	cut := &cutter{excess: size + len(`,"truncated":`) + 10 - maxAuditLine}
	short.Rules = cutEntries(cut, short.Rules)
	short.Groups = cutEntries(cut, short.Groups)
	short.Unsure = cutEntries(cut, short.Unsure)
	short.Claims = cutClaims(cut, short.Claims)
	short.Denied = cutEntries(cut, short.Denied)
	short.Asked = cutEntries(cut, short.Asked)
	short.Granted = cutEntries(cut, short.Granted)
	if cut.excess > 0 {
		short.cutTexts(cut)
	}
	short.Truncated = cut.count
	return &short
}

// cutter counts down the bytes by which a line is too long.
type cutter struct {
	excess int
	count  int // of entries and texts that were cut
}

// drop reports whether an entry has to be cut, and counts it as cut. brackets is the
// length of what its JSON has and the list's has not.
func (c *cutter) drop(entry any, brackets int) bool {
	if c.excess <= 0 {
		return false
	}
	text, err := json.Marshal(entry)
	if err != nil {
		return false // the whole line cannot be encoded either
	}
	c.excess -= asciiLength(text) - brackets + len(",")
	c.count++
	return true
}

func cutEntries[T any](c *cutter, all []T) []T {
	for len(all) > 0 && c.drop(all[len(all)-1], 0) {
		all = all[:len(all)-1]
	}
	return all
}

func cutClaims(c *cutter, all map[string]string) map[string]string {
	kept := maps.Clone(all)
	for _, name := range slices.Backward(slices.Sorted(maps.Keys(all))) {
		if !c.drop(map[string]string{name: all[name]}, len("{}")) {
			break
		}
		delete(kept, name)
	}
	return kept
}

// cutTexts cuts every text to maxLongText.
func (l *auditLine) cutTexts(c *cutter) {
	texts := []*string{&l.Request, &l.User, &l.Subject, &l.Provider, &l.Method, &l.ACR, &l.Account, &l.Address, &l.ClientID, &l.UserAgent,
		&l.Service, &l.TokenType, &l.Session, &l.JTI, &l.Reason, &l.Action}
	if l.Target != nil {
		target := *l.Target
		l.Target = &target
		texts = append(texts, &target.Session, &target.User, &target.Subject, &target.Provider)
	}
	for _, text := range texts {
		if len(*text) > maxLongText {
			*text = strings.ToValidUTF8((*text)[:maxLongText-len("…")], "") + "…"
			c.count++
		}
	}
}

// asciiLength returns the length of a JSON text whose characters beyond ASCII are written
// as \uXXXX, as syslog messages have them.
func asciiLength(text []byte) int {
	n := 0
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		n += escapedLength(r)
		text = text[size:]
	}
	return n
}

// escapedLength returns the length of a character in such a text.
func escapedLength(r rune) int {
	switch {
	case r < utf8.RuneSelf:
		return 1
	case r > 0xFFFF:
		return len(`\uXXXX\uXXXX`) // a surrogate pair
	}
	return len(`\uXXXX`)
}
