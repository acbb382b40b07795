package dockerauth

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A pattern is a condition of docker_auth on one field of a request: a glob as in
// path.Match, or a regular expression between slashes, found anywhere in the field.
// Variables in it are replaced by values of the request.
type pattern struct {
	text   string
	regexp bool
	pieces []piece

	constant *constant // its cached expression, if it has no variables
}

// constant is the expression of a pattern without variables, and the texts that it
// matches if these are few.
type constant struct {
	expression
	valid    bool
	literals []string
}

// fixed returns the cached constant of a pattern without variables, or nil.
func (p *pattern) fixed() *constant {
	if p.constant == nil {
		for _, one := range p.pieces {
			if one.variable.kind != noVariable {
				return nil
			}
		}
		c := &constant{}
		c.expression, c.valid = p.fill(noValue)
		if globs, exact := c.globs(plainName); c.valid && exact && !slices.ContainsFunc(globs, isGlob) && !strings.Contains(c.source, "(?") {
			c.literals = globs
		}
		p.constant = c
	}
	return p.constant
}

// piece is a part of a pattern: text in the pattern's own syntax, or a variable.
type piece struct {
	text     string
	variable variable
}

// variable is what a piece stands for. The zero variable is none.
type variable struct {
	kind  variableKind
	name  string // of the label
	field string // whose expression has the group
	group int    // its number
}

type variableKind uint8

const (
	noVariable variableKind = iota
	accountName
	typeName
	repositoryName
	serviceName
	labelValue // ${labels:NAME}: each value of the label in turn
	capture    // ${account:1}: what a group of another field's expression matched
)

// fields are the fields that have a pattern and whose groups can be captured.
var fields = []string{"account", "type", "name", "service"}

// plainVariables are the variables of a request's fields.
var plainVariables = map[string]variableKind{
	"${account}": accountName, "${type}": typeName, "${name}": repositoryName, "${service}": serviceName,
}

// isRegexp reports whether a pattern is a regular expression.
func isRegexp(text string) bool {
	return len(text) > 2 && text[0] == '/' && text[len(text)-1] == '/'
}

// parsePattern parses a pattern. captures are those of the entry, by their text.
func parsePattern(text string, captures map[string]variable) *pattern {
	p := &pattern{text: text, regexp: isRegexp(text)}
	rest := text
	if p.regexp {
		rest = text[1 : len(text)-1]
	}
	for begin := 0; begin < len(rest); {
		v, n := variableAt(rest[begin:], captures)
		if n == 0 {
			begin++
			continue
		}
		if begin > 0 {
			p.pieces = append(p.pieces, piece{text: rest[:begin]})
		}
		p.pieces = append(p.pieces, piece{text: rest[begin : begin+n], variable: v})
		rest, begin = rest[begin+n:], 0
	}
	if rest != "" {
		p.pieces = append(p.pieces, piece{text: rest})
	}
	return p
}

// variableAt returns the variable that the text begins with, and its length.
func variableAt(text string, captures map[string]variable) (variable, int) {
	if !strings.HasPrefix(text, "${") {
		return variable{}, 0
	}
	for key, kind := range plainVariables {
		if strings.HasPrefix(text, key) {
			return variable{kind: kind}, len(key)
		}
	}
	for key, v := range captures {
		if strings.HasPrefix(text, key) {
			return v, len(key)
		}
	}
	if end := strings.IndexByte(text, '}'); end > 0 {
		if name, ok := strings.CutPrefix(text[:end], "${labels:"); ok {
			return variable{kind: labelValue, name: name}, end + 1
		}
	}
	return variable{}, 0
}

// captureSyntax finds captures as docker_auth does: a label before a capture in the
// same field becomes part of its name, so that the capture is none.
var captureSyntax = regexp.MustCompile(`\$\{(.+?):(\d+)\}`)

// parseCaptures returns the captures in the fields of a match that docker_auth fills
// in, by their text. A capture in labels alone is none. The expression of a field
// must have the group.
func parseCaptures(m *match) map[string]variable {
	all := map[string]variable{}
	for _, name := range fields {
		text := m.field(name)
		if text == nil {
			continue
		}
		for _, found := range captureSyntax.FindAllStringSubmatch(*text, -1) {
			group, err := strconv.Atoi(found[2])
			source := m.field(found[1])
			if err != nil || source == nil || !isRegexp(*source) {
				continue
			}
			re, err := regexp.Compile((*source)[1 : len(*source)-1])
			if err == nil && group >= 1 && group <= re.NumSubexp() {
				all[found[0]] = variable{kind: capture, field: found[1], group: group}
			}
		}
	}
	return all
}

// field returns the pattern of a field by its name, or nil.
func (m *match) field(name string) *string {
	switch name {
	case "account":
		return m.Account
	case "type":
		return m.Type
	case "name":
		return m.Name
	case "service":
		return m.Service
	}
	return nil
}

// has reports whether the pattern has a variable of one of the kinds.
func (p *pattern) has(kinds ...variableKind) bool {
	if p == nil {
		return false
	}
	for _, one := range p.pieces {
		for _, kind := range kinds {
			if one.variable.kind == kind {
				return true
			}
		}
	}
	return false
}

// wholeLabel returns the label of a pattern that is nothing but ${labels:NAME}: the
// values of such a label are patterns, by docker_auth's documentation.
func (p *pattern) wholeLabel() (name string, ok bool) {
	if p != nil && !p.regexp && len(p.pieces) == 1 && p.pieces[0].variable.kind == labelValue {
		return p.pieces[0].variable.name, true
	}
	return "", false
}

// firstHole is the first of the characters that stand for variables without a value
// in an expression. They are of Unicode's private use area.
const firstHole = '\uE000'

// expression is a pattern as a regular expression of Go. Values are quoted, and so
// are data: docker_auth itself inserts captures and labels as they are. The hole
// number n, a variable without a value, is the character firstHole+n. ok is false if
// the pattern never matches: it is a broken glob, or an expression that became empty.
type expression struct {
	source string
	holes  []variable
}

// fill returns the pattern as an expression. value returns the value of a variable,
// if it has one.
func (p *pattern) fill(value func(variable) (string, bool)) (e expression, ok bool) {
	var b strings.Builder
	for _, one := range p.pieces {
		if one.variable.kind == noVariable {
			b.WriteString(one.text)
		} else if text, known := value(one.variable); known && p.regexp {
			b.WriteString(regexp.QuoteMeta(text))
		} else if known {
			b.WriteString(quoteGlob(text))
		} else {
			b.WriteRune(firstHole + rune(len(e.holes)))
			e.holes = append(e.holes, one.variable)
		}
	}
	if p.regexp {
		e.source = b.String()
		if e.source == "" {
			return e, false // docker_auth takes "//" for a glob, which no field matches
		}
		_, err := regexp.Compile(e.source)
		return e, err == nil
	}
	e.source, ok = globExpression(b.String())
	return e, ok
}

// isOnly reports whether a pattern is one variable, with anchors perhaps.
func (p *pattern) isOnly(kind variableKind) bool {
	if p == nil {
		return false
	}
	n := 0
	for _, one := range p.pieces {
		if one.variable.kind == kind {
			n++
		} else if one.variable.kind != noVariable || !p.regexp || one.text != "^" && one.text != "$" {
			return false
		}
	}
	return n == 1 && !(p.regexp && len(p.pieces) > 1 && p.pieces[0].text == "$")
}

// withoutLabels returns the pattern with its label variables as text, as they are in
// conditions on labels.
func (p *pattern) withoutLabels() *pattern {
	for i := range p.pieces {
		if p.pieces[i].variable.kind == labelValue {
			p.pieces[i].variable = variable{}
		}
	}
	return p
}
