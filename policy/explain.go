package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"shorepass/registry"
)

// Explanation says for each scope of a request what is granted, by which rules,
// and why the rest is denied. It agrees with [Policy.Decide], from which it is
// made.
type Explanation struct {
	User   string           `json:"user,omitempty"` // empty without credentials
	Groups []string         `json:"groups,omitempty"`
	Unsure []string         `json:"unsure,omitempty"` // groups that the person may be in; UnsureAll for any
	Scopes []ExplainedScope `json:"scopes"`
}

// ExplainedScope is the explanation of one scope.
type ExplainedScope struct {
	Scope   string            `json:"scope"` // "repository:team-a/app"
	Granted []string          `json:"granted"`
	Actions []ExplainedAction `json:"actions"`
	Faults  []Verdict         `json:"faults,omitempty"` // the rules that failed
	Near    []NearRule        `json:"near,omitempty"`   // near misses: allow rules that would give what no rule gives, but for one key
	More    int               `json:"more,omitempty"`   // the number of further near misses
}

// ExplainedAction says which rules give and take one action. It is granted if
// some rule gives it and none takes it.
type ExplainedAction struct {
	Action  string   `json:"action"`
	Granted bool     `json:"granted"`
	GivenBy []string `json:"given_by,omitempty"`
	TakenBy []string `json:"taken_by,omitempty"`
}

// NearRule is a near miss: an allow rule of which exactly one key does not
// match.
type NearRule struct {
	Rule string `json:"rule"`
	Key  string `json:"key"` // the key that does not match: "groups"
	Why  string `json:"why"`
}

// maxNear bounds the near misses of one scope.
const maxNear = 5

// Explain returns what req is granted, and why no more. Unlike Decide it
// evaluates every rule, and is too slow for the path of a request.
func (p *Policy) Explain(req Request) Explanation {
	e := Explanation{User: req.User, Groups: req.Groups, Unsure: req.Unsure}
	if req.Anonymous {
		e = Explanation{Groups: []string{anonymous}}
	}
	d := p.newDecider(&req)
	for i := range req.Scopes {
		e.Scopes = append(e.Scopes, d.explain(&req.Scopes[i]))
	}
	return e
}

// GrantsAll reports whether every requested action is granted.
func (e Explanation) GrantsAll() bool {
	return !slices.ContainsFunc(e.Scopes, func(s ExplainedScope) bool {
		return slices.ContainsFunc(s.Actions, func(a ExplainedAction) bool { return !a.Granted })
	})
}

// explain decides and explains the next scope of the request.
func (d *decider) explain(scope *registry.Scope) ExplainedScope {
	s := ExplainedScope{Scope: scopeName(scope), Granted: []string{}}
	s.Granted = append(s.Granted, d.decide(scope)...)
	rules := d.verdicts(nil)
	var order []string
	for _, v := range rules {
		if v.Fault != "" {
			s.Faults = append(s.Faults, v)
		}
		order = append(order, v.Actions...)
	}
	denied := false
	for _, action := range actionsToExplain(scope.Actions, order) {
		a := ExplainedAction{Action: action, Granted: slices.Contains(s.Granted, action)}
		for _, v := range rules {
			has := slices.Contains(v.Actions, action)
			takes := v.Effect == deny && (has || action == "*") // any deny rule that matches takes "*"
			if takes && !slices.Contains(a.TakenBy, v.Rule) {
				a.TakenBy = append(a.TakenBy, v.Rule)
			} else if has && !takes {
				a.GivenBy = append(a.GivenBy, v.Rule)
			}
		}
		denied = denied || !a.Granted && a.TakenBy == nil
		s.Actions = append(s.Actions, a)
	}
	if denied {
		s.Near, s.More = d.policy.nearMisses(*d.req, scope, s.Actions)
	}
	return s
}

// actionsToExplain lists the actions to explain: those asked, and for "*" those
// that it is expanded to, and "*" last.
func actionsToExplain(asked, named []string) []string {
	if slices.Contains(asked, "*") {
		named = slices.Concat([]string{"pull", "push", "delete"}, named)
	} else {
		named = nil
	}
	var all []string
	for _, action := range slices.Concat(asked, named) {
		if action != "" && action != "*" && !slices.Contains(all, action) {
			all = append(all, action)
		}
	}
	if slices.Contains(asked, "*") {
		all = append(all, "*")
	}
	return all
}

// nearMisses returns the near misses for the actions that no rule gives or
// takes, those that miss least first, and the number of those left out.
func (p *Policy) nearMisses(req Request, scope *registry.Scope, actions []ExplainedAction) (all []NearRule, more int) {
	var wanted []string
	for _, a := range actions {
		if !a.Granted && a.TakenBy == nil {
			wanted = append(wanted, a.Action)
		}
	}
	d := decider{policy: p, req: &req, identity: p.identity(&req)}
	ruled := asRuled(scope)
	d.setScope(&registry.Scope{Type: ruled.Type, Name: ruled.Name, Actions: wanted})
	d.noteAllNamed()
	ranked := map[key][]NearRule{}
	for _, r := range p.rules {
		if r.deny {
			continue
		}
		if k := d.singleMismatch(r); k != noKey {
			ranked[k] = append(ranked[k], NearRule{r.Name, k.String(), d.requirement(r, k)})
		}
	}
	for _, k := range []key{keyUnless, keyWhen, keyActions, keyServices, keyProviders, keyTypes, keyGroups, keyUsers, keyRepositories} {
		all = append(all, ranked[k]...)
	}
	n := min(len(all), maxNear)
	return all[:n], len(all) - n
}

// singleMismatch returns the only key by which an allow rule does not match, or
// noKey. A rule that fails has none: it is among the faults where it might have
// matched.
func (d *decider) singleMismatch(r *rule) key {
	c := &candidate{r, r.patterns}
	k, _ := d.mismatch(c, noKey)
	if another, fault := d.mismatch(c, k); another != noKey || fault != "" {
		return noKey
	}
	return k
}

// requirement says what a rule requires of a key.
func (d *decider) requirement(r *rule, k key) string {
	switch k {
	case keyUnless:
		by := d.coveredForSome(r)
		return fmt.Sprintf("does not apply: unless names %q, which covers this", by.Name)
	case keyActions:
		return "gives only " + abbreviate(r.Actions)
	case keyWhen:
		return "has a condition that does not hold: " + r.When
	}
	wanted := map[key][]string{
		keyUsers: r.Users, keyGroups: r.Groups, keyTypes: r.Types, keyProviders: r.Providers,
		keyServices: r.Services, keyRepositories: r.Repositories,
	}
	return fmt.Sprintf("is for the %s %s", k, abbreviate(wanted[k]))
}

// abbreviate joins names, of which a few are enough.
func abbreviate(names []string) string {
	const enough = 6
	if len(names) > enough {
		return strings.Join(names[:enough], ", ") + fmt.Sprintf(" and %d more", len(names)-enough)
	}
	return strings.Join(names, ", ")
}

// String returns the explanation as text for a terminal. What cannot be printed
// is quoted.
func (e Explanation) String() string {
	var b strings.Builder
	person := "without credentials"
	if e.User != "" {
		person = printable(e.User)
	}
	if len(e.Groups) > 0 {
		person += ", in " + printable(abbreviate(e.Groups))
	}
	if slices.Contains(e.Unsure, UnsureAll) {
		person += ", perhaps in any other group"
	} else if len(e.Unsure) > 0 {
		person += ", perhaps in " + printable(abbreviate(e.Unsure))
	}
	fmt.Fprintln(&b, person)
	for _, s := range e.Scopes {
		fmt.Fprintln(&b, printable(s.Scope)+s.note())
		for _, a := range s.Actions {
			fmt.Fprintf(&b, "  %-7s %s\n", printable(a.Action), a.reason())
		}
		for _, v := range s.Faults {
			effect := "so it does not match"
			if v.Effect == deny {
				effect = "so it matches, being a deny rule"
			}
			fmt.Fprintf(&b, "  failed: %q: %s, %s\n", v.Rule, printable(v.Fault), effect)
		}
		for _, n := range s.Near {
			fmt.Fprintf(&b, "  near: %q %s\n", n.Rule, printable(n.Why))
		}
		if s.More > 0 {
			fmt.Fprintf(&b, "  near: and %d more\n", s.More)
		}
	}
	return b.String()
}

// note says which resource in the rules a scope without a name is.
func (s *ExplainedScope) note() string {
	if s.Scope != zotCatalogScope {
		return ""
	}
	return ` (zot's catalog; in rules: types = ["registry"], repositories = ["catalog"])`
}

func (a ExplainedAction) reason() string {
	switch {
	case a.Granted:
		return "granted by " + quotedList(a.GivenBy)
	case a.TakenBy != nil && a.GivenBy != nil:
		return fmt.Sprintf("denied: %s takes what %s gives", quotedList(a.TakenBy), quotedList(a.GivenBy))
	case a.TakenBy != nil:
		return "denied by " + quotedList(a.TakenBy)
	}
	return "denied: no rule gives it"
}

func quotedList(names []string) string {
	var all []string
	for _, n := range names {
		all = append(all, fmt.Sprintf("%q", n))
	}
	return strings.Join(all, ", ")
}

// printable quotes a text with control characters, to keep them off the
// terminal.
func printable(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(s)
	}
	return s
}
