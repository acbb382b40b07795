package dockerauth

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

// labelPlaceholder matches a label in a field of an entry.
var labelPlaceholder = regexp.MustCompile(`\$\{labels:([^}]*)\}`)

// resolveLabels decides what each label of the directory becomes: groups, or a claim,
// which has the name of its attribute here. Users and entries then have the new names,
// so that the ACL is translated as if the labels had been called so.
func (t *translation) resolveLabels() {
	if t.file.ldap == nil {
		return
	}
	names := make(map[string]string) // by label
	for _, source := range t.file.ldap.labels {
		if name, ok := t.resolveLabel(source); ok {
			names[source.label] = name
		}
	}
	t.checkLabelNames(names)
	rename := func(label string) string {
		if name, ok := names[label]; ok {
			return name
		}
		return label
	}
	for i, u := range t.file.users {
		labels := make(map[string][]string, len(u.Labels))
		for label, values := range u.Labels {
			labels[rename(label)] = append(labels[rename(label)], values...)
		}
		t.file.users[i].Labels = labels
	}
	for i := range t.file.entries {
		e := &t.file.entries[i]
		before := len(e.Match.Labels)
		if renameInMatch(&e.Match, rename); len(e.Match.Labels) < before {
			t.r.add(e.Line, Refused, "two labels of this match have one attribute in the directory, and only one condition on it can be translated; write one")
		}
	}
}

// resolveLabel returns what a label is called here, if the directory can fill it.
func (t *translation) resolveLabel(source labelSource) (name string, ok bool) {
	isMemberOf := strings.EqualFold(source.attribute, "memberOf")
	shortNames := slices.ContainsFunc(t.file.ldap.labels, func(s labelSource) bool { return s.attribute == source.attribute && s.parseCN })
	switch {
	case source.attribute == "":
		t.r.add(source.line, Refused, "no login to docker_auth succeeds: the label %q has no attribute", source.label)
		return "", false
	case isMemberOf && source.attribute != "memberOf":
		t.r.add(source.line, Noted, "docker_auth finds nothing under %q, which the directory calls memberOf, so no person has the label %q; here neither", source.attribute, source.label)
		return "", false
	case isMemberOf && shortNames:
		t.resolveGroupLabel(source)
		return t.groupLabel, true
	case source.parseCN && t.isUsed(source.label):
		t.r.add(source.line, Refused, "the label %q is the common name in the DNs of %q, which has no equal; remove the entries that use it, or take memberOf", source.label, source.attribute)
	}
	if source.lowerCase && !slices.Contains(t.lowerCase, source.attribute) {
		t.lowerCase = append(t.lowerCase, source.attribute)
	}
	if !slices.Contains(t.claims, source.attribute) {
		t.claims = append(t.claims, source.attribute)
	}
	if source.label != source.attribute {
		t.r.add(source.line, Noted, "rules have the label %q as claims.%s, by the name of its attribute", source.label, source.attribute)
	}
	return source.attribute, true
}

// resolveGroupLabel makes the values of memberOf the person's groups.
func (t *translation) resolveGroupLabel(source labelSource) {
	if t.groupLabel == "" {
		t.groupLabel = source.label
		if source.lowerCase {
			t.lowerCase = append(t.lowerCase, t.groupLabel)
		}
		t.r.add(source.line, Noted, "the label %q becomes the person's groups. CHANGE groups.base: groups elsewhere are ignored, and of two groups with one name neither allows anything", source.label)
		if !source.lowerCase {
			t.r.add(source.line, Changed, "docker_auth compares the label %q with case; names of groups are compared without", source.label)
		}
		return
	}
	t.r.add(source.line, Noted, "the labels %q and %q have one attribute, and docker_auth gives both the same values; both become the person's groups", t.groupLabel, source.label)
}

// checkLabelNames refuses a label of users that would become one with a label of the
// directory.
func (t *translation) checkLabelNames(names map[string]string) {
	taken := slices.Sorted(maps.Values(names))
	for _, u := range t.file.users {
		for _, label := range slices.Sorted(maps.Keys(u.Labels)) {
			if _, renamed := names[label]; !renamed && slices.Contains(taken, label) {
				t.addFor(u, Refused, "the label %q of the user %q would become one with another label, whose attribute in the directory has that name; rename it", label, u.Name)
			}
		}
	}
}

// isUsed reports whether an entry needs a label.
func (t *translation) isUsed(label string) bool {
	return slices.ContainsFunc(t.file.entries, func(e entry) bool {
		used := false
		renameInMatch(&e.Match, func(name string) string {
			used = used || name == label
			return name
		})
		return used
	})
}

// renameInMatch renames the labels of a match. It changes neither the texts nor the map
// that the match had.
func renameInMatch(m *match, rename func(string) string) {
	replace := func(text string) string {
		return labelPlaceholder.ReplaceAllStringFunc(text, func(found string) string {
			return "${labels:" + rename(labelPlaceholder.FindStringSubmatch(found)[1]) + "}"
		})
	}
	for _, field := range []**string{&m.Account, &m.Type, &m.Name, &m.Service} {
		if *field != nil {
			text := replace(**field)
			*field = &text
		}
	}
	if m.Labels == nil {
		return
	}
	labels := make(map[string]string, len(m.Labels))
	for label, pattern := range m.Labels {
		labels[rename(label)] = replace(pattern)
	}
	m.Labels = labels
}
