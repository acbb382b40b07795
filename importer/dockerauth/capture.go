package dockerauth

import (
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
)

// maxCaptured bounds the account names of which every part is tried.
const maxCaptured = 128

// ownByNameCapture returns the drafts of an entry whose account needs what a group of
// the name's expression matched, for one static user: with each part of the user's name
// with which the account matches, in the place of the group. complete is false if the
// group could match in more than one way.
func (t *aclTranslation) ownByNameCapture(e *aclEntry, kinds []string, who principal) (all []draft, complete bool) {
	group := nameCapture(e)
	if group == 0 || len(who.name) > maxCaptured || e.service != nil && e.service.fromRequest() {
		return nil, false
	}
	split, ok := splitAtGroup(e.name.text[1:len(e.name.text)-1], group)
	if !ok {
		return nil, false
	}
	var names []expression
	for _, part := range parts(who.name) {
		if !split.group.MatchString(part) {
			continue
		}
		made, valid := e.account.fill(func(v variable) (string, bool) {
			if v.kind == capture && v.field == "name" {
				return part, true
			}
			return t.value(e, v, who, kinds[0], nil)
		})
		if valid && len(made.holes) == 0 && t.matches(made, who.name) {
			names = append(names, expression{source: split.before + regexp.QuoteMeta(part) + split.after})
		}
	}
	var s subject
	s.people(who)
	d := draft{types: kinds}
	s.apply(&d)
	d.address(e)
	if !t.service(e, &d) {
		return nil, false
	}
	return t.namesOf(names, d, nil)
}

// nameCapture returns the group of the name that the account has, if that is the only
// thing in the entry that needs the request.
func nameCapture(e *aclEntry) (group int) {
	if e.name == nil || !e.name.regexp || e.account == nil || e.name.has(accountName, typeName, repositoryName, serviceName, labelValue, capture) {
		return 0
	}
	for _, c := range e.labels {
		if c.pattern.fromRequest() {
			return 0
		}
	}
	for _, one := range e.account.pieces {
		switch v := one.variable; {
		case !v.fromRequest() && v.kind != labelValue:
		case v.kind != capture || v.field != "name" || group != 0 && group != v.group:
			return 0
		default:
			group = v.group
		}
	}
	return group
}

// splitExpression is an expression around one of its groups.
type splitExpression struct {
	before, after string
	group         *regexp.Regexp
}

// splitAtGroup splits an expression at a group that can match in one way only: text at
// the beginning, then the group, a run of characters of a class, then the end or a
// character that is not of the class.
func splitAtGroup(source string, group int) (s splitExpression, ok bool) {
	re, err := syntax.Parse(source, syntax.Perl)
	if err != nil || re.Op != syntax.OpConcat || re.Sub[0].Op != syntax.OpBeginText {
		return s, false
	}
	at := slices.IndexFunc(re.Sub, func(sub *syntax.Regexp) bool { return sub.Op == syntax.OpCapture && sub.Cap == group })
	if at < 0 || at+1 >= len(re.Sub) {
		return s, false
	}
	for _, sub := range re.Sub[1:at] {
		if sub.Op != syntax.OpLiteral {
			return s, false
		}
	}
	run, next := re.Sub[at].Sub[0], re.Sub[at+1]
	if run.Op != syntax.OpPlus && run.Op != syntax.OpStar || run.Sub[0].Op != syntax.OpCharClass {
		return s, false
	}
	if next.Op != syntax.OpEndText && (next.Op != syntax.OpLiteral || next.Flags&syntax.FoldCase != 0 || inClass(run.Sub[0].Rune, next.Rune[0])) {
		return s, false
	}
	join := func(subs []*syntax.Regexp) string {
		var b strings.Builder
		for _, sub := range subs {
			b.WriteString(sub.String())
		}
		return b.String()
	}
	s.before, s.after = join(re.Sub[:at]), join(re.Sub[at+1:])
	s.group = regexp.MustCompile("^(?:" + run.String() + ")$")
	return s, true
}

// parts returns the different substrings of a text.
func parts(text string) []string {
	seen := map[string]bool{"": true}
	all := []string{""}
	for i := range len(text) {
		for j := i + 1; j <= len(text); j++ {
			if part := text[i:j]; !seen[part] {
				seen[part] = true
				all = append(all, part)
			}
		}
	}
	return all
}
