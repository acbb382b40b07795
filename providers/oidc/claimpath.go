package oidc

import (
	"errors"
	"fmt"
	"strings"
)

// claimPath leads to one claim, a name a step.
type claimPath []string

// parsePath reads a path as the config writes it: a JSON pointer (RFC 6901)
// when it begins with "/", one name when it holds "://" (Auth0's namespaced
// claims are URLs), else names joined by dots. What it means follows from the
// text alone and never from the claims at hand, so that nobody who can name a
// claim of his own can make it mean something else.
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

// unescapePointer undoes "~1" for "/" and "~0" for "~" (RFC 6901, section 4).
func unescapePointer(step string) (string, error) {
	rest := strings.NewReplacer("~0", "", "~1", "").Replace(step)
	if strings.Contains(rest, "~") {
		return "", errors.New(`"~" is allowed only in "~0" and "~1"`)
	}
	return strings.NewReplacer("~1", "/", "~0", "~").Replace(step), nil
}

// String writes the path for messages.
func (p claimPath) String() string {
	return strings.Join(p, ".")
}

// in returns what the path leads to, or false.
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

// obstructed reports whether something that is no object stands where the path
// leads on, so that what it leads to is not missing but unknown.
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
