package pages

import (
	"encoding/json"
	"strings"
)

// tokenLimits are the limits of a personal access token as [policy.ParseLimits] reads them.
// What is nil limits nothing.
type tokenLimits struct {
	Services     []string `json:"services,omitempty"`
	Repositories []string `json:"repositories,omitempty"`
	Actions      []string `json:"actions,omitempty"`
}

// text returns the limits as they are stored.
func (l tokenLimits) text() string {
	text, err := json.Marshal(l)
	if err != nil {
		panic(err) // lists of strings can always be marshalled
	}
	return string(text)
}

// describeLimits returns the stored limits of a session as a list shows them:
// "registry.corp.example, team-a/**, pull". It is empty without limits.
func (p *Pages) describeLimits(t *texts, text string) string {
	if text == "" {
		return ""
	}
	var l tokenLimits
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
