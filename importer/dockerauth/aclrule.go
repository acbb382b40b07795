package dockerauth

import (
	"fmt"
	"slices"
	"strings"

	"shorepass/policy"
)

// aclRule is a rule of ours, with what its order needs to know of it.
type aclRule struct {
	policy.Rule
	entry               *aclEntry
	loggedIn, anonymous bool       // whom it covers
	shape               []string   // globs that match each name that the rule covers
	unnamed             bool       // the other rule of its entry stands for it in unless
	parsed              []pathGlob // the cached globs of shape
	guards              []string   // conditions that are false where a placeholder cannot be filled
	compared            string     // the placeholder whose values guards compare with the name, if they do
	doubt               string     // why it denies what its entry does not grant; empty if it is the entry itself
	spared              []string   // with doubt: the actions that the entry grants
}

// add adds the rules of an entry.
func (t *aclTranslation) add(e *aclEntry, drafts []draft) {
	granted, effect := t.grants(e)
	if e.failed {
		granted, effect = []string{"*"}, "deny"
	}
	for i, d := range drafts {
		name := fmt.Sprintf("acl %d", e.number)
		if len(drafts) > 1 {
			name += fmt.Sprintf(".%d", i+1)
		}
		r := &aclRule{entry: e, shape: d.shape, guards: d.guards, compared: d.compared, Rule: policy.Rule{
			Name: name, Effect: effect, Users: d.users, Groups: d.groups, Services: d.services,
			Types: d.types, Repositories: d.repositories, Actions: granted, When: strings.Join(d.when, " && "),
		}}
		if d.doubt != "" && !e.failed {
			r.denyInDoubt(d.doubt, granted)
		}
		r.anonymous = slices.Contains(d.groups, anonymous)
		r.loggedIn = !r.anonymous || len(d.groups) > 1
		if slices.Equal(d.types, []string{"repository"}) {
			r.Types = nil
		}
		t.rules = append(t.rules, r)
		if r.Effect == "" && len(e.Actions) > 1 && slices.Contains(e.Actions, "*") && slices.Contains(d.types, "registry") {
			t.rules = append(t.rules, r.asterisk())
		}
	}
}

// denyInDoubt makes a rule one that denies all but what its entry grants.
func (r *aclRule) denyInDoubt(why string, granted []string) {
	r.doubt, r.Actions = why, []string{"*"}
	if r.Effect == "" {
		r.spared = granted
		r.When = strings.TrimPrefix(r.When+" && !(request.action in "+celList(granted)+")", " && ")
	}
	r.Effect = "deny"
}

// exceeds reports whether an allow rule grants more than some actions.
func (r *aclRule) exceeds(actions []string) bool {
	return slices.ContainsFunc(r.Actions, func(action string) bool { return !slices.Contains(actions, action) })
}

// asterisk returns the rule for the action "*" itself, which registries ask for the
// catalog, of an entry that has it beside other actions: there it is no wildcard.
func (r *aclRule) asterisk() *aclRule {
	only := *r
	only.Name += " *"
	only.Types, only.Actions = []string{"registry"}, []string{"*"}
	only.When = strings.TrimPrefix(r.When+` && request.action == "*"`, " && ")
	only.unnamed = true
	return &only
}

// comment returns what stands above a rule.
func (r *aclRule) comment() string {
	if r.doubt == "" {
		return r.entry.comment()
	}
	return fmt.Sprintf("Line %d, in doubt: %s.", r.entry.Line, r.doubt)
}

func (r *aclRule) types() []string {
	if r.Types == nil {
		return []string{"repository"}
	}
	return r.Types
}

// grants returns the actions of an entry's rules and their effect.
func (t *aclTranslation) grants(e *aclEntry) (actions []string, effect string) {
	if len(e.Actions) == 1 && e.Actions[0] == "*" {
		return []string{"*"}, ""
	}
	for _, action := range e.Actions {
		if t.isAction(action) && !slices.Contains(actions, action) {
			actions = append(actions, action)
		}
	}
	if actions == nil {
		return []string{"*"}, "deny"
	}
	return actions, ""
}

// narrows reports whether some later entry grants more than an entry.
func (t *aclTranslation) narrows(e *aclEntry) bool {
	granted, effect := t.grants(e)
	if effect == "deny" {
		granted = nil
	}
	return !slices.Contains(granted, "*") && slices.ContainsFunc(t.entries[e.number:], func(later aclEntry) bool {
		return slices.ContainsFunc(later.Actions, func(action string) bool { return !slices.Contains(granted, action) })
	})
}

// maxActions bounds the different actions that rules name; check takes 60.
const maxActions = 50

// isAction reports whether a registry may ask for an action, and check takes it.
func (t *aclTranslation) isAction(action string) bool {
	known, done := t.actions[action]
	if !done {
		known = action != "*" && len(t.actions) < maxActions
		rule := policy.Rule{Groups: []string{authenticated}, Repositories: []string{"**"}, Actions: []string{action}}
		policy.Compile([]policy.Rule{rule}, func(string, string) { known = false })
		t.actions[action] = known
	}
	return known
}
