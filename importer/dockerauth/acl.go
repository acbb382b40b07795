package dockerauth

import (
	"fmt"
	"regexp"
	"slices"

	"shorepass/internal/fold"
)

// translateACL translates an ACL, of which the first entry that matches decides, into
// rules whose order does not matter. who are the people whom the rules are for.
//
// A rule has the keys of its entry, and unless names the rules of earlier entries that
// may cover the same requests and grant less. An entry without actions becomes a deny
// rule. Where an entry says something of a person that our keys cannot, the rule is
// written out for each static user. What has no equal at all is denied where the
// entry may match, so that no later entry takes its place.
func translateACL(entries []entry, who identities) ([]commentedRule, []Finding) {
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
	who       identities
	people    []principal // the static users
	anonymous *principal  // nil if requests without credentials are refused
	labels    map[string]bool
	types     []string // the types of resources that entries may be about

	entries  []aclEntry
	rules    []*aclRule
	findings []Finding

	writtenOutFor int // the users for whom entries are written out, see maxWrittenOut

	// Indexes and caches.
	byName, byFoldedName map[string][]principal
	covered              map[string][]principal // by personKey
	compiled             map[string]*regexp.Regexp
	byComponent          map[string][]*aclEntry // the entries so far, by firstComponent
	possibleNames        map[string]bool
	actions              map[string]bool // whether a registry may ask for it
}

func newACLTranslation(entries []entry, who identities) *aclTranslation {
	t := &aclTranslation{
		who:           who,
		labels:        map[string]bool{},
		types:         []string{"repository", "registry"},
		byName:        map[string][]principal{},
		byFoldedName:  map[string][]principal{},
		covered:       map[string][]principal{},
		compiled:      map[string]*regexp.Regexp{},
		byComponent:   map[string][]*aclEntry{},
		possibleNames: map[string]bool{},
		actions:       map[string]bool{},
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

// note adds a finding about an entry.
func (t *aclTranslation) note(line int, severity Severity, format string, args ...any) {
	t.findings = append(t.findings, Finding{Line: line, Severity: severity, Text: fmt.Sprintf(format, args...)})
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
		drafts = append(drafts, t.unfillable(e, kinds)...)
		if t.anonymous != nil {
			drafts = append(drafts, t.withoutCredentials(e, kinds)...)
			drafts = append(drafts, t.withoutAccount(e, kinds)...)
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
		if t.typeMatches(e, kind) && !(kind == "registry" && t.neverCatalog(e)) {
			same = append(same, kind)
		}
	}
	if same == nil {
		return nil
	}
	return [][]string{same}
}

// neverCatalog reports whether an entry without a type has a name that is not that of the
// catalog, the only resource of the type registry.
func (t *aclTranslation) neverCatalog(e *aclEntry) bool {
	catalog := symbols("catalog", pathName)
	return e.kind == nil && !slices.ContainsFunc(t.widest(e, t.types), func(glob string) bool {
		return globsMeet(symbols(glob, pathName), catalog)
	})
}

// typeMatches reports whether the type of an entry may match a type.
func (t *aclTranslation) typeMatches(e *aclEntry, kind string) bool {
	if e.kind == nil || e.kind.usesAccount() || e.kind.has(labelValue) || e.kind.fromRequest() {
		return true
	}
	return t.anyMatches(e, e.kind, principal{}, kind, []string{kind})
}
