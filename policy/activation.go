package policy

import (
	"cel.dev/cel-go/cel"

	"shorepass/internal/fold"
	"shorepass/registry"
)

// activation is CEL's activation: the variables of one request. It is made when
// a condition is first evaluated, and gets the resource and the action of each
// evaluation.
type activation struct {
	req       *Request
	user      string
	groups    []string
	claimsFit bool   // the claims are within the size limits
	missing   string // why a variable has no value in this evaluation

	scope  *registry.Scope // the resource of this evaluation
	action string          // the action of this evaluation
}

// newActivation returns the variables. The names of a provider that ignores
// case are folded to lower case, so that one spelling in a condition is right
// for all of its people.
func newActivation(req *Request) *activation {
	a := &activation{req: req, user: req.User, groups: req.Groups}
	if req.Anonymous {
		a.req = &Request{Anonymous: true, Service: req.Service, Address: req.Address, Time: req.Time}
		a.user, a.groups = "", []string{anonymous}
	} else if req.FoldsCase {
		a.user, a.groups = fold.Name(req.User), make([]string, len(req.Groups))
		for i, name := range req.Groups {
			a.groups[i] = fold.Name(name)
		}
	}
	return a
}

// ResolveName returns the value of a variable. An unknown one, such as the
// address, has no value, so that an expression that needs it fails.
func (a *activation) ResolveName(name string) (any, bool) {
	switch name {
	case "user":
		return a.user, true
	case "groups":
		return a.valueOr(a.groups, len(a.req.Unsure) == 0, "not all groups of the person are known")
	case "claims":
		return a.claimsValue()
	case "provider":
		return a.req.Provider, true
	case "method":
		return a.req.Method, true
	case "auth.acr":
		return a.req.ACR, true
	case "auth.amr":
		return a.req.AMR, true
	case "auth.time":
		return a.valueOr(a.req.AuthTime, !a.req.AuthTime.IsZero(), "the time of the login is not known")
	case "request.service":
		return a.req.Service, true
	case "request.address":
		// Mapped and zoned addresses are refused by containsIP.
		return a.valueOr(a.req.Address.Unmap().WithZone(""), a.req.Address.IsValid(), "the address of the request is not known")
	case "request.time":
		return a.valueOr(a.req.Time, !a.req.Time.IsZero(), "the time of the request is not known")
	case "request.repository":
		return a.scope.Name, true
	case "request.type":
		return a.scope.Type, true
	case "request.action":
		return a.action, true
	}
	return nil, false
}

// valueOr returns the value, or notes why the variable has none.
func (a *activation) valueOr(value any, ok bool, missing string) (any, bool) {
	if !ok {
		a.missing = missing
	}
	return value, ok
}

// Parent is part of cel.Activation; there is no outer scope.
func (a *activation) Parent() cel.Activation { return nil }

// claimsValue returns the claims, unless they are too large for conditions.
func (a *activation) claimsValue() (any, bool) {
	if !a.claimsFit && deductSize(a.req.Claims, maxClaims, maxDepth) < 0 {
		return a.valueOr(nil, false, "the claims are too large or nested too deep")
	}
	a.claimsFit = true
	if a.req.Claims == nil {
		return map[string]any{}, true
	}
	return a.req.Claims, true
}

// deductSize deducts the size of a claim's value from budget, and returns the
// rest, which is negative if the value does not fit. CEL counts the cost of one
// call, such as the comparison of two long texts, only after the call, so that
// the size of operands must be bounded before.
func deductSize(value any, budget, depth int) int {
	if depth < 0 {
		return -1
	}
	switch v := value.(type) {
	case string:
		if len(v) > maxText {
			return -1
		}
		budget -= len(v)
	case []string:
		for _, s := range v {
			if budget = deductSize(s, budget-1, depth-1); budget < 0 {
				return budget
			}
		}
	case []any:
		for _, e := range v {
			if budget = deductSize(e, budget-1, depth-1); budget < 0 {
				return budget
			}
		}
	case map[string]any:
		for k, e := range v {
			if budget = deductSize(e, budget-len(k), depth-1); budget < 0 {
				return budget
			}
		}
	}
	return budget
}
