package dockerauth

import (
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"shorepass/internal/fold"
	"shorepass/policy"
)

// translateACL translates an ACL, of which the first entry that matches decides, into
// rules whose order does not matter. who are the people whom the rules are for.
//
// A rule has the keys of its entry, and unless names the rules of earlier entries that
// may cover the same requests and grant less. An entry without actions becomes a deny
// rule. Where an entry says something of a person that our keys cannot, the rule is
// written out for each static user. What has no equal at all is denied where the
// entry may match, so that no later entry takes its place.
func translateACL(entries []Entry, who Identities) ([]Rule, []Finding) {
	t := newACLTranslation(entries, who)
	t.reportUsers()
	for i := range t.entries {
		t.translate(&t.entries[i])
	}
	rules := t.ordered()
	slices.SortStableFunc(t.findings, func(a, b Finding) int { return a.Line - b.Line })
	return rules, t.findings
}

// aclTranslation is the state of one translation.
type aclTranslation struct {
	who       Identities
	people    []principal // the static users
	anonymous *principal  // nil if requests without credentials are refused
	labels    map[string]bool
	types     []string // the types of resources that entries may be about

	entries  []aclEntry
	rules    []*aclRule
	findings []Finding

	// Indexes and caches.
	byName, byFoldedName map[string][]principal
	covered              map[string][]principal // by personKey
	compiled             map[string]*regexp.Regexp
	byComponent          map[string][]*aclEntry // the entries so far, by firstComponent
	possibleNames        map[string]bool
	actions              map[string]bool // whether a registry may ask for it
}

// aclEntry is an entry with its patterns parsed.
type aclEntry struct {
	Entry
	number                       int // from 1
	account, kind, name, service *pattern
	labels                       []labelCondition // sorted by label
	captures                     map[string]variable
	network                      netip.Prefix // of ip; the zero Prefix if there is none
	failed                       bool         // it has no equal, so its rules deny
}

// labelCondition is a condition on one label: some value of it matches.
type labelCondition struct {
	label   string
	pattern *pattern
}

func newACLTranslation(entries []Entry, who Identities) *aclTranslation {
	t := &aclTranslation{
		who: who, labels: map[string]bool{}, byName: map[string][]principal{}, byFoldedName: map[string][]principal{},
		covered: map[string][]principal{}, compiled: map[string]*regexp.Regexp{}, byComponent: map[string][]*aclEntry{}, possibleNames: map[string]bool{}, actions: map[string]bool{},
	}
	for _, u := range who.Users {
		p := principal{name: u.Name, labels: u.Labels}
		t.people = append(t.people, p)
		t.byName[u.Name] = append(t.byName[u.Name], p)
		t.byFoldedName[fold.Name(u.Name)] = append(t.byFoldedName[fold.Name(u.Name)], p)
		for label, values := range u.Labels {
			t.labels[label] = t.labels[label] || len(values) > 0
		}
	}
	if who.Anonymous {
		t.anonymous = &principal{anonymous: true, labels: who.AnonymousLabels}
	}
	for _, label := range who.DirectoryLabels {
		t.labels[label] = true
	}
	t.types = []string{"repository", "registry"}
	for i, e := range entries {
		t.entries = append(t.entries, parseEntry(i+1, e))
		if kind := e.Match.Type; kind != nil && typeSyntax.MatchString(*kind) && !slices.Contains(t.types, *kind) {
			t.types = append(t.types, *kind)
		}
	}
	return t
}

// typeSyntax is that of a type of resource.
var typeSyntax = regexp.MustCompile(`^[a-z0-9]{1,64}$`)

// parseEntry parses the patterns of an entry.
func parseEntry(number int, e Entry) aclEntry {
	out := aclEntry{Entry: e, number: number, captures: parseCaptures(&e.Match)}
	for _, f := range []struct {
		text *string
		to   **pattern
	}{{e.Match.Account, &out.account}, {e.Match.Type, &out.kind}, {e.Match.Name, &out.name}, {e.Match.Service, &out.service}} {
		if f.text != nil {
			*f.to = parsePattern(*f.text, out.captures)
		}
	}
	for _, f := range []struct {
		p    **pattern
		self variableKind
	}{{&out.account, accountName}, {&out.kind, typeName}, {&out.name, repositoryName}, {&out.service, serviceName}} {
		if (*f.p).isOnly(f.self) {
			*f.p = nil // a field is always itself
		}
	}
	for _, label := range slices.Sorted(maps.Keys(e.Match.Labels)) {
		out.labels = append(out.labels, labelCondition{label, parsePattern(e.Match.Labels[label], out.captures).withoutLabels()})
	}
	return out
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

// note adds a finding about an entry.
func (t *aclTranslation) note(line int, severity Severity, format string, args ...any) {
	t.findings = append(t.findings, Finding{Line: line, Severity: severity, Text: fmt.Sprintf(format, args...)})
}

// aclRule is a rule of ours, with what its order needs to know of it.
type aclRule struct {
	policy.Rule
	entry               *aclEntry
	loggedIn, anonymous bool       // whom it covers
	shape               []string   // globs that match each name that the rule covers
	unnamed             bool       // the other rule of its entry stands for it in unless
	parsed              [][]symbol // the cached positions of shape
	guards              []string   // conditions that are false where a placeholder cannot be filled
}

// draft is a rule in the making: the keys that entries become.
type draft struct {
	users, groups []string
	types         []string
	services      []string
	repositories  []string
	shape         []string
	when          []string
	guards        []string
}

// translate translates one entry into its rules.
func (t *aclTranslation) translate(e *aclEntry) {
	if !t.checkSyntax(e) {
		return
	}
	if hidden := t.hiddenBy(e); hidden != nil {
		t.note(e.Line, Lost, "the entry%s is never reached: that of line %d matches all its requests", e.remark(), hidden.Line)
		return
	}
	var drafts []draft
	for _, kinds := range t.kinds(e) {
		drafts = append(drafts, t.loggedIn(e, kinds)...)
		if t.anonymous != nil {
			drafts = append(drafts, t.withoutCredentials(e, kinds)...)
		}
	}
	if len(drafts) == 0 {
		t.note(e.Line, Lost, "the entry%s never matches: %s", e.remark(), t.whyNever(e))
		return
	}
	t.report(e)
	if e.failed {
		drafts = slices.DeleteFunc(drafts, func(d draft) bool { return !d.reserved() || len(d.when) > 0 })
	}
	t.add(e, mergeDrafts(drafts))
}

// remark returns the comment of an entry in parentheses, to tell it in a finding.
func (e *aclEntry) remark() string {
	if e.Comment == "" {
		return ""
	}
	return " (" + e.Comment + ")"
}

// kinds returns the types that an entry is for, those together for which it says the
// same.
func (t *aclTranslation) kinds(e *aclEntry) [][]string {
	if e.kind.usesAccount() || e.kind.has(labelValue) || e.kind.fromRequest() || e.mentionsType() {
		var all [][]string
		for _, kind := range t.types {
			if t.typeMatches(e, kind) {
				all = append(all, []string{kind})
			}
		}
		return all
	}
	var same []string
	for _, kind := range t.types {
		if t.typeMatches(e, kind) {
			same = append(same, kind)
		}
	}
	if same == nil {
		return nil
	}
	return [][]string{same}
}

// mentionsType reports whether some pattern has the type, or a capture of it.
func (e *aclEntry) mentionsType() bool {
	patterns := []*pattern{e.account, e.name, e.service}
	for _, c := range e.labels {
		patterns = append(patterns, c.pattern)
	}
	return slices.ContainsFunc(patterns, func(p *pattern) bool {
		return p != nil && slices.ContainsFunc(p.pieces, func(one piece) bool {
			return one.variable.kind == typeName || one.variable.kind == capture && one.variable.field == "type"
		})
	})
}

// typeMatches reports whether the type of an entry may match a type.
func (t *aclTranslation) typeMatches(e *aclEntry, kind string) bool {
	if e.kind == nil || e.kind.usesAccount() || e.kind.has(labelValue) || e.kind.fromRequest() {
		return true
	}
	return t.anyMatches(e, e.kind, principal{}, kind, []string{kind})
}

// mergeDrafts merges drafts that differ in their people or types alone.
func mergeDrafts(drafts []draft) []draft {
	var all []draft
	for _, d := range drafts {
		i := slices.IndexFunc(all, func(other draft) bool { return other.mergeable(&d) })
		if i < 0 {
			all = append(all, d)
			continue
		}
		m := &all[i]
		for _, lists := range []struct{ to, from *[]string }{{&m.users, &d.users}, {&m.groups, &d.groups}, {&m.types, &d.types}} {
			for _, one := range *lists.from {
				if !slices.Contains(*lists.to, one) {
					*lists.to = append(*lists.to, one)
				}
			}
		}
	}
	return all
}

// mergeable reports whether two drafts say the same of other users, of people and
// requests without credentials, or of other types.
func (d *draft) mergeable(other *draft) bool {
	sameRest := slices.Equal(d.services, other.services) && slices.Equal(d.repositories, other.repositories) &&
		slices.Equal(d.when, other.when)
	samePeople := slices.Equal(d.users, other.users) && slices.Equal(d.groups, other.groups)
	sameTypes := slices.Equal(d.types, other.types)
	onlyUsers := d.groups == nil && other.groups == nil
	everyone := d.users == nil && other.users == nil && d.reserved() && other.reserved()
	return sameRest && (samePeople || sameTypes && (onlyUsers || everyone))
}

// reserved reports whether a draft is for people who logged in or for requests without
// credentials, and nothing else.
func (d *draft) reserved() bool {
	return !slices.ContainsFunc(d.groups, func(g string) bool { return g != authenticated && g != anonymous })
}

// The groups that our policy reserves.
const (
	authenticated = "authenticated"
	anonymous     = "anonymous"
)

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
		r := &aclRule{entry: e, shape: d.shape, guards: d.guards, Rule: policy.Rule{
			Name: name, Effect: effect, Users: d.users, Groups: d.groups, Services: d.services,
			Types: d.types, Repositories: d.repositories, Actions: granted, When: strings.Join(d.when, " && "),
		}}
		r.anonymous = slices.Contains(d.groups, anonymous)
		r.loggedIn = !r.anonymous || len(d.groups) > 1
		if slices.Equal(d.types, []string{"repository"}) {
			r.Types = nil
		}
		t.rules = append(t.rules, r)
		if effect == "" && len(e.Actions) > 1 && slices.Contains(e.Actions, "*") && slices.Contains(d.types, "registry") {
			t.rules = append(t.rules, r.asterisk())
		}
	}
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
