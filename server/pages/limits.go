package pages

import (
	"encoding/json"
	"strings"
	"time"

	"shorepass/session"
)

// tokenLimits are the limits of a personal access token as the form makes them. A nil list
// limits nothing.
type tokenLimits struct{ Services, Repositories, Actions []string }

// parseTokenLimits parses the stored limits of a session ([policy.ParseLimits]).
func parseTokenLimits(text string) (l tokenLimits, err error) {
	if text != "" {
		err = json.Unmarshal([]byte(text), &l)
	}
	return l, err
}

// describeLimits returns the stored limits of a session as a list shows them:
// "registry.corp.example, team-a/**, pull". It is empty without limits.
func (p *Pages) describeLimits(t *texts, text string) string {
	if text == "" {
		return ""
	}
	l, err := parseTokenLimits(text)
	if err != nil {
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

// askedToken returns what the form of a token asked for, for the audit line:
// "repository=team-a/**", "action=pull", "expires=2026-03-01T12:00:00Z".
func askedToken(pat session.PAT, now time.Time) []string {
	l, err := parseTokenLimits(pat.Limits)
	if err != nil {
		return []string{pat.Limits}
	}
	var asked []string
	for _, limit := range []struct {
		name   string
		values []string
	}{{"service", l.Services}, {"repository", l.Repositories}, {"action", l.Actions}} {
		for _, value := range limit.values {
			asked = append(asked, limit.name+"="+value)
		}
	}
	return append(asked, "expires="+now.Add(pat.Lifetime).UTC().Format(time.RFC3339))
}
