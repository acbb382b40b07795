package dockerauth

import (
	"slices"
	"strings"

	"shorepass/internal/fold"
)

// withoutAccount returns the drafts that deny requests without credentials what an entry
// covers by an empty account: "x${account}y" is "xy" to docker_auth. The entry grants
// them nothing here, and no later one may take its place.
func (t *aclTranslation) withoutAccount(e *aclEntry, kinds []string) []draft {
	who := *t.anonymous
	if e.failed || !t.narrows(e) || !e.usesAccount() || !t.covers(e, who, kinds[0]) {
		return nil
	}
	all, complete := t.own(e, kinds, who, false)
	if !complete {
		widest := t.widest(e, kinds)
		if widest == nil {
			return nil
		}
		all = []draft{{types: kinds, groups: []string{anonymous}, repositories: widest, shape: widest}}
	}
	for i := range all {
		all[i].doubt = "docker_auth fills ${account} with nothing for requests without credentials"
	}
	return all
}

// unfillable returns the drafts that deny people of a directory what an entry covers by
// a value that fills no placeholder here and is part of a name to docker_auth: one with
// a slash, a pattern, or one with capitals that docker_auth turns into lower case.
func (t *aclTranslation) unfillable(e *aclEntry, kinds []string) []draft {
	if !t.who.Directory || e.failed || !t.narrows(e) || !e.name.has(accountName, labelValue) {
		return nil
	}
	s, ok := t.subject(e)
	if !ok || s.never != "" {
		return nil
	}
	d := draft{types: kinds, doubt: "a value with a slash, one that is a pattern, or one with capitals that docker_auth turns into lower case fills no placeholder here"}
	s.apply(&d)
	var values []string
	for _, one := range e.name.pieces {
		switch v := one.variable; {
		case v.kind == accountName:
			values = append(values, partOfName("user"))
		case v.kind == labelValue && slices.Contains(t.who.DirectoryLabels, v.name):
			values = append(values, t.claimExists(v.name, "v", t.unfillableValue(e, v.name)))
		}
	}
	slices.Sort(values)
	values = slices.Compact(values)
	d.repositories = t.widest(e, kinds)
	d.address(e)
	if values == nil || d.repositories == nil || !t.service(e, &d) {
		return nil
	}
	d.shape = d.repositories
	d.when = append(d.when, "("+strings.Join(values, " || ")+")")
	if own := t.ownNames(e, kinds[0]); own != nil {
		d.when = append(d.when, "!(user in "+celList(own)+")")
	}
	return []draft{d}
}

// unfillableValue returns the condition that the value v of a label is part of a name to
// docker_auth, or may be, and fills no placeholder.
func (t *aclTranslation) unfillableValue(e *aclEntry, label string) string {
	special := `*?\[\\`
	if e.name.regexp {
		special += `(|)+^${}`
	}
	switch {
	case label == t.who.GroupLabel:
		return "v.matches(" + celRegexp("["+special+"]") + ") || " + partOfName("v")
	case slices.Contains(t.who.LowerCaseLabels, label):
		special += `A-Z\x{212A}`
	}
	return "v.matches(" + celRegexp("[/"+special+"]") + ")" // looking for a claim in the name takes too long
}

// partOfName returns the condition that a value with a slash is a part of the name.
func partOfName(value string) string {
	return value + `.contains("/") && request.repository.contains(` + value + ")"
}

// ownNames returns the static users for whom an entry is written out.
func (t *aclTranslation) ownNames(e *aclEntry, kind string) []string {
	var names []string
	for _, who := range t.coveredPeople(e, kind) {
		if t.needsOwn(e, who) {
			names = append(names, fold.Name(who.name))
		}
	}
	return names
}
