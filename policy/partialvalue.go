package policy

import (
	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
)

// partialValue is what a condition evaluates to where the person is known and the request is
// not.
type partialValue int

const (
	never   partialValue = iota // false
	fails                       // it has no value
	depends                     // the request decides, or it was not evaluated
	always                      // true
)

// actionsByValue returns the actions of a rule by how its condition evaluates for them. "*"
// stands for every action, also where some of them are named beside it. It is nil where the
// condition is false whichever the action.
func (d *decider) actionsByValue(r *rule) map[partialValue][]string {
	if r.when == nil || !r.when.byAction {
		value := d.evalForPerson(r.when, "")
		if value == never {
			return nil
		}
		return map[partialValue][]string{value: r.actionTexts()}
	}
	all := make(map[partialValue][]string)
	for _, action := range d.policy.actions {
		if r.hasAction(d.policy.actionBit(action), action) {
			value := d.evalForPerson(r.when, action)
			all[value] = append(all[value], action)
		}
	}
	switch value := d.evalForPerson(r.when, ""); {
	case !r.star || value == never:
	case value == depends:
		all[value] = []string{"*"}
	default:
		return map[partialValue][]string{value: {"*"}}
	}
	return all
}

// actionTexts returns the actions key, each action once.
func (r *rule) actionTexts() []string {
	if r.star {
		return []string{"*"}
	}
	return sortedActions(r.Actions)
}

// evalForPerson evaluates a condition with what is known of the person; nil holds. action is
// "" where it is not known.
func (d *decider) evalForPerson(c *condition, action string) partialValue {
	switch {
	case c == nil:
		return always
	case c.byRequest:
		return d.evalPartially(c, action)
	}
	switch got := d.evalCondition(c, action); {
	case got.holds:
		return always
	case got.fault == overBudget:
		return depends
	case got.fault != "":
		return fails
	}
	return never
}

// evalPartially is evalForPerson for a condition that names the request: CEL's partial
// evaluation, with the parts of the request unknown.
func (d *decider) evalPartially(c *condition, action string) partialValue {
	if d.spent > maxRequestCost {
		return depends
	}
	var unknown []*cel.AttributePatternType
	for _, name := range requestVariables {
		if name != "request.action" || action == "" {
			unknown = append(unknown, cel.AttributePattern(name))
		}
	}
	d.prepareActivation(action)
	known, err := cel.PartialVars(d.activation, unknown...)
	if err != nil {
		return depends
	}
	out, details, err := c.partial.Eval(known)
	if cost := details.ActualCost(); cost != nil {
		d.spent += *cost
	}
	d.spent += evaluationCost
	switch {
	case err != nil:
		return fails
	case out == types.True:
		return always
	case out == types.False:
		return never
	}
	return depends
}

// coversPerson returns whether a rule that an unless names covers the person, for some
// resource at least.
func (d *decider) coversPerson(r *rule) partialValue {
	if d.personMismatch(r, d.identity.possible, noKey) != noKey {
		return never
	}
	value := d.evalForPerson(r.when, "")
	known := d.personMismatch(r, d.identity.sure, noKey) == noKey && d.identity.possible == d.identity.sure && d.placeholderFault(r, d.identity.sure, true) == ""
	if value == always && !known || value == fails {
		return depends
	}
	return value
}
