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
	parts = append(parts, l.Repositories...)
	return strings.Join(append(parts, l.Actions...), ", ")
}
