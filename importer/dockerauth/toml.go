package dockerauth

import (
	"fmt"
	"reflect"
	"strings"
	"unicode"
	"unicode/utf8"

	"shorepass/policy"
)

// wrapAt is the width of comments, and of lists on one line.
const wrapAt = 100

// document is a TOML text that is written from top to bottom. What comes from the
// imported file goes into it by quote, key and comment alone, so that no name or
// comment there can add a line here.
type document struct{ b strings.Builder }

// row is a line of a table.
type row struct {
	key     string // as it is written
	value   string // the same
	comment string // behind it; optional
	off     bool   // the line is a comment: an example of what to write
}

// comment writes lines of a comment, wrapped.
func (d *document) comment(text string) {
	for line := range strings.Lines(printable(text)) {
		d.wrap(strings.TrimRight(line, "\n"))
	}
}

func (d *document) wrap(line string) {
	width, written := 0, false
	for word := range strings.FieldsSeq(line) {
		length := utf8.RuneCountInString(word)
		if written && width+1+length > wrapAt {
			d.b.WriteString("\n")
			written = false
		}
		if !written {
			d.b.WriteString("#")
			width, written = 1, true
		}
		d.b.WriteString(" " + word)
		width += 1 + length
	}
	if !written {
		d.b.WriteString("#")
	}
	d.b.WriteString("\n")
}

func (d *document) blank() { d.b.WriteString("\n") }

// table writes a table's header and its rows, with aligned values. An empty header
// writes the rows alone.
func (d *document) table(header string, rows []row) {
	if header != "" {
		d.b.WriteString(header + "\n")
	}
	width := 0
	for _, r := range rows {
		width = max(width, len(r.key))
	}
	for _, r := range rows {
		line := fmt.Sprintf("%-*s = %s", width, r.key, r.value)
		if r.off {
			line = "#" + line
		}
		if r.comment != "" {
			line += "  # " + printable(r.comment)
		}
		d.b.WriteString(line + "\n")
	}
}

// rule writes a [[rule]] table.
func (d *document) rule(r commentedRule) {
	if r.Comment != "" {
		d.comment(r.Comment)
	}
	d.table("[[rule]]", ruleRows(r.Rule))
	d.blank()
}

// ruleRows returns the rows of the keys of a rule that are set, in their order there.
func ruleRows(r policy.Rule) []row {
	var rows []row
	value := reflect.ValueOf(r)
	for i := range value.NumField() {
		key := value.Type().Field(i).Tag.Get("toml")
		switch field := value.Field(i).Interface().(type) {
		case string:
			if field != "" {
				rows = append(rows, row{key: key, value: quote(field)})
			}
		case []string:
			if len(field) > 0 {
				rows = append(rows, row{key: key, value: list(field)})
			}
		}
	}
	return rows
}

// list formats an array, on several lines where it is long.
func list(texts []string) string {
	if line := inlineList(texts); len(line) <= wrapAt {
		return line
	}
	var b strings.Builder
	b.WriteString("[\n")
	for _, text := range texts {
		b.WriteString("    " + quote(text) + ",\n")
	}
	return b.String() + "]"
}

// inlineList formats an array on one line, as an inline table needs it.
func inlineList(texts []string) string {
	quoted := make([]string, len(texts))
	for i, text := range texts {
		quoted[i] = quote(text)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// inline formats an inline table of pairs key, value.
func inline(pairs ...string) string {
	var parts []string
	for i := 0; i+1 < len(pairs); i += 2 {
		parts = append(parts, pairs[i]+" = "+pairs[i+1])
	}
	return "{ " + strings.Join(parts, ", ") + " }"
}

// key formats a key.
func key(name string) string {
	bare := func(r rune) bool {
		return r < utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_' || r == '-')
	}
	if name != "" && !strings.ContainsFunc(name, func(r rune) bool { return !bare(r) }) {
		return name
	}
	return basic(name)
}

// quote formats a string: literal where a basic string would need escapes and the
// literal one can be read.
func quote(text string) string {
	plain := !strings.ContainsFunc(text, func(r rune) bool { return !isPrint(r) || r == '\'' })
	if plain && strings.ContainsAny(text, `"\`) {
		return "'" + text + "'"
	}
	return basic(text)
}

// basic formats a basic string (TOML 1.0), with an escape for what cannot be seen.
func basic(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			b.WriteString(`\` + string(r))
		case isPrint(r):
			b.WriteRune(r)
		case r > 0xffff:
			fmt.Fprintf(&b, `\U%08X`, r)
		default:
			fmt.Fprintf(&b, `\u%04X`, r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

func isPrint(r rune) bool { return unicode.IsPrint(r) && r != utf8.RuneError }

// printable returns a text with escapes for what cannot be seen, but for line ends.
func printable(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case r == '\n' || isPrint(r):
			b.WriteRune(r)
		case r == '\t':
			b.WriteByte(' ')
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}
