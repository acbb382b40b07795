package dockerauth

import (
	"net/netip"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// This is a model of docker_auth's decision: the first entry that matches decides. It is
// written from the description of its language and from recorded answers, has none of
// the translation, and answers requests directly. The recorded answers hold it to the
// real program (TestModelAnswersAsRecorded); the property test holds the translation to
// it.

// modelRequest is a request as docker_auth's authorizer sees it, with one scope.
type modelRequest struct {
	account, kind, name, service string
	address                      netip.Addr
	labels                       map[string][]string
	actions                      []string
}

// model is an ACL. With data set, captures and labels are text and not patterns but
// where a whole field is one label, an empty account fills no variable, and a variable
// without a value never matches: what we change.
type model struct {
	entries []entry
	data    bool
}

// decide returns the granted actions, and the entry that decided, from 1.
func (m model) decide(q modelRequest) (granted []string, entry int) {
	for i, e := range m.entries {
		if !m.matches(e.Match, q) {
			continue
		}
		if len(e.Actions) == 1 && e.Actions[0] == "*" {
			return q.actions, i + 1
		}
		for _, a := range q.actions {
			if slices.Contains(e.Actions, a) && !slices.Contains(granted, a) {
				granted = append(granted, a)
			}
		}
		return granted, i + 1
	}
	return nil, 0
}

// modelField is a condition with the value it is for.
type modelField struct {
	pattern *string
	value   string
}

func (m model) matches(c match, q modelRequest) bool {
	fields := map[string]modelField{
		"account": {c.Account, q.account}, "type": {c.Type, q.kind}, "name": {c.Name, q.name}, "service": {c.Service, q.service},
	}
	values := map[string]string{"${account}": q.account, "${type}": q.kind, "${name}": q.name, "${service}": q.service}
	quoted := map[string]bool{"${account}": true, "${type}": true, "${name}": true, "${service}": true}
	for _, f := range fields {
		if f.pattern == nil {
			continue
		}
		for _, found := range regexp.MustCompile(`\$\{(.+?):(\d+)\}`).FindAllStringSubmatch(*f.pattern, -1) {
			source, group := fields[found[1]], 0
			group, _ = strconv.Atoi(found[2])
			if source.pattern == nil || !modelIsRegexp(*source.pattern) {
				continue
			}
			text := (*source.pattern)[1 : len(*source.pattern)-1]
			re, err := regexp.Compile(text)
			if err != nil {
				continue
			}
			if got := re.FindStringSubmatch(source.value); got != nil && group > 0 && group < len(got) {
				values[found[0]], quoted[found[0]] = got[group], m.data
			}
		}
	}
	for _, f := range fields {
		if !m.fieldMatches(f, values, quoted, q) {
			return false
		}
	}
	for label, pattern := range c.Labels {
		if !slices.ContainsFunc(q.labels[label], func(v string) bool {
			return m.textMatches(pattern, v, values, quoted)
		}) {
			return false
		}
	}
	return modelAddressMatches(c.IP, q.address)
}

func modelIsRegexp(text string) bool {
	return len(text) > 2 && strings.HasPrefix(text, "/") && strings.HasSuffix(text, "/")
}

// fieldMatches tries the pattern of a field with each combination of label values.
func (m model) fieldMatches(f modelField, values map[string]string, quoted map[string]bool, q modelRequest) bool {
	if f.pattern == nil {
		return true
	}
	if !(m.data && strings.Contains(*f.pattern, "${labels:")) && m.textMatches(*f.pattern, f.value, values, quoted) {
		return true
	}
	var labels []string
	for label := range q.labels {
		if strings.Contains(*f.pattern, "${labels:"+label+"}") {
			labels = append(labels, label)
		}
	}
	if len(labels) == 0 {
		return false
	}
	slices.Sort(labels)
	whole := len(labels) == 1 && *f.pattern == "${labels:"+labels[0]+"}"
	var try func(rest []string, values map[string]string) bool
	try = func(rest []string, values map[string]string) bool {
		if len(rest) == 0 {
			return m.textMatches(*f.pattern, f.value, values, quoted)
		}
		key := "${labels:" + rest[0] + "}"
		for _, v := range q.labels[rest[0]] {
			values[key] = v
			quoted[key] = m.data && !whole
			if try(rest[1:], values) {
				return true
			}
		}
		return false
	}
	copied := map[string]string{}
	for k, v := range values {
		copied[k] = v
	}
	return try(labels, copied)
}

// textMatches replaces variables in one pass and matches.
func (m model) textMatches(pattern, text string, values map[string]string, quoted map[string]bool) bool {
	var pairs []string
	for key, value := range values {
		if quoted[key] {
			if !m.data || modelIsRegexp(pattern) {
				value = regexp.QuoteMeta(value)
			} else {
				value = quoteForGlob(value)
			}
		}
		pairs = append(pairs, key, value)
	}
	p := strings.NewReplacer(pairs...).Replace(pattern)
	if m.data && values["${account}"] == "" && strings.Contains(pattern, "${account") && pattern != "${account}" {
		return false
	}
	if modelIsRegexp(p) {
		re, err := regexp.Compile(p[1 : len(p)-1])
		return err == nil && re.MatchString(text)
	}
	ok, err := path.Match(p, text)
	return err == nil && ok
}

func quoteForGlob(text string) string {
	return regexp.MustCompile(`[][*?\\^-]`).ReplaceAllString(text, `\$0`)
}

func modelAddressMatches(text *string, a netip.Addr) bool {
	if text == nil {
		return true
	}
	a = a.Unmap()
	if p, err := netip.ParsePrefix(*text); err == nil {
		if p.Addr().Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		return p.Contains(a)
	}
	want, err := netip.ParseAddr(*text)
	return err == nil && want.Unmap() == a
}
