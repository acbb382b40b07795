package policy

import (
	"regexp/syntax"
	"slices"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"

	"shorepass/internal/fold"
)

// isFalseFor reports whether the condition is false for every person of a
// provider who logs in by a method. It is CEL's partial evaluation, with the
// other variables unknown.
func (c *condition) isFalseFor(provider, method string) bool {
	known, err := cel.PartialVars(map[string]any{"provider": provider, "method": method}, unknowns...)
	if err != nil {
		return false
	}
	out, _, err := c.partial.Eval(known)
	return err == nil && out == types.False
}

// unknowns are the variables that differ from person to person.
var unknowns = []*cel.AttributePatternType{
	cel.AttributePattern("user"), cel.AttributePattern("groups"), cel.AttributePattern("claims"),
	cel.AttributePattern("auth.acr"), cel.AttributePattern("auth.amr"), cel.AttributePattern("auth.time"),
	cel.AttributePattern("request.service"), cel.AttributePattern("request.address"), cel.AttributePattern("request.time"),
	cel.AttributePattern("request.repository"), cel.AttributePattern("request.type"), cel.AttributePattern("request.action"),
}

// namesVariable reports whether an expression names one of the variables.
func namesVariable(root ast.NavigableExpr, names ...string) bool {
	return len(ast.MatchDescendants(root, func(e ast.NavigableExpr) bool {
		return e.Kind() == ast.IdentKind && slices.Contains(names, e.AsIdent())
	})) > 0
}

// upperCaseTexts returns the texts that an expression compares with the user
// name or with groups, as a whole or in part, and that no name in lower case
// can equal or contain.
func upperCaseTexts(root ast.NavigableExpr) []string {
	var all []string
	for _, call := range ast.MatchDescendants(root, ast.KindMatcher(ast.CallKind)) {
		for _, text := range comparedTexts(call) {
			if fold.Name(text) != text && !slices.Contains(all, text) {
				all = append(all, text)
			}
		}
	}
	return all
}

// comparedTexts returns the texts that a call compares with names of a person.
func comparedTexts(call ast.NavigableExpr) []string {
	operands := call.Children() // the target of a method first
	if len(operands) != 2 {
		return nil
	}
	a, b := operands[0], operands[1]
	switch call.AsCall().FunctionName() {
	case operators.Equals, operators.NotEquals, operators.In:
		if isPersonName(a) {
			return literalTexts(b)
		}
		if isPersonName(b) {
			return literalTexts(a)
		}
	case "startsWith", "endsWith", "contains":
		if isPersonName(a) {
			return literalTexts(b)
		}
	case "matches":
		if all := literalTexts(b); isPersonName(a) && len(all) == 1 {
			return regexpTexts(all[0])
		}
	}
	return nil
}

// isPersonName reports whether an expression is the user name, the groups, or
// one of them.
func isPersonName(e ast.NavigableExpr) bool {
	if e.Kind() == ast.CallKind && e.AsCall().FunctionName() == operators.Index {
		return isPersonName(e.Children()[0])
	}
	if e.Kind() != ast.IdentKind {
		return false
	}
	name := e.AsIdent()
	for child, parent := e, e; ; child = parent {
		var ok bool
		if parent, ok = child.Parent(); !ok {
			return name == "user" || name == "groups"
		}
		// In groups.exists(g, …) the variable g is one of the groups.
		if parent.Kind() != ast.ComprehensionKind {
			continue
		}
		switch loop := parent.AsComprehension(); {
		case loop.IterRange().ID() == child.ID():
		case name == loop.IterVar() && !loop.HasIterVar2():
			return isPersonName(parent.Children()[0])
		case name == loop.IterVar() || name == loop.AccuVar() || name == loop.IterVar2():
			return false
		}
	}
}

// literalTexts returns the text of a literal, or the texts of a list of
// literals.
func literalTexts(e ast.NavigableExpr) []string {
	switch e.Kind() {
	case ast.LiteralKind:
		if text, ok := e.AsLiteral().Value().(string); ok {
			return []string{text}
		}
	case ast.ListKind:
		var all []string
		for _, element := range e.Children() {
			all = append(all, literalTexts(element)...)
		}
		return all
	}
	return nil
}

// regexpTexts returns the literal texts in a regular expression that match in
// their own case only.
func regexpTexts(text string) []string {
	parsed, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return nil
	}
	var all []string
	var walk func(re *syntax.Regexp)
	walk = func(re *syntax.Regexp) {
		if re.Op == syntax.OpLiteral && re.Flags&syntax.FoldCase == 0 {
			all = append(all, string(re.Rune))
		}
		for _, sub := range re.Sub {
			walk(sub)
		}
	}
	walk(parsed)
	return all
}

// foldAll returns the texts folded to lower case.
func foldAll(texts []string) []string {
	var all []string
	for _, text := range texts {
		all = append(all, fold.Name(text))
	}
	return all
}
