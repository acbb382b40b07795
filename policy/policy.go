// Package policy decides what somebody may do with a repository.
//
// Rules are written in the configuration, compiled once by [Compile], and
// asked by [Policy.Decide]. Every allow rule that matches adds its actions,
// every deny rule that matches takes them away, and their order never matters.
// What no rule allows is denied. What is granted is always a subset of what
// was asked.
package policy

import (
	"net/netip"
	"time"

	"shorepass/registry"
)

// Rule is a [[rule]] table. Within a key any entry matches, between keys all
// must.
type Rule struct {
	// Name of the rule in audit lines and in what explain prints. Unique.
	Name string `toml:"name"`

	// Effect is "allow" (default) or "deny".
	Effect string `toml:"effect"`

	// Users are globs over user names.
	Users []string `toml:"users"`

	// Groups are globs over group names. "anonymous" (nobody's credentials)
	// and "authenticated" are matched by these very words only.
	Groups []string `toml:"groups"`

	// Providers are names of providers.
	Providers []string `toml:"providers"`

	// Services are names of services. Default: all.
	Services []string `toml:"services"`

	// Types are resource types. Default ["repository"].
	Types []string `toml:"types"`

	// Repositories are globs: "*" stays within a path component, "**"
	// crosses "/". "{user}", "{group}" and "{claims.NAME}" stand for one
	// component.
	Repositories []string `toml:"repositories"`

	// Actions are "pull", "push", "delete", or "*" for every action asked.
	Actions []string `toml:"actions"`

	// When is a CEL expression over user, groups, claims, provider, method
	// and request (service, address, time). Optional.
	When string `toml:"when"`
}

// Request is one person's question: may I do this?
type Request struct {
	Anonymous bool // nobody's credentials: only the literal group "anonymous" covers it
	User      string
	Groups    []string
	Claims    map[string]any
	Provider  string
	Method    string
	Service   string
	Address   netip.Addr // the zero Addr when unknown
	Time      time.Time
	Scopes    []registry.Scope
}

// Decision is what the rules give, and which of them gave it.
type Decision struct {
	Access []registry.Access // a subset of Request.Scopes; what grants nothing is left out
	Rules  []Verdict         // the rules that matched, in the order of the file
}

// Verdict is one rule's part in a decision.
type Verdict struct {
	Rule    string   // its name
	Effect  string   // "allow" or "deny"
	Scope   string   // the resource it matched: "repository:team-a/app"
	Actions []string // what it added or took
	Fault   string   // why its condition or placeholder failed, if it did
}
