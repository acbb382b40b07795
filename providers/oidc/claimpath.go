package oidc

import (
	"errors"
	"fmt"
	"strings"
)

// claimPath is the path to a claim in nested objects: one name for each level.
type claimPath []string

// parsePath parses a path of the configuration: a JSON pointer (RFC 6901) if it
// begins with "/", one name if it contains "://" (Auth0's namespaced claims are
// URLs), else names joined by dots. The meaning follows from the text alone,
// never from the claims, so that a person who can choose the name of a claim
// cannot change it.
func parsePath(text string) (claimPath, error) {
	switch {
	case strings.TrimSpace(text) == "":
		return nil, errors.New("name a claim")
	case strings.Contains(text, "://") && !strings.HasPrefix(text, "/"):
		return claimPath{text}, nil
	case !strings.HasPrefix(text, "/"):
		path := claimPath(strings.Split(text, "."))
		for _, name := range path {
			if name == "" {
				return nil, fmt.Errorf("%q has an empty step between its dots", text)
			}
		}
		return path, nil
	}
	var path claimPath
	for _, step := range strings.Split(text[1:], "/") {
		name, err := unescapePointer(step)
		if err != nil {
			return nil, fmt.Errorf("%q is not a JSON pointer: %w", text, err)
		}
		path = append(path, name)
	}
	return path, nil
}

// unescapePointer decodes "~1" to "/" and "~0" to "~" (RFC 6901, section 4).
func unescapePointer(step string) (string, error) {
	rest := strings.NewReplacer("~0", "", "~1", "").Replace(step)
	if strings.Contains(rest, "~") {
		return "", errors.New(`"~" is allowed only in "~0" and "~1"`)
	}
	return strings.NewReplacer("~1", "/", "~0", "~").Replace(step), nil
}

// String returns the path with dots, for messages.
func (p claimPath) String() string {
	return strings.Join(p, ".")
}

// resolve returns the value at the path, and whether there is one.
func (p claimPath) resolve(claims map[string]any) (any, bool) {
	var value any = claims
	for _, name := range p {
		object, ok := value.(map[string]any)
		if !ok {
			return nil, false
		}
		if value, ok = object[name]; !ok {
			return nil, false
		}
	}
	return value, len(p) > 0
}

// obstructed reports whether the path leads through a value that is not an
// object, so that the claim is not missing but unknown.
func (p claimPath) obstructed(claims map[string]any) bool {
	var value any = claims
	for _, name := range p {
		object, ok := value.(map[string]any)
		if !ok {
			return value != nil
		}
		if value, ok = object[name]; !ok {
			return false
		}
	}
	return false
}
