package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"shorepass/registry"
)

// Limits bound what a token may be used for, whatever the rules grant its
// person: the keys of a [Rule] of these names, with the meaning that they have
// there, without placeholders. A key that is left out limits nothing, but for
// types, whose default is that of a rule. Limits never grant.
type Limits struct {
	services     []glob
	types        []glob
	repositories []glob
	actions      []string // nil for every action
}

// FormatLimits returns the text of limits for the type "repository": the counterpart of
// [ParseLimits], for what a person chose. A nil list limits nothing; an empty one, and a
// glob that can match no repository, are errors. Without any list the text is empty.
func FormatLimits(services, repositories, actions []string) (string, error) {
	keys := make(map[string][]string)
	for name, list := range map[string][]string{"services": services, "repositories": repositories, "actions": actions} {
		if list != nil {
			keys[name] = list
		}
	}
	if len(keys) == 0 {
		return "", nil
	}
	text, err := json.Marshal(keys)
	if err != nil {
		return "", err
	}
	limits, err := ParseLimits(string(text))
	if err != nil {
		return "", err
	}
	for i, g := range limits.repositories {
		if problem := whyImpossible(g, true); problem != "" {
			return "", fmt.Errorf("repositories[%d]: %q %s", i, repositories[i], problem)
		}
	}
	return string(text), nil
}

// maxLimits bounds the text of limits in bytes, because it is parsed at each
// use of a token.
const maxLimits = 8 << 10

// ParseLimits parses limits, an object of JSON:
//
//	{"services": ["registry"], "types": ["repository"], "repositories": ["team-a/**"], "actions": ["pull"]}
//
// An empty text gives nil, which limits nothing. The error says what would be
// right.
func ParseLimits(text string) (*Limits, error) {
	if text == "" {
		return nil, nil
	}
	if len(text) > maxLimits {
		return nil, fmt.Errorf("the limits have %d bytes, %d at most are possible", len(text), maxLimits)
	}
	var keys struct {
		Services     []string `json:"services"`
		Types        []string `json:"types"`
		Repositories []string `json:"repositories"`
		Actions      []string `json:"actions"`
	}
	decoder := json.NewDecoder(bytes.NewReader([]byte(text)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&keys); err != nil {
		return nil, fmt.Errorf("read the limits: %w", err)
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, errors.New("read the limits: there is more than one object")
	}
	if keys.Types == nil {
		keys.Types = []string{"repository"}
	}
	l := &Limits{actions: keys.Actions}
	for _, key := range []struct {
		name  string
		kind  nameKind
		texts []string
		globs *[]glob
	}{
		{"services", plainName, keys.Services, &l.services},
		{"types", plainName, keys.Types, &l.types},
		{"repositories", pathName, keys.Repositories, &l.repositories},
	} {
		if err := parseLimit(key.name, key.kind, key.texts, key.globs); err != nil {
			return nil, err
		}
	}
	return l, checkActions(keys.Actions)
}

// parseLimit parses one key of limits.
func parseLimit(name string, kind nameKind, texts []string, globs *[]glob) error {
	if texts != nil && len(texts) == 0 {
		return fmt.Errorf("%s: the list is empty, so the token would be good for nothing; name something, or leave the key out", name)
	}
	for i, text := range texts {
		g, err := parseGlob(text, kind)
		switch {
		case err != nil:
			return fmt.Errorf("%s[%d]: %q %w", name, i, text, err)
		case g.has(userName), g.has(groupName), g.has(claimValue):
			return fmt.Errorf("%s[%d]: %q has a placeholder, which limits do not fill", name, i, text)
		}
		*globs = append(*globs, g)
	}
	return nil
}

func checkActions(actions []string) error {
	if actions != nil && len(actions) == 0 {
		return errors.New("actions: the list is empty, so the token would be good for nothing; name something, or leave the key out")
	}
	if i := slices.Index(actions, ""); i >= 0 {
		return fmt.Errorf(`actions[%d]: "" is not an action; write "pull", "push", "delete", or "*" for every action asked`, i)
	}
	return nil
}

// Narrow returns a decision for a service, narrowed to what the limits name.
// The verdicts of the rules stay. Nil limits narrow nothing.
func (l *Limits) Narrow(service string, d Decision) Decision {
	if l == nil {
		return d
	}
	granted := d.Access
	d.Access = nil
	if l.services != nil && !matchAny(l.services, service) {
		return d
	}
	for _, access := range granted {
		if access.Actions = l.narrow(&access); len(access.Actions) > 0 {
			d.Access = append(d.Access, access)
		}
	}
	return d
}

// narrow returns the actions of a granted resource that the limits name. "*" is
// named by "*" alone.
func (l *Limits) narrow(access *registry.Access) []string {
	kind, name := ruledResource(access.Type, access.Class, access.Name)
	if !matchAny(l.types, kind) || l.repositories != nil && !matchAny(l.repositories, name) {
		return nil
	}
	if l.actions == nil || slices.Contains(l.actions, "*") {
		return access.Actions
	}
	var named []string
	for _, action := range access.Actions {
		if slices.Contains(l.actions, action) {
			named = append(named, action)
		}
	}
	return named
}
