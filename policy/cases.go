package policy

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"shorepass/registry"
)

// Case is a [[case]] table of a file of expectations: a request and what it
// should be granted. A user is in the group "authenticated" without its being
// written, as after a login; one with the method "id_token" is not.
//
//	[[case]]
//	name   = "a team pushes to its folder"
//	user   = "alice"
//	groups = ["team-a"]
//	scope  = "repository:team-a/app:pull,push,delete"
//	want   = ["pull", "push"]
type Case struct {
	// Name of the case in the output. Optional.
	Name string `toml:"name"`

	// User is the user name. Left out, the request has no credentials.
	User string `toml:"user"`

	// Groups of the user. Optional.
	Groups []string `toml:"groups"`

	// Unsure are groups that the user may or may not be in, "*" any. Optional.
	Unsure []string `toml:"unsure"`

	// Claims of the user; nested objects are tables. Optional.
	Claims map[string]any `toml:"claims"`

	// Provider that the user comes from. Optional.
	Provider string `toml:"provider"`

	// Method is how the user logged in: "password" (default), "refresh",
	// "id_token", "browser", "pat" or "robot".
	Method string `toml:"method"`

	// ACR is how well the login authenticated the user, by the provider. Optional.
	ACR string `toml:"acr"`

	// AMR are the authentication methods of the login, such as "pwd" and "mfa".
	// Optional.
	AMR []string `toml:"amr"`

	// AuthTime is when the user authenticated. Default: the time of the request.
	AuthTime time.Time `toml:"auth_time"`

	// Service is the registry that asks. Optional.
	Service string `toml:"service"`

	// Address of the client. Left out, it is unknown.
	Address string `toml:"address"`

	// Time of the request. Default: now.
	Time time.Time `toml:"time"`

	// Scope is what the request asks for: "repository:team-a/app:pull,push".
	// Several are joined by spaces.
	Scope string `toml:"scope"`

	// Want lists the actions that should be granted, in any order; left out,
	// none. With several scopes each is written as a scope:
	// "repository:team-a/app:pull".
	Want []string `toml:"want"`

	// Rules are the names of all rules that should match. Optional.
	Rules []string `toml:"rules"`
}

// FailedCase is a case that the policy decides in another way than the case
// expects, or that cannot be read.
type FailedCase struct {
	Case        string      `json:"case"` // its name, or its index from 0: "case[3]"
	Problem     string      `json:"problem"`
	Explanation Explanation `json:"explanation"`
}

// CheckCases decides each case and returns those that fail, in their order.
// foldsCase reports whether the provider of that name, which may be empty,
// ignores case.
func (p *Policy) CheckCases(cases []Case, foldsCase func(provider string) bool) []FailedCase {
	var all []FailedCase
	for i, c := range cases {
		name := c.Name
		if name == "" {
			name = fmt.Sprintf("case[%d]", i)
		}
		req, err := c.Request(foldsCase)
		if err != nil {
			all = append(all, FailedCase{Case: name, Problem: err.Error()})
			continue
		}
		if problem := c.difference(p.Decide(req)); problem != "" {
			all = append(all, FailedCase{name, problem, p.Explain(req)})
		}
	}
	return all
}

// Request returns the request of the case. foldsCase is as in
// [Policy.CheckCases].
func (c Case) Request(foldsCase func(provider string) bool) (Request, error) {
	req := Request{
		Anonymous: c.User == "", User: c.User, Unsure: c.Unsure, Claims: c.Claims, Provider: c.Provider,
		FoldsCase: foldsCase(c.Provider), Method: c.Method, ACR: c.ACR, AMR: c.AMR, AuthTime: c.AuthTime, Service: c.Service, Time: c.Time,
	}
	switch {
	case req.Anonymous && (len(c.Groups)+len(c.Unsure) > 0 || len(c.Claims) > 0):
		return Request{}, errors.New("there are groups or claims but no user; a request without credentials has neither")
	case req.Anonymous && (c.ACR != "" || len(c.AMR) > 0 || !c.AuthTime.IsZero()):
		return Request{}, errors.New("there is an acr, an amr or an auth_time but no user; a request without credentials has none")
	}
	for _, name := range c.Unsure {
		if slices.Contains(c.Groups, name) {
			return Request{}, fmt.Errorf("%q is among the groups and among those that are unsure; leave one out", name)
		}
	}
	if !req.Anonymous {
		if req.Method == "" {
			req.Method = "password"
		}
		req.Groups = slices.Clone(c.Groups)
		if req.Method != "id_token" && !slices.Contains(req.Groups, authenticated) {
			req.Groups = append(req.Groups, authenticated)
		}
	}
	if req.Time.IsZero() {
		req.Time = time.Now()
	}
	if !req.Anonymous && req.AuthTime.IsZero() {
		req.AuthTime = req.Time
	}
	if c.Address != "" {
		var err error
		if req.Address, err = netip.ParseAddr(c.Address); err != nil {
			return Request{}, fmt.Errorf(`%q is not an address; write it as "10.1.2.3" or "2001:db8::1"`, c.Address)
		}
		req.Address = req.Address.Unmap().WithZone("")
	}
	var err error
	req.Scopes, err = parseScopes(c.Scope)
	return req, err
}

// parseScopes is [registry.ParseScopes], but a scope that does not follow the
// grammar is an error.
func parseScopes(text string) ([]registry.Scope, error) {
	var all []registry.Scope
	for one := range strings.FieldsSeq(text) {
		scopes, err := registry.ParseScopes([]string{one})
		if err != nil {
			return nil, fmt.Errorf("scope: %w", err)
		}
		if len(scopes) == 0 {
			return nil, fmt.Errorf(`%q is not a scope; write for instance "repository:team-a/app:pull,push"`, one)
		}
		all = append(all, scopes...)
	}
	if len(all) == 0 {
		return nil, errors.New(`scope is missing; write for instance "repository:team-a/app:pull,push"`)
	}
	return all, nil
}

// difference says how a decision differs from what the case expects, and is
// empty if it does not.
func (c Case) difference(d Decision) string {
	var granted, matched []string
	for _, a := range d.Access {
		if strings.Contains(strings.TrimSpace(c.Scope), " ") {
			name := scopeName(&registry.Scope{Type: a.Type, Class: a.Class, Name: a.Name})
			granted = append(granted, name+":"+strings.Join(a.Actions, ","))
		} else {
			granted = append(granted, a.Actions...)
		}
	}
	for _, v := range d.Rules {
		if len(v.Actions) > 0 && !slices.Contains(matched, v.Rule) {
			matched = append(matched, v.Rule)
		}
	}
	if !sameNames(granted, c.Want) {
		return fmt.Sprintf("granted %s, want %s", quotedOrNothing(granted), quotedOrNothing(c.Want))
	}
	if c.Rules != nil && !sameNames(matched, c.Rules) {
		return fmt.Sprintf("matched by the rules %s, want %s", quotedOrNothing(matched), quotedOrNothing(c.Rules))
	}
	return ""
}

func sameNames(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

func quotedOrNothing(names []string) string {
	if len(names) == 0 {
		return "nothing"
	}
	return quotedList(names)
}
