package dockerauth

import (
	"fmt"

	"go.yaml.in/yaml/v3"
)

// readEntries reads an acl. It returns false for a null, which is no acl.
func (r *reader) readEntries(n *yaml.Node) ([]entry, bool) {
	var entries []entry
	ok := r.list(n, "acl", func(element *yaml.Node) { entries = append(entries, r.readEntry(element.Line, element)) })
	return entries, ok
}

// readEntry reads an entry of an acl, and refuses one with which docker_auth does not
// start, dies at a request, or grants more than the entry says.
func (r *reader) readEntry(line int, n *yaml.Node) entry {
	e := entry{Line: line}
	if isNull(resolve(n)) {
		r.add(line, Refused, "docker_auth does not start: an entry of acl is empty")
		return e
	}
	what := fmt.Sprintf("the entry of line %d", line)
	var found *match
	r.table(n, what, map[string]tableKey{
		"match": {func(_ int, n *yaml.Node) { found = r.readMatch(n, found) }, true},
		"actions": {read: func(_ int, n *yaml.Node) {
			e.Actions = r.texts(n, "actions of "+what)
		}},
		"comment": {read: func(_ int, n *yaml.Node) { e.Comment, _ = r.text(n, "comment of "+what) }},
	})
	if found == nil {
		r.add(line, Refused, "docker_auth does not start: the entry has no match; write match: {} if every request is meant")
	} else {
		e.Match = *found
	}
	if e.Actions == nil {
		r.add(line, Refused, "the entry has no actions, and docker_auth answers nothing to a request that reaches it; write actions: [] to deny")
	}
	return e
}

// readMatch reads a match on top of an earlier one of the same entry. A null is none.
func (r *reader) readMatch(n *yaml.Node, m *match) *match {
	if isNull(resolve(n)) {
		return nil
	}
	if m == nil {
		m = &match{}
	}
	condition := func(to **string, key string) tableKey {
		return tableKey{read: func(line int, n *yaml.Node) {
			if isNull(resolve(n)) {
				r.add(line, Refused, "%s has no value in match, which docker_auth takes for no condition at all: everybody; remove the key, or write a value in quotes (\"\" is empty)", key)
				return
			}
			*to = r.optional(n, key+" in match")
		}}
	}
	r.tableOf(n, "match", map[string]tableKey{
		"account": condition(&m.Account, "account"),
		"type":    condition(&m.Type, "type"),
		"name":    condition(&m.Name, "name"),
		"service": condition(&m.Service, "service"),
		"ip":      condition(&m.IP, "ip"),
		"labels":  {func(line int, n *yaml.Node) { r.readConditions(line, n, m) }, true},
	}, func(p pair) {
		r.add(p.line, Refused, "docker_auth ignores %q in match, so that the entry matches everybody whom its other keys match; write account, type, name, service, ip or labels", p.key)
	})
	return m
}

// readConditions adds the label conditions of a match to those that are there.
func (r *reader) readConditions(line int, n *yaml.Node, m *match) {
	if isNull(resolve(n)) {
		r.add(line, Refused, "labels has no value in match, which docker_auth takes for no condition at all: everybody; remove the key, or write a label")
		return
	}
	pairs, _ := r.pairs(n, "labels in match")
	if m.Labels == nil {
		m.Labels = make(map[string]string)
	}
	first := make(map[string]pair)
	for _, p := range pairs {
		r.noteTwice(p, first, "labels in match", false)
		if text, ok := r.text(p.value, fmt.Sprintf("the label %q in match", p.key)); ok {
			m.Labels[p.key] = text
		}
	}
}
