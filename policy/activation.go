package policy

import (
	"cel.dev/cel-go/cel"

	"shorepass/internal/fold"
)

// activation are the variables of one request, made when a condition first asks.
type activation struct {
	req       *Request
	user      string
	groups    []string
	claimsFit bool   // whether the claims were found small enough to be looked at
	missing   string // why a variable has no value, for this evaluation
}

// newActivation returns the variables. The names of a provider that ignores case are
// lower case there, so that one spelling of a text in a condition is right for
// all of its people.
func newActivation(req *Request) *activation {
	f := &activation{req: req, user: req.User, groups: req.Groups}
	if req.Anonymous {
		f.req = &Request{Anonymous: true, Service: req.Service, Address: req.Address, Time: req.Time}
		f.user, f.groups = "", []string{anonymous}
	} else if req.FoldsCase {
		f.user, f.groups = fold.Name(req.User), make([]string, len(req.Groups))
		for i, name := range req.Groups {
			f.groups[i] = fold.Name(name)
		}
	}
	return f
}

// ResolveName returns the value of a variable. One that is not known, such as the
// address, has none, so that an expression which needs it fails.
func (f *activation) ResolveName(name string) (any, bool) {
	switch name {
	case "user":
		return f.user, true
	case "groups":
		return f.valueOr(f.groups, len(f.req.Unsure) == 0, "not all groups of the person are known")
	case "claims":
		return f.claimsValue()
	case "provider":
		return f.req.Provider, true
	case "method":
		return f.req.Method, true
	case "request.service":
		return f.req.Service, true
	case "request.address":
		// Mapped and zoned addresses are refused by containsIP.
		return f.valueOr(f.req.Address.Unmap().WithZone(""), f.req.Address.IsValid(), "the address of the request is not known")
	case "request.time":
		return f.valueOr(f.req.Time, !f.req.Time.IsZero(), "the time of the request is not known")
	}
	return nil, false
}

func (f *activation) valueOr(value any, ok bool, otherwise string) (any, bool) {
	if !ok {
		f.missing = otherwise
	}
	return value, ok
}

// Parent is part of cel.Activation; there is no outer scope.
func (f *activation) Parent() cel.Activation { return nil }

func (f *activation) claimsValue() (any, bool) {
	if !f.claimsFit && deductSize(f.req.Claims, maxClaims, maxDepth) < 0 {
		return f.valueOr(nil, false, "the claims are too large or nested too deep")
	}
	f.claimsFit = true
	if f.req.Claims == nil {
		return map[string]any{}, true
	}
	return f.req.Claims, true
}

// deductSize takes the size of a claim's value off room, and returns what is left,
// or less than 0 when it does not fit. A single call of CEL, such as an
// equality of two long texts, is counted only after it was made, so that its
// operands must be bounded before.
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
