package policy

import (
	"errors"
	"fmt"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/ext"

	"shorepass/registry"
)

// Limits of a condition. Cost is in CEL's own units, most of which take some tens of
// nanoseconds. At load it is estimated for a person of presumedItems groups and claims
// of that many values, presumedLength characters each; each evaluation counts its own
// and stops at the cost limit. Neither depends on the machine or its load, so that a
// condition cannot hold here and fail there.
const (
	maxEstimate    = 1_000_000 // of the estimate at load
	maxCost        = 100_000   // of one evaluation
	maxRequestCost = 2_000_000 // of all evaluations for one request
	evaluationCost = 20        // of an evaluation, besides the cost of its expression
	presumedItems  = 1000
	presumedLength = 128

	maxExpression = 4096 // characters of an expression
	maxRegexp     = 200  // instructions of a regular expression
	maxClaims     = 256 << 10
	maxText       = 16 << 10 // of one claim
	maxDepth      = 32       // of lists and objects within each other
)

const whenVariables = "the variables are user, groups, claims, provider, method, auth.acr, auth.amr, auth.time, request.service, request.address, request.time, request.repository, request.type and request.action"

// conditionCompiler compiles the when expressions of one policy. It caches the
// result by the text, since rules often share a condition.
type conditionCompiler struct {
	env   *cel.Env // nil before the first expression
	cache map[string]compiled
}

type compiled struct {
	condition *condition
	err       error
}

// condition is a compiled when expression. It is safe for concurrent use.
type condition struct {
	program    cel.Program
	claims     []claimPath // the claims that it names
	upperCase  []string    // texts with upper case that it compares with user or groups
	byResource bool        // it names the resource: it is evaluated for each
	byAction   bool        // it names the action: it is evaluated for each
	byOrigin   bool        // it names provider or method
	byRequest  bool        // it names some part of request
	partial    cel.Program // for partial evaluation; nil unless byOrigin or byRequest
}

// requestVariables are the variables that differ from request to request of one person.
var requestVariables = []string{"request.service", "request.address", "request.time", "request.repository", "request.type", "request.action"}

// newEnv returns CEL's environment: the declarations of what an expression may
// name. The parts of auth and request are variables with a dot in their names. So
// the type check finds a misspelt one, as it would not in a map, and no type of
// ours is needed.
func newEnv() (*cel.Env, error) {
	return cel.NewEnv(
		ext.Network(),
		cel.Variable("user", cel.StringType),
		cel.Variable("groups", cel.ListType(cel.StringType)),
		cel.Variable("claims", cel.MapType(cel.StringType, cel.DynType)),
		cel.Variable("provider", cel.StringType),
		cel.Variable("method", cel.StringType),
		cel.Variable("auth.acr", cel.StringType),
		cel.Variable("auth.amr", cel.ListType(cel.StringType)),
		cel.Variable("auth.time", cel.TimestampType),
		cel.Variable("request.service", cel.StringType),
		cel.Variable("request.address", ext.IPType),
		cel.Variable("request.time", cel.TimestampType),
		cel.Variable("request.repository", cel.StringType),
		cel.Variable("request.type", cel.StringType),
		cel.Variable("request.action", cel.StringType),
		cel.DefaultUTCTimeZone(true),
		cel.ParserExpressionSizeLimit(maxExpression),
		cel.RegexProgramSizeLimit(maxRegexp),
		cel.ASTValidators(cel.ValidateRegexLiterals(), cel.ValidateDurationLiterals(), cel.ValidateTimestampLiterals()),
	)
}

// compile parses, type-checks and compiles one expression. The error says where
// and what is wrong.
func (c *conditionCompiler) compile(text string) (*condition, error) {
	done, ok := c.cache[text]
	if ok {
		return done.condition, done.err
	}
	if c.env == nil {
		env, err := newEnv()
		if err != nil {
			return nil, fmt.Errorf("prepare CEL: %w", err)
		}
		c.env, c.cache = env, map[string]compiled{}
	}
	done.condition, done.err = c.build(text)
	c.cache[text] = done
	return done.condition, done.err
}

func (c *conditionCompiler) build(text string) (*condition, error) {
	checked, issues := c.env.Compile(text)
	if issues.Err() != nil {
		return nil, issuesError(issues, strings.Contains(text, "\n"))
	}
	if !checked.OutputType().IsExactType(cel.BoolType) {
		return nil, fmt.Errorf("gives %s where true or false is needed; compare it with something, as in claims.admin == true", checked.OutputType())
	}
	root := ast.NavigateAST(checked.NativeRep())
	if root.Kind() == ast.LiteralKind {
		return nil, fmt.Errorf("is always %v; write a condition, or leave the key out", root.AsLiteral())
	}
	if err := literalRegexps(root); err != nil {
		return nil, err
	}
	estimate, err := c.env.EstimateCost(checked, sizeEstimator{})
	if err != nil {
		return nil, fmt.Errorf("its cost cannot be estimated: %w", err)
	}
	if estimate.Max > maxEstimate {
		return nil, fmt.Errorf("may take too long (cost %d of %d, for a person of %d groups); go through a list once, not once for each element of another",
			estimate.Max, uint64(maxEstimate), presumedItems)
	}
	program, err := c.env.Program(checked, cel.EvalOptions(cel.OptOptimize), cel.CostLimit(maxCost))
	if err != nil {
		return nil, err
	}
	made := &condition{
		program: program, claims: claimPaths(root), upperCase: upperCaseTexts(root),
		byResource: namesVariable(root, "request.repository", "request.type"), byAction: namesVariable(root, "request.action"),
	}
	made.byOrigin, made.byRequest = namesVariable(root, "provider", "method"), namesVariable(root, requestVariables...)
	if made.byOrigin || made.byRequest {
		made.partial, err = c.env.Program(checked, cel.EvalOptions(cel.OptPartialEval), cel.CostLimit(maxCost))
	}
	return made, err
}

// issuesError turns CEL's report, which draws the line with a caret under it,
// into one line of text. It depends on the library's words, since its errors
// have no kinds; testdata/faults/when.txtar fails when these words change.
func issuesError(issues *cel.Issues, lines bool) error {
	var all []error
	for _, e := range issues.Errors() {
		where := fmt.Sprintf("column %d", e.Location.Column()+1)
		if lines {
			where = fmt.Sprintf("line %d, %s", e.Location.Line(), where)
		}
		message := strings.TrimSuffix(e.Message, " (in container '')")
		if strings.HasPrefix(message, "undeclared reference") {
			message += "; " + whenVariables
		}
		all = append(all, fmt.Errorf("%s: %s", where, message))
	}
	return errors.Join(all...)
}

// literalRegexps refuses an expression whose regular expression comes from a
// claim: the person could choose how long the evaluation takes.
func literalRegexps(root ast.NavigableExpr) error {
	for _, call := range ast.MatchDescendants(root, ast.FunctionMatcher("matches")) {
		args := call.AsCall().Args()
		if args[len(args)-1].Kind() != ast.LiteralKind {
			return errors.New("takes the regular expression of matches from elsewhere; write it out in quotes")
		}
	}
	return nil
}

// claimPaths returns the claims that an expression names: realm_access, roles
// for claims.realm_access.roles.
func claimPaths(root ast.NavigableExpr) []claimPath {
	var paths []claimPath
	for _, e := range ast.MatchDescendants(root, func(e ast.NavigableExpr) bool {
		return e.Kind() == ast.IdentKind && e.AsIdent() == "claims"
	}) {
		var path claimPath
		for parent, ok := e.Parent(); ok; parent, ok = parent.Parent() {
			name, isStep := selectedName(parent)
			if !isStep {
				break
			}
			path = append(path, name)
		}
		if len(path) > 0 {
			paths = append(paths, path)
		}
	}
	return paths
}

// selectedName returns the name that an expression selects from its operand: x
// of .x, has(….x) and ["x"].
func selectedName(e ast.NavigableExpr) (string, bool) {
	if e.Kind() == ast.SelectKind {
		return e.AsSelect().FieldName(), true
	}
	if e.Kind() == ast.CallKind && e.AsCall().FunctionName() == operators.Index {
		if key := e.AsCall().Args()[1]; key.Kind() == ast.LiteralKind {
			name, ok := key.AsLiteral().Value().(string)
			return name, ok
		}
	}
	return "", false
}

// sizeEstimator tells CEL's cost estimate how large the variables are presumed
// to be.
type sizeEstimator struct{}

func (sizeEstimator) EstimateCallCost(_, _ string, _ *cost.AstNode, _ []cost.AstNode) *cost.CallEstimate {
	return nil
}

func (sizeEstimator) EstimateSize(node cost.AstNode) *cost.SizeEstimate {
	switch path := node.Path(); {
	case len(path) == 0:
		return nil
	case len(path) == 1 && (path[0] == "groups" || path[0] == "auth.amr"), path[0] == "claims":
		return &cost.SizeEstimate{Min: 0, Max: presumedItems}
	case path[0] == "request.repository":
		return &cost.SizeEstimate{Min: 0, Max: registry.MaxName}
	}
	return &cost.SizeEstimate{Min: 0, Max: presumedLength}
}

// namesAction reports whether there is a condition and it names the action.
func (c *condition) namesAction() bool { return c != nil && c.byAction }

// holds evaluates the condition for one request and returns the cost too.
func (c *condition) holds(a *activation) (holds bool, spent uint64, err error) {
	a.missing = ""
	out, details, err := c.program.Eval(a)
	if actual := details.ActualCost(); actual != nil {
		spent = *actual
	}
	switch {
	case err != nil && a.missing != "":
		return false, spent, errors.New(a.missing)
	case err != nil:
		return false, spent, err
	}
	value, ok := out.Value().(bool)
	if !ok {
		return false, spent, fmt.Errorf("gives %s where true or false is needed", out.Type())
	}
	return value, spent, nil
}
