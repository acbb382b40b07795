package dockerauth

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
)

// celRegexp returns a regular expression as a literal of CEL, raw where that is possible.
func celRegexp(source string) string {
	if !strings.ContainsAny(source, "\"\n\r'") && isPrintable(source) {
		return `r"` + source + `"`
	}
	return strconv.Quote(source)
}

func isPrintable(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return !strconv.IsPrint(r) })
}

// celList returns a list of texts as a literal of CEL.
func celList(texts []string) string {
	quoted := make([]string, len(texts))
	for i, text := range texts {
		quoted[i] = strconv.Quote(text)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// celVariables are the variables of conditions.
var celVariables = map[variableKind]string{
	accountName: "user", repositoryName: "request.repository", serviceName: "request.service",
}

// sequence returns the elements of an expression that has no alternatives.
func (x expression) sequence() ([]element, bool) {
	parsed, err := syntax.Parse(x.source, syntax.Perl)
	if err != nil {
		return nil, false
	}
	all, ok := expander{maxClass}.alternatives(parsed.Simplify())
	if !ok || len(all) != 1 {
		return nil, false
	}
	return unanchored(all[0]), true
}

// celConcatenation returns a text with holes as an expression of CEL: "bot-" + user.
func (x expression) celConcatenation(s []element) (string, bool) {
	var parts []string
	var text strings.Builder
	flush := func() {
		if text.Len() > 0 {
			parts = append(parts, strconv.Quote(text.String()))
			text.Reset()
		}
	}
	for _, e := range s {
		if e.kind != character || e.fold {
			return "", false
		}
		hole := int(e.r - firstHole)
		if hole < 0 || hole >= len(x.holes) {
			text.WriteRune(e.r)
			continue
		}
		flush()
		name, ok := celVariables[x.holes[hole].kind]
		if !ok {
			return "", false
		}
		parts = append(parts, name)
	}
	flush()
	if len(parts) == 0 {
		return `""`, true
	}
	return strings.Join(parts, " + "), true
}

// celText returns the only text that an expression matches.
func (x expression) celText() (string, bool) {
	s, ok := x.sequence()
	if !ok {
		return "", false
	}
	return x.celConcatenation(s)
}

// withAccount returns the only text that an expression matches whose holes are the
// account.
func (x expression) withAccount(account string) (string, bool) {
	s, ok := x.sequence()
	if !ok || slices.ContainsFunc(s, func(e element) bool { return e.kind != character }) {
		return "", false
	}
	var b strings.Builder
	for _, e := range s {
		if e.r >= firstHole {
			b.WriteString(account)
		} else {
			b.WriteRune(e.r)
		}
	}
	return b.String(), true
}

// celCondition returns the condition that a text matches an expression whose holes have
// nothing but text around them.
func (x expression) celCondition(text string) (string, bool) {
	s, ok := x.sequence()
	if !ok {
		return "", false
	}
	return x.celComparison(text, s)
}

// celComparison is [expression.celCondition] for the sequence of the expression.
func (x expression) celComparison(text string, s []element) (string, bool) {
	format := "%s == %s"
	before := len(s) > 0 && s[0].kind == anything
	after := len(s) > 0 && s[len(s)-1].kind == anything
	switch {
	case before && after:
		format, s = "%s.contains(%s)", s[1:max(1, len(s)-1)]
	case before:
		format, s = "%s.endsWith(%s)", s[1:]
	case after:
		format, s = "%s.startsWith(%s)", s[:len(s)-1]
	}
	value, ok := x.celConcatenation(s)
	return fmt.Sprintf(format, text, value), ok
}

// serviceCondition returns the condition that compares the service with its part of the
// name. The globs of the name compare the rest: text, and one wildcard at the end.
func (x expression) serviceCondition() (string, bool) {
	s, ok := x.sequence()
	if !ok {
		return "", false
	}
	if n := len(s); n > 0 && (s[n-1].kind == component || s[n-1].kind == component1 && wholeComponent(s, n-1)) {
		value, ok := x.celConcatenation(s[:n-1])
		return "request.repository.startsWith(" + value + ")", ok
	}
	if n := len(s); n > 0 && s[n-1].kind == anything1 && wholeComponent(s, n-1) {
		s[n-1].kind = anything
	}
	return x.celComparison("request.repository", s)
}

// isHole reports whether an expression is its only hole, with no text around it.
func (x expression) isHole() bool {
	s, ok := x.sequence()
	return ok && len(s) == 1 && s[0].kind == character && s[0].r == firstHole
}

// labelList returns the list of a label's values in conditions, and the condition that
// there is one.
func (t *aclTranslation) labelList(label string) (list, exists string) {
	if label == t.who.GroupLabel {
		return "groups", ""
	}
	if celIdentifier.MatchString(label) && !slices.Contains(celReserved, label) {
		return "claims." + label, "has(claims." + label + ") && "
	}
	quoted := strconv.Quote(label)
	return "claims[" + quoted + "]", quoted + " in claims && "
}

// labelHas returns the condition that a label has a value.
func (t *aclTranslation) labelHas(label, value string) string {
	list, exists := t.labelList(label)
	return exists + value + " in " + list
}

// labelMatches returns the condition that a value of a label matches an expression.
func (t *aclTranslation) labelMatches(label string, x expression) string {
	globs, exact := x.globs(plainName)
	literal := exact && len(globs) > 0 && !slices.ContainsFunc(globs, isGlob)
	if x.source == "^$" {
		return t.labelHas(label, `""`)
	}
	if literal && !strings.Contains(x.source, "(?i)") {
		if len(globs) == 1 {
			return t.labelHas(label, strconv.Quote(globs[0]))
		}
		return t.claimExists(label, "v", "v in "+celList(globs))
	}
	return t.claimExists(label, "v", "v.matches("+celRegexp(x.source)+")")
}

// claimExists returns the condition that some value of a label satisfies a condition.
func (t *aclTranslation) claimExists(label, variable, condition string) string {
	list, exists := t.labelList(label)
	return fmt.Sprintf("%s%s.exists(%s, %s)", exists, list, variable, condition)
}

var celIdentifier = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// celReserved are the words that CEL does not take for a name.
var celReserved = []string{
	"as", "break", "const", "continue", "else", "false", "for", "function", "if", "import", "in", "let",
	"loop", "namespace", "null", "package", "return", "true", "var", "void", "while",
}
