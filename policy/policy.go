// Package policy decides what a person may do with a repository.
//
// Rules are written in the configuration, compiled once by [Compile], and
// asked by [Policy.Decide]. Every allow rule that matches adds its actions,
// every deny rule that matches takes them away, and their order never matters.
// What no rule allows is denied. What is granted is always a subset of what
// was asked.
//
//	[[rule]]
//	name         = "a team owns its folder"
//	groups       = ["team-*"]
//	repositories = ["{group}/**"]
//	actions      = ["pull", "push", "delete"]
//
// Repositories are globs: "*" stands for any run of characters without "/",
// "**" for any run at all. So "team-a/*" covers team-a/app, "team-a/**" also
// team-a/app/cache, and neither covers team-a; "**/app" covers x/app and not
// app, for which there is ["app", "**/app"]. Other names are no paths, and "*"
// stands for any run there, as "**" does: "sso/*" covers sso/dev/jo.
//
// The names of a person are compared as their provider compares them: with
// their case folded (internal/fold) where it ignores case, else exactly.
//
// A placeholder in a glob stands for one path component that comes from the
// person. Where it cannot be filled, since the claim is missing or the value is
// no such component, or where a condition fails, an allow rule does not match
// and a deny rule does, with any one component in the place of the missing one:
// when in doubt, rights are taken away. That holds for the rule as a whole, so
// that an entry which needs a claim and one which does not are better two rules.
//
// Groups that a person may or may not be in (Request.Unsure) count for deny
// rules and for nothing else.
//
// There is no first match, no priority and no way for a rule to end the search:
// whoever reads a rule must not have to read those above it.
package policy

import (
	"net/netip"
	"time"

	"shorepass/registry"
)

// Rule is a [[rule]] table. Within a key any entry matches, between keys all
// must. An empty list is an error.
type Rule struct {
	// Name of the rule in audit lines and in what explain prints. Unique.
	// Optional; without one a rule is called by its place, "rule[3]", counted
	// from 0.
	Name string `toml:"name"`

	// Effect is "allow" (default) or "deny". An allow rule adds its actions, a
	// deny rule takes them away, in whatever order they stand.
	Effect string `toml:"effect"`

	// Users are globs over user names: "*" is any text, "/" included. Case
	// makes no difference where the person's provider ignores it. An allow
	// rule has users or groups; a deny rule without either covers everyone.
	Users []string `toml:"users"`

	// Groups are globs over group names, as users are over theirs. "anonymous"
	// (anyone without credentials) and "authenticated" are matched by these
	// very words only. A deny rule also covers people who may be in a group,
	// where the provider cannot tell.
	Groups []string `toml:"groups"`

	// Providers are names of providers, or globs over them. Default: all.
	Providers []string `toml:"providers"`

	// Services are names of services, or globs over them. Default: all.
	Services []string `toml:"services"`

	// Types are resource types. The catalog is types = ["registry"],
	// repositories = ["catalog"]. Default ["repository"].
	Types []string `toml:"types"`

	// Repositories are globs: "*" stays within a path component, "**"
	// crosses "/". "{user}" is the person's own name, "{group}" each group
	// that an entry of this rule's groups matches, one after the other, and
	// "{claims.NAME}" a claim; "{claims.a.b}" is b within a. What stands in
	// must be one path component; of a provider that ignores case, names are
	// lower case there. Required.
	Repositories []string `toml:"repositories"`

	// Actions are "pull", "push", "delete", or "*" for every action asked.
	// Required.
	Actions []string `toml:"actions"`

	// When is a CEL expression over user, groups, claims, provider, method,
	// request.service, request.address and request.time, such as
	// '!cidr("10.0.0.0/8").containsIP(request.address)'. When it fails, an
	// allow rule does not match and a deny rule does. User and groups are
	// lower case where the provider ignores case. Optional.
	When string `toml:"when"`
}

// Request is one person's question: may I do this?
type Request struct {
	Anonymous bool           // no credentials: only the literal group "anonymous" covers it, and User to Method are not looked at
	User      string         // as the provider has it, with its prefix
	Groups    []string       // the same; "authenticated" among them where it applies
	Unsure    []string       // groups that the person may or may not be in, none of them in Groups; UnsureAll where not even their names are known
	FoldsCase bool           // the provider ignores case, so that User, Groups and Unsure are compared folded
	Claims    map[string]any // nested as the provider has them
	Provider  string
	Method    string
	Service   string
	Address   netip.Addr // the zero Addr when unknown
	Time      time.Time
	Scopes    []registry.Scope
}

// UnsureAll in Request.Unsure says that the person may be in any group.
const UnsureAll = "*"

// Decision is what the rules give, and which of them gave it.
type Decision struct {
	Access []registry.Access // a subset of Request.Scopes; what grants nothing is left out
	Rules  []Verdict         // the rules that matched or failed, scope by scope, in the order of the file
}

// Verdict is one rule's part in a decision. A rule with a Fault failed: an
// allow rule then has no Actions, since it does not match, and a deny rule does.
type Verdict struct {
	Rule    string   `json:"rule"`              // its name
	Effect  string   `json:"effect"`            // "allow" or "deny"
	Scope   string   `json:"scope"`             // the resource it matched: "repository:team-a/app"
	Actions []string `json:"actions,omitempty"` // what it added or took
	Fault   string   `json:"fault,omitempty"`   // why its condition or placeholder failed, if it did
}
