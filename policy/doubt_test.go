package policy

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
)

// TestDoubtGrantsNothing draws policies and requests of which not all is known, and
// settles at random what is not: whether the person is in a group, what a claim is,
// from which address the request comes. What is granted in doubt is granted then too.
func TestDoubtGrantsNothing(t *testing.T) {
	policies := 1000
	if more, err := strconv.Atoi(os.Getenv("REFERENCE_POLICIES")); err == nil {
		policies = more
	}
	granted := 0
	for seed := range uint64(policies) {
		draw := drawer{rand.New(rand.NewPCG(seed, 6))}
		rules := draw.doubtfulRules()
		p := compile(t, rules)
		for range 10 {
			req := draw.doubtfulRequest()
			got := grants(p.Decide(req))
			granted += len(got)
			for range 5 {
				settled := draw.settle(req)
				then := grants(p.Decide(settled))
				for resource := range got {
					if !then[resource] {
						t.Fatalf("seed %d: %s is granted in doubt, and not when it is settled\nrules %+v\nin doubt %+v\nsettled %+v", seed, resource, rules, req, settled)
					}
				}
			}
		}
	}
	t.Logf("%d granted in doubt", granted)
	if granted < policies {
		t.Errorf("%d granted in doubt, want more", granted)
	}
}

// doubtfulRules are few rules with conditions and placeholders on different claims, so
// that what cannot fill a placeholder may be anything.
func (d drawer) doubtfulRules() []Rule {
	var all []Rule
	for i := range 2 + d.IntN(5) {
		r := d.rule([]string{allow, allow, deny}[d.IntN(3)])
		r.Name, r.Users = fmt.Sprint("r", i), nil
		if d.IntN(2) == 0 {
			r.Repositories = d.some(1, 2, "{claims.projects}/**", "a/{claims.projects}", "*/{claims.projects}", "{claims.deep.x}/*")
		}
		if len(r.Groups) > 0 && d.IntN(2) == 0 {
			r.Repositories = append(r.Repositories, d.some(1, 2, "{group}/**", "*/{group}", "{group}/{claims.projects}")...)
		}
		if r.Effect == allow && r.Groups == nil {
			r.Users = []string{"*"}
		}
		all = append(all, r)
	}
	d.drawUnless(all)
	d.drawUnless(all)
	return all
}

func (d drawer) doubtfulRequest() Request {
	req := d.request()
	for req.Anonymous {
		req = d.request()
	}
	req.Claims = map[string]any{}
	if d.IntN(2) == 0 {
		req.Claims["level"] = "high"
	}
	if d.IntN(4) > 0 {
		req.Claims["projects"] = []any{"a", "a/b", []any{"a", "A"}, []any{"team-a", nil, "x"}, []any{"A", 7.5}, []any{}, []any{[]any{"a"}, "high"}, slices.Repeat([]any{"z"}, 1001)}[d.IntN(8)]
	}
	return req
}

// settle returns a request in which all is known that is in doubt.
func (d drawer) settle(req Request) Request {
	unsure := req.Unsure
	req.Unsure, req.Groups, req.Claims = nil, slices.Clone(req.Groups), maps.Clone(req.Claims)
	for _, name := range unsure {
		switch {
		case name == UnsureAll:
			req.Groups = append(req.Groups, d.some(0, 3, "team-a", "team-b", "a", "x-a", "high", "Domain Users")...)
		case d.IntN(2) == 0:
			req.Groups = append(req.Groups, name)
		}
	}
	component := func() string { return d.some(1, 1, "a", "b", "team-a", "high", "x", "alice", "catalog")[0] }
	if req.Claims["level"] == nil {
		req.Claims["level"] = component()
	}
	req.Claims["deep"] = map[string]any{"x": component()}
	switch list, isList := req.Claims["projects"].([]any); {
	case isList && len(list) > 0 && len(list) < 1000:
		settled := slices.Clone(list)
		for i := range settled {
			if text, ok := settled[i].(string); !ok || text == "A" {
				settled[i] = component()
			}
		}
		req.Claims["projects"] = settled
	case isList:
		req.Claims["projects"] = []any{component(), component()}
	case req.Claims["projects"] != "a":
		req.Claims["projects"] = component()
	}
	if !req.Address.IsValid() {
		req.Address = address(d.some(1, 1, "127.0.0.1", "10.0.0.1")[0])
	}
	return req
}
