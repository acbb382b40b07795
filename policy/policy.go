// Package policy decides what a person may do with a repository.
//
// The rules come from the configuration. [Compile] compiles them once, and
// [Policy.Decide] evaluates them for each request. The rule of a decision:
//
//   - Default deny: an action that no rule allows is denied.
//   - Every allow rule that matches adds its actions.
//   - Deny overrides: every deny rule that matches takes its actions away,
//     whatever rule adds them.
//   - Order never matters: there is no first match, no priority, and no rule that
//     ends the evaluation. A rule is read without those above it.
//   - Invariant: what is granted is a subset of what the request asks for.
//
// A rule matches a request if each of its keys matches, and a key matches if any
// of its entries does:
//
//	[[rule]]
//	name         = "a team owns its folder"
//	groups       = ["team-*"]
//	repositories = ["{group}/**"]
//	actions      = ["pull", "push", "delete"]
//
// Repositories are globs: "*" matches any run of characters without "/", "**" any
// run at all. So "team-a/*" covers team-a/app, "team-a/**" also
// team-a/app/cache, and neither covers team-a; "**/app" covers x/app and not
// app, for which there is ["app", "**/app"]. Other names are no paths: there "*"
// matches any run, as "**" does, and "sso/*" covers sso/dev/jo.
//
// The names of a person are compared as their provider compares them: with their
// case folded (internal/fold) where it ignores case, else exactly.
//
// A placeholder in a glob is filled with one path component that comes from the
// person; one of several values, such as a list, with each of them in turn.
//
// The evaluation of a rule is three-valued: the rule matches, does not match, or
// fails, because a placeholder cannot be filled (the claim is missing, or the value
// is no path component) or the condition has no value. In doubt, rights are taken
// away: an allow rule that fails does not match; a deny rule that fails matches
// where its other keys do, with any one component for the placeholder. That holds
// for the rule as a whole, so an entry that needs a claim and one that does not
// are better two rules.
//
// Groups that a person may or may not be in (Request.Unsure) count for deny rules
// alone.
//
// A rule with unless does not apply where a rule that it names covers the request.
// That is three-valued too.
package policy

import (
	"net/netip"
	"time"

	"shorepass/registry"
)

// Rule is a [[rule]] table. It matches if all its keys match, and a key matches
// if any of its entries does. An empty list is an error.
type Rule struct {
	// Name of the rule in audit lines and in the output of explain. Unique.
	// Optional; without one the name is the index from 0, "rule[3]".
	Name string `toml:"name"`

	// Effect is "allow" (default) or "deny". An allow rule adds its actions, a
	// deny rule removes them; the order of rules never matters.
	Effect string `toml:"effect"`

	// Users are globs of user names: "*" is any text, "/" included. Case is
	// ignored where the person's provider ignores it. An allow rule needs users
	// or groups; a deny rule without either covers everyone.
	Users []string `toml:"users"`

	// Groups are globs of group names, as in users. "anonymous" (requests
	// without credentials) and "authenticated" match only as exact words. A
	// deny rule also covers people of whom the provider cannot tell whether
	// they are in the group.
	Groups []string `toml:"groups"`

	// Providers are globs of provider names. Default: all.
	Providers []string `toml:"providers"`

	// Services are globs of service names. Default: all.
	Services []string `toml:"services"`

	// Types are globs of resource types. For the catalog write types =
	// ["registry"] and repositories = ["catalog"]. Default ["repository"].
	Types []string `toml:"types"`

	// Repositories are globs: "*" stays within a path component, "**" crosses
	// "/". "{user}" is the person's own user name; "{group}" stands for each
	// group that an entry of this rule's groups matches, one after the other;
	// "{claims.NAME}" is a claim, each value of it if it is a list, and
	// "{claims.a.b}" is b within a. The value of a placeholder must be one path
	// component. Names of a provider that
	// ignores case are in lower case there. Required.
	Repositories []string `toml:"repositories"`

	// Actions are "pull", "push", "delete", or "*" for every requested action.
	// Required.
	Actions []string `toml:"actions"`

	// When is a condition: a CEL expression over user, groups, claims,
	// provider, method, auth.acr, auth.amr, auth.time, request.service,
	// request.address, request.time, request.repository, request.type and
	// request.action, such as
	// '!cidr("10.0.0.0/8").containsIP(request.address)'. If it fails, an
	// allow rule does not match and a deny rule does. user and groups are in
	// lower case where the provider ignores case. Optional.
	When string `toml:"when"`

	// Unless names rules: this one does not apply where one of them covers the
	// request by all its keys but effect, actions and its own unless. Where that
	// cannot be told, an allow rule does not apply and a deny rule does. Optional.
	Unless []string `toml:"unless"`
}

// Request holds who asks for which scopes, and from where.
type Request struct {
	Anonymous bool           // no credentials: only the literal group "anonymous" covers it; User to AuthTime are ignored
	User      string         // the provider's, with its prefix
	Groups    []string       // the same; includes "authenticated" where it applies
	Unsure    []string       // groups that the person may or may not be in, none of them in Groups; UnsureAll if their names are not known
	FoldsCase bool           // the provider ignores case: User, Groups and Unsure are compared folded
	Claims    map[string]any // objects are nested maps
	Provider  string
	Method    string
	ACR       string    // of the login; empty for none
	AMR       []string  // of the login
	AuthTime  time.Time // when the person authenticated; the zero Time when unknown
	Service   string
	Address   netip.Addr // the zero Addr when unknown
	Time      time.Time
	Scopes    []registry.Scope
}

// UnsureAll in Request.Unsure says that the person may be in any group.
const UnsureAll = "*"

// Decision is what a request is granted, and the rules that decided it.
type Decision struct {
	Access []registry.Access // a subset of Request.Scopes; a resource without a granted action is left out
	Rules  []Verdict         // the rules that matched or failed, scope by scope, in the order of the file
}

// Verdict is one rule's part in a decision. A rule with a Fault failed: an
// allow rule then has no Actions, because it does not match; a deny rule has
// its own, because it does. A rule that is evaluated for each action by itself may
// have two verdicts: on the actions for which it matches, and on those for which it
// fails.
type Verdict struct {
	Rule    string   `json:"rule"`              // its name
	Effect  string   `json:"effect"`            // "allow" or "deny"
	Scope   string   `json:"scope"`             // the resource it matched: "repository:team-a/app"
	Actions []string `json:"actions,omitempty"` // what it adds or takes away
	Fault   string   `json:"fault,omitempty"`   // why it failed, if it did
}
