package pages

import (
	"encoding/json"
	"strings"
)

// describeLimits returns the stored limits of a session as a list shows them:
// "registry.corp.example, team-a/**, pull". It is empty without limits.
func (p *Pages) describeLimits(t *texts, text string) string {
	if text == "" {
		return ""
	}
	var l struct{ Services, Repositories, Actions []string }
	if err := json.Unmarshal([]byte(text), &l); err != nil {
		return text
	}
	var parts []string
	for _, service := range l.Services {
		parts = append(parts, p.host(service))
	}
	if l.Repositories == nil {
		parts = append(parts, t.get("token.repositories.all"))
	}
	if len(l.Repositories) > 0 {
		parts = append(parts, t.list(l.Repositories))
	}
	return strings.Join(append(parts, l.Actions...), ", ")
}

// maxListText bounds what a page writes out of a list of globs, in bytes: a rule or a token
// may have hundreds, and a page stays small.
const maxListText = 120

// list returns texts separated by commas: as many as fit in maxListText, but at least one,
// and the number of the others.
func (t *texts) list(all []string) string {
	length := 0
	for i, one := range all {
		if length += len(one) + len(", "); i > 0 && length > maxListText {
			return strings.Join(all[:i], ", ") + ", " + t.get("list.more", len(all)-i)
		}
	}
	return strings.Join(all, ", ")
}
