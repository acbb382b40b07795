package config

import (
	"errors"
	"fmt"
	"sort"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// text is a TOML file and the line of each key in it.
type text struct {
	name string // as passed to Load, for faults
	data []byte
	tree map[string]any

	// lines has the line of each dotted key. index fills it at the first call of
	// line, since a configuration without faults needs no lines.
	lines      map[string]int
	duplicates []duplicate
}

// duplicate is a key that is written twice.
type duplicate struct {
	key         string
	first, line int
}

// parse parses data into t.tree. If data is not TOML, it returns the faults: all
// duplicate keys and the first syntax error, after which the parser stops.
func (t *text) parse() []*Fault {
	err := toml.Unmarshal(t.data, &t.tree)
	if err == nil {
		return nil
	}
	var list []*Fault
	syntax := t.index()
	for _, d := range t.duplicates {
		list = append(list, &Fault{File: t.name, Line: d.line, Key: d.key,
			Problem: fmt.Sprintf("is a duplicate of line %d; keep one of the two", d.first)})
	}
	if len(list) > 0 && syntax == nil {
		return list
	}
	fault := &Fault{File: t.name, Problem: syntaxProblem(err)}
	if at, ok := errors.AsType[*toml.DecodeError](err); ok {
		fault.Line, _ = at.Position()
		fault.Key = dottedKey(at.Key()...)
	}
	if len(list) > 0 { // then err is about the first duplicate
		at, _ := errors.AsType[*unstable.ParserError](syntax)
		fault = &Fault{File: t.name, Problem: syntaxProblem(syntax), Line: t.lineAtOffset(cap(t.data) - cap(at.Highlight))}
	}
	return append(list, fault)
}

// syntaxProblem describes a syntax error without quoting the line. The library's errors
// differ in their text alone; when that changes, the golden files of this package show
// it.
func syntaxProblem(err error) string {
	msg := strings.TrimPrefix(err.Error(), "toml: ")
	switch {
	case strings.Contains(msg, "at start of value"), strings.Contains(msg, "expected keyword"):
		return "this value is not a number, list, table, true or false; write text in quotes"
	case strings.Contains(msg, "parse float"), strings.Contains(msg, "parse int"):
		return "this number is out of range; write a smaller one"
	case strings.HasPrefix(msg, "expected newline"):
		return "something follows the value; put one key on a line, and text in quotes"
	}
	return "this is not TOML: " + msg + "; see https://toml.io"
}

// line returns the line of key or, where the text does not have it, of the innermost
// table around it; 0 if there is none.
func (t *text) line(key string) int {
	if t.lines == nil {
		t.index() // an error does not matter: parse has reported it
	}
	for ; key != ""; key = parent(key) {
		if line, ok := t.lines[key]; ok {
			return line
		}
	}
	return 0
}

// index fills t.lines and t.duplicates, up to the first syntax error, which it returns.
func (t *text) index() error {
	t.lines, t.duplicates = make(map[string]int), nil
	x := indexer{text: t, elements: make(map[string]int), written: make(map[string]bool)}
	for off, c := range t.data {
		if c == '\n' {
			x.ends = append(x.ends, off)
		}
	}
	x.parser.Reset(t.data)
	for x.parser.NextExpression() {
		x.expression(x.parser.Expression())
	}
	return x.parser.Error()
}

// lineAtOffset returns the line of a byte offset in the data.
func (t *text) lineAtOffset(offset int) int {
	return 1 + strings.Count(string(t.data[:min(max(offset, 0), len(t.data))]), "\n")
}

// indexer collects the lines of the keys in a text, expression by expression.
type indexer struct {
	text     *text
	parser   unstable.Parser
	ends     []int           // offsets of line ends
	table    string          // the dotted key of the table that the last header opened
	elements map[string]int  // number of [[key]] headers so far, by key
	written  map[string]bool // keys that have a value or a header of their own
}

func (x *indexer) expression(e *unstable.Node) {
	switch e.Kind {
	case unstable.KeyValue:
		x.keyValue(x.table, e)
	case unstable.Table, unstable.ArrayTable:
		x.header(e)
	}
}

// header records the key of a [table] or [[table]] header.
func (x *indexer) header(e *unstable.Node) {
	at := ""
	for it := e.Key(); it.Next(); {
		line := x.lineOfNode(it.Node())
		at = join(at, dottedKey(string(it.Node().Data)))
		switch last := it.IsLast(); {
		case last && e.Kind == unstable.Table:
			x.define(at, line)
		case last:
			x.mention(at, line)
			x.elements[at]++
			at = element(at, x.elements[at]-1)
			x.mention(at, line)
		default:
			x.mention(at, line)
			if n := x.elements[at]; n > 0 {
				at = element(at, n-1)
			}
		}
	}
	x.table = at
}

func (x *indexer) keyValue(table string, e *unstable.Node) {
	at, line := table, 0
	for it := e.Key(); it.Next(); {
		line = x.lineOfNode(it.Node())
		at = join(at, dottedKey(string(it.Node().Data)))
		if it.IsLast() {
			x.define(at, line)
		} else {
			x.mention(at, line)
		}
	}
	x.value(at, line, e.Value())
}

// value records the keys inside a list or an inline table.
func (x *indexer) value(at string, line int, v *unstable.Node) {
	switch v.Kind {
	case unstable.InlineTable:
		for it := v.Children(); it.Next(); {
			x.keyValue(at, it.Node())
		}
	case unstable.Array:
		i := 0
		for it := v.Children(); it.Next(); i++ {
			// A list within a list has no position of its own in the syntax tree.
			if it.Node().Raw.Length > 0 {
				line = x.lineOfNode(it.Node())
			}
			x.mention(element(at, i), line)
			x.value(element(at, i), line, it.Node())
		}
	}
}

// define records a key that may be written only once.
func (x *indexer) define(at string, line int) {
	if x.written[at] {
		x.text.duplicates = append(x.text.duplicates, duplicate{key: at, first: x.text.lines[at], line: line})
		return
	}
	x.written[at] = true
	x.text.lines[at] = line
}

// mention records a key that may occur any number of times.
func (x *indexer) mention(at string, line int) {
	if _, ok := x.text.lines[at]; !ok {
		x.text.lines[at] = line
	}
}

func (x *indexer) lineOfNode(n *unstable.Node) int {
	return 1 + sort.SearchInts(x.ends, int(n.Raw.Offset))
}

// dottedKey joins the parts of a key as in TOML, quoted where necessary.
func dottedKey(parts ...string) string {
	out := make([]string, len(parts))
	for i, p := range parts {
		out[i] = p
		if p == "" || strings.ContainsFunc(p, func(r rune) bool { return !isBareKeyRune(r) }) {
			out[i] = strconv.Quote(p)
		}
	}
	return strings.Join(out, ".")
}

func isBareKeyRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-'
}

// element returns the key of an element of a list: "service[0]".
func element(list string, i int) string { return list + "[" + strconv.Itoa(i) + "]" }
