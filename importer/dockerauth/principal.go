package dockerauth

import (
	"regexp"
	"slices"
)

// principal is the subject of a request whose name and labels the file has: a static
// user, or a request without credentials.
type principal struct {
	name      string
	anonymous bool
	labels    map[string][]string
}

// maxFanOut bounds the combinations of label values in one pattern for one person.
const maxFanOut = 4096

// matches reports whether an expression without holes is found in a text.
func (t *aclTranslation) matches(e expression, text string) bool {
	re, ok := t.compiled[e.source]
	if !ok {
		re = regexp.MustCompile(e.source)
		t.compiled[e.source] = re
	}
	return re.MatchString(text)
}

// expressions returns the pattern for a person and a type of resource: with each
// combination of the values of its labels. There are none if a label is missing or a
// capture has no value. Only variables that come from the request are holes. ok is false
// if there are too many.
func (t *aclTranslation) expressions(e *aclEntry, p *pattern, who principal, kind string) (all []expression, ok bool) {
	if label, whole := p.wholeLabel(); whole {
		for _, value := range who.labels[label] {
			if made, ok := parsePattern(value, nil).literalVariables().fill(noValue); ok {
				all = append(all, made)
			}
		}
		return all, true
	}
	combinations, ok := combine(p, who.labels)
	if !ok {
		return nil, false
	}
	for _, labels := range combinations {
		missing := false
		made, valid := p.fill(func(v variable) (string, bool) {
			text, known := t.value(e, v, who, kind, labels)
			missing = missing || !known && !v.fromRequest()
			return text, known
		})
		if valid && !missing {
			all = append(all, made)
		}
	}
	return all, true
}

func noValue(variable) (string, bool) { return "", false }

// literalVariables returns the pattern without variables: what looks like one is text.
func (p *pattern) literalVariables() *pattern {
	text := p.text
	if p.regexp {
		text = text[1 : len(text)-1]
	}
	return &pattern{text: p.text, regexp: p.regexp, pieces: []piece{{text: text}}}
}

// fromRequest reports whether the value of a variable is known only with a request.
func (v variable) fromRequest() bool {
	return v.kind == repositoryName || v.kind == serviceName ||
		v.kind == capture && (v.field == "name" || v.field == "service")
}

// value returns the value of a variable for a person and a type of resource.
func (t *aclTranslation) value(e *aclEntry, v variable, who principal, kind string, labels map[string]string) (string, bool) {
	switch v.kind {
	case accountName:
		return who.name, true
	case typeName:
		return kind, true
	case labelValue:
		text, ok := labels[v.name]
		return text, ok
	case capture:
		source, text := e.Match.Account, who.name
		if v.field == "type" {
			source, text = e.Match.Type, kind
		} else if v.field != "account" {
			return "", false
		}
		found := t.regexp((*source)[1 : len(*source)-1]).FindStringSubmatch(text)
		if found == nil {
			return "", false
		}
		return found[v.group], true
	}
	return "", false
}

func (t *aclTranslation) regexp(source string) *regexp.Regexp {
	t.matches(expression{source: source}, "")
	return t.compiled[source]
}

// combine returns each combination of the values of the labels in a pattern, one
// empty combination if there are no labels.
func combine(p *pattern, labels map[string][]string) (all []map[string]string, ok bool) {
	all = []map[string]string{{}}
	done := map[string]bool{}
	for _, one := range p.pieces {
		name := one.variable.name
		if one.variable.kind != labelValue || done[name] {
			continue
		}
		done[name] = true
		var next []map[string]string
		for _, combination := range all {
			for _, value := range labels[name] {
				more := map[string]string{name: value}
				for k, v := range combination {
					more[k] = v
				}
				next = append(next, more)
			}
		}
		if all = next; len(all) > maxFanOut {
			return nil, false
		}
	}
	return all, true
}

// covers reports whether an entry's conditions on the person hold, as docker_auth
// decides them. Conditions that need the request are taken as true.
func (t *aclTranslation) covers(e *aclEntry, who principal, kind string) bool {
	if who.anonymous && e.account.fromRequest() {
		return false // an empty name is none
	}
	if e.account != nil && !t.anyMatches(e, e.account, who, kind, []string{who.name}) {
		return false
	}
	for _, c := range e.labels {
		if !t.anyMatches(e, c.pattern, who, kind, who.labels[c.label]) {
			return false
		}
	}
	return true
}

// anyMatches reports whether a pattern matches one of some texts. Labels are filled
// in but in label conditions, whose pattern has them as text.
func (t *aclTranslation) anyMatches(e *aclEntry, p *pattern, who principal, kind string, texts []string) bool {
	if p.fromRequest() {
		return len(texts) > 0
	}
	if c := p.fixed(); c != nil {
		return c.valid && slices.ContainsFunc(texts, func(text string) bool { return t.constantMatches(c, text) })
	}
	all, _ := t.expressions(e, p, who, kind)
	return slices.ContainsFunc(all, func(x expression) bool {
		return slices.ContainsFunc(texts, func(text string) bool { return t.matches(x, text) })
	})
}

// constantMatches reports whether the expression of a constant is found in a text.
func (t *aclTranslation) constantMatches(c *constant, text string) bool {
	if c.literals != nil {
		return slices.Contains(c.literals, text)
	}
	return t.matches(c.expression, text)
}

// fromRequest reports whether a pattern has a variable that is known only with a
// request.
func (p *pattern) fromRequest() bool {
	return p != nil && slices.ContainsFunc(p.pieces, func(one piece) bool { return one.variable.fromRequest() })
}

// usesAccount reports whether a pattern has a value that comes from the account.
func (p *pattern) usesAccount() bool {
	return p != nil && slices.ContainsFunc(p.pieces, func(one piece) bool {
		return one.variable.kind == accountName || one.variable.kind == capture && one.variable.field == "account"
	})
}
