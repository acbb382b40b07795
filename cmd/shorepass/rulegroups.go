package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"shorepass/config"
	"shorepass/policy"
	"shorepass/providers"
)

// warnOfGroups warns of the groups in rules that no provider has. Only providers that can
// list their groups can tell.
func (c *checkResult) warnOfGroups(ctx context.Context, cfg *resolvedConfig, chain *providers.Chain) {
	var names []string
	for _, p := range cfg.Providers {
		names = append(names, p.Name)
	}
	known := map[string]policy.KnownGroups{}
	var existing []string
	for name, groups := range chain.ListGroups(ctx) {
		known[name] = policy.KnownGroups{FoldsCase: cfg.FoldsCase(name), Names: groups}
		existing = append(existing, groups...)
	}
	slices.Sort(existing)
	existing = slices.Compact(existing)
	cfg.Policy.UnmatchedGroups(names, known, func(key, entry string) {
		text := fmt.Sprintf("%q matches no group; %s", entry, listSome(existing))
		if near := config.Closest(entry, existing); near != "" {
			text = fmt.Sprintf("%q matches no group; did you mean %q?", entry, near)
		}
		c.Findings = append(c.Findings, finding{Severity: providers.SeverityWarning, Key: key, Text: text})
	})
}

// listSome names the first groups.
func listSome(groups []string) string {
	const most = 5
	if len(groups) == 0 {
		return "there is none"
	}
	text := "there are " + strings.Join(groups[:min(len(groups), most)], ", ")
	if more := len(groups) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
