package dockerauth

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"shorepass/internal/fold"
	"shorepass/policy"
	"shorepass/registry"
)

// FuzzTranslation draws an ACL, its people and requests from a seed, and compares what
// the rules grant with what the model of docker_auth does. A difference is printed with
// the smallest ACL that shows it.
func FuzzTranslation(f *testing.F) {
	for seed := range uint64(300) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		draw := aclDrawer{rand.New(rand.NewPCG(seed, 1))}
		who := draw.identities()
		entries := draw.entries(&who)
		requests := draw.requests(&who)
		problem := firstDifference(entries, who, requests)
		if problem == "" {
			return
		}
		entries, who = shrink(entries, who, requests)
		rules, findings := translateACL(entries, who)
		t.Errorf("seed %d: %s\n%s\n%s\n%s\n%s", seed, firstDifference(entries, who, requests), indented(who), indented(entries), indented(rules), indented(findings))
	})
}

func indented(v any) string {
	text, _ := json.Marshal(v)
	return string(text)
}

// firstDifference returns the first request that ours decides otherwise, or "".
func firstDifference(entries []entry, who identities, requests []modelRequest) string {
	rules, findings := translateACL(entries, who)
	if slices.ContainsFunc(findings, func(f Finding) bool { return f.Severity == Refused }) {
		return ""
	}
	var plain []policy.Rule
	for _, r := range rules {
		plain = append(plain, r.Rule)
	}
	var fault string
	compiled := policy.Compile(plain, func(key, problem string) { fault = key + " " + problem })
	if fault != "" {
		return "check refuses the rules: " + fault
	}
	lost := slices.ContainsFunc(findings, func(f Finding) bool {
		return strings.Contains(f.Text, "no equal") || strings.Contains(f.Text, "not translated")
	})
	m := model{entries: entries, data: true}
	for _, q := range requests {
		if !exists(q, who) {
			continue
		}
		if q.kind == "chart" && !slices.ContainsFunc(entries, func(e entry) bool { return e.Match.Type != nil && *e.Match.Type == "chart" }) {
			continue // a type that no entry names
		}
		want, by := m.decide(q)
		if who.Directory && q.account != "" {
			// The same person may type the name in any case.
			for _, other := range []string{strings.ToLower(q.account), strings.ToUpper(q.account), strings.ToUpper(q.account[:1]) + q.account[1:]} {
				typed := q
				typed.account = other
				also, _ := m.decide(typed)
				want = append(slices.Clone(want), also...)
			}
		}
		got := granted(compiled, q, who)
		more := slices.ContainsFunc(got, func(a string) bool { return !slices.Contains(want, a) })
		less := slices.ContainsFunc(want, func(a string) bool { return !slices.Contains(got, a) })
		if more || less && !lost && !who.Directory {
			return fmt.Sprintf("%s: ours grants %q, docker_auth %q by entry %d", indented([]any{q.account, q.kind, q.name, q.service, q.address, q.labels, q.actions}), got, want, by)
		}
	}
	return ""
}

// exists reports whether the person of a request is still among the people.
func exists(q modelRequest, who identities) bool {
	if q.account == "" {
		return who.Anonymous
	}
	return who.Directory || slices.ContainsFunc(who.Users, func(u staticUser) bool { return u.Name == q.account })
}

// granted returns what our rules grant of a request.
func granted(p *policy.Policy, q modelRequest, who identities) []string {
	req := policy.Request{
		Anonymous: q.account == "", User: q.account, FoldsCase: true, Method: "password", Service: q.service, Address: q.address, Time: time.Unix(1, 0),
		Scopes: []registry.Scope{{Type: q.kind, Name: q.name, Actions: q.actions}},
	}
	if !req.Anonymous {
		req.Groups, req.Claims = []string{"authenticated"}, map[string]any{}
		for label, values := range q.labels {
			if label == who.GroupLabel {
				req.Groups = append(req.Groups, values...)
				continue
			}
			var list []any
			for _, v := range values {
				list = append(list, v)
			}
			req.Claims[label] = list
		}
	}
	var all []string
	for _, a := range p.Decide(req).Access {
		for _, action := range a.Actions {
			if slices.Contains(q.actions, action) {
				all = append(all, action)
			}
		}
	}
	return all
}

// shrink removes entries, conditions and users as long as some request is decided
// otherwise.
func shrink(entries []entry, who identities, requests []modelRequest) ([]entry, identities) {
	differs := func(entries []entry, who identities) bool { return firstDifference(entries, who, requests) != "" }
	for again := true; again; {
		again = false
		for i := range entries {
			fewer := slices.Delete(slices.Clone(entries), i, i+1)
			if differs(fewer, who) {
				entries, again = fewer, true
				break
			}
		}
		for i := range entries {
			for _, lift := range []func(*match){
				func(m *match) { m.Account = nil }, func(m *match) { m.Type = nil }, func(m *match) { m.Name = nil },
				func(m *match) { m.Service = nil }, func(m *match) { m.IP = nil }, func(m *match) { m.Labels = nil },
			} {
				simpler := slices.Clone(entries)
				lift(&simpler[i].Match)
				if indented(simpler) != indented(entries) && differs(simpler, who) {
					entries, again = simpler, true
				}
			}
		}
		for i := range who.Users {
			fewer := who
			fewer.Users = slices.Delete(slices.Clone(who.Users), i, i+1)
			if differs(entries, fewer) {
				who, again = fewer, true
				break
			}
		}
	}
	return entries, who
}

// aclDrawer draws ACLs at random, of few names, so that entries and requests meet.
type aclDrawer struct{ *rand.Rand }

func (d aclDrawer) one(from ...string) string { return from[d.IntN(len(from))] }

func (d aclDrawer) some(most int, from ...string) []string {
	var all []string
	for range d.IntN(most + 1) {
		if one := d.one(from...); !slices.Contains(all, one) {
			all = append(all, one)
		}
	}
	return all
}

var drawnLabels = []string{"team", "site", "in", "a-b"}

func (d aclDrawer) labels() map[string][]string {
	all := map[string][]string{}
	for _, label := range drawnLabels {
		if d.IntN(2) == 0 {
			all[label] = d.some(3, "red", "blue", "ann", "app", "a.b", "red/sub", "Red", "*", "r?d", "/^red/", "", "(a|b)", "x-red", "${account}")
		}
	}
	return all
}

func (d aclDrawer) identities() identities {
	who := identities{Anonymous: d.IntN(3) > 0, Directory: d.IntN(4) == 0}
	if d.IntN(3) == 0 {
		who.AnonymousLabels = d.labels()
	}
	folded := map[string]bool{}
	for range 1 + d.IntN(4) {
		name := d.one("ann", "bob", "Cyd", "ann-x", "red", "a.b", "a+b", "jo@x.test", "u/v", "h*", "red/sub", "svc-red-blue", "svc-app", "bot-app", "bot-red", "reg", "app", "A.B")
		if f := fold.Name(name); !folded[f] {
			folded[f] = true
			who.Users = append(who.Users, staticUser{Name: name, Labels: d.labels()})
		}
	}
	if who.Directory {
		who.DirectoryLabels = []string{"team", "site"}
		if d.IntN(2) == 0 {
			who.GroupLabel = "team"
		}
		for i := range who.Users {
			delete(who.Users[i].Labels, "team")
		}
	}
	return who
}

func (d aclDrawer) entries(who *identities) []entry {
	var all []entry
	for n := range 1 + d.IntN(7) {
		e := entry{Line: n + 1, Actions: d.actions()}
		if d.IntN(2) == 0 {
			e.Match.Account = d.pattern("ann", "bob", "Cyd", "", "*", "?*", "a*", "/.+/", "/.*/", "/^$/", "/^a/", "/b/", "/^(ann|bob)$/", "/^(?i)CYD$/", "[a-b]*", "ann-x", "h*", "h\\*", "/^svc-([a-z]+)/", "/^svc-([a-z]+)-([a-z]+)$/", "/^bot-(.+)$/", "/@(.+)\\.test$/", "bot-${name}", "${service}", "${labels:team}", "x-${labels:site}", "${account}", "/^${labels:team}/", "u/*", "u/v", "/^[A-Z]/", "zed", "[a-", "/^${name:1}/")
		}
		if d.IntN(5) == 0 {
			e.Match.Type = d.pattern("repository", "registry", "re*", "/^reg/", "", "chart", "/./", "${type}")
		}
		if d.IntN(4) > 0 {
			e.Match.Name = d.pattern("app", "red/*", "*", "*/*", "**", "red/**", "*/app", "[a-r]*", "r?d/*", "a[^x]p", "/^red/", "/red$/", "/red/", "/^(red|blue)/.+$/", "/^[a-z]+$/", "/.*/", "catalog", "/a|b/", "${account}/*", "home-${account}", "/^${account}/.*$/", "${labels:team}/*", "${labels:team}-${labels:site}/*", "${labels:site}", "/^${labels:team}/[a-z]+$/", "${labels:in}/*", "${labels:a-b}/app", "${account:1}/*", "${account:2}/${account:1}", "/^${account:1}/", "${type}/*", "${service}/*", "at/${service}/app", "/^${service}/", "${labels:team}/${labels:team}", "red/${labels:site}/*", "/^(red|app)/([a-z]+)$/", "${account:1}", "${labels:team}/${account:1}", "${Account}/x", "{labels:team}/*", "[a-", "/(^|/)app(/|$)/", "/^red/([a-z]+)/.*$/", "${name}", "x-${labels:team}*")
		}
		if d.IntN(8) == 0 {
			e.Match.Service = d.pattern("reg", "reg*", "/^reg/", "", "${account}", "${labels:site}", "other", "?eg", "${name}")
		}
		if d.IntN(8) == 0 {
			e.Match.IP = d.pattern("10.0.0.1", "10.0.0.0/24", "10.0.0.9/8", "::1", "::ffff:10.0.0.1", "0.0.0.0/0", "::/0", "::ffff:10.0.0.0/120")
		}
		if d.IntN(4) == 0 {
			e.Match.Labels = map[string]string{}
			for range 1 + d.IntN(2) {
				e.Match.Labels[d.one(drawnLabels...)] = d.one("red", "re*", "/re/", "/^(?i)RED$/", "*", "", "/.*/", "${account}", "${name}", "x-${name}", "${service}", "Red", "?ed", "${labels:team}", "${account:1}", "/^${account:1}/", "[a-z]*", "r[", "/^a|b$/")
			}
		}
		all = append(all, e)
	}
	return all
}

func (d aclDrawer) pattern(from ...string) *string {
	text := d.one(from...)
	return &text
}

func (d aclDrawer) actions() []string {
	switch d.IntN(6) {
	case 0:
		return []string{}
	case 1:
		return []string{"*"}
	case 2:
		return []string{"*", "pull"}
	case 3:
		return []string{"Pull", "x-y"}
	}
	return append(d.some(2, "push", "delete"), "pull")
}

func (d aclDrawer) requests(who *identities) []modelRequest {
	var all []modelRequest
	for range 40 {
		q := modelRequest{
			kind: d.one("repository", "repository", "repository", "registry", "chart"), service: d.one("reg", "reg", "other", "ann", "red"),
			name:    d.one("app", "red", "red/app", "red/sub", "red/sub/app", "blue/app", "ann/app", "home-ann", "home-bob", "a.b/app", "aab/app", "red-blue/x", "red-red/app", "catalog", "blue/red", "app/red", "at/reg/app", "reg/app", "reg", "u/v/app", "repository/app", "registry/app", "red/red", "red/red/app", "x-red", "x-redder", "xred", "svc-red", "lib/app", "bob", "ann", "cyd/app", "red.blue/app", "Red.x/app", "a.p", "axp", "a/p"),
			address: netip.MustParseAddr(d.one("10.0.0.1", "10.0.0.7", "10.9.0.1", "::1", "192.0.2.1")),
			actions: []string{d.one("pull", "push", "delete")},
		}
		if q.kind == "registry" {
			q.name = "catalog" // the only resource of the type
			if d.IntN(2) == 0 {
				q.actions = []string{"*"}
			}
		}
		switch n := d.IntN(len(who.Users) + 2); {
		case n < len(who.Users):
			q.account, q.labels = who.Users[n].Name, who.Users[n].Labels
		case n == len(who.Users) && who.Directory:
			q.account = d.one("zoe", "red", "ann-x", "svc-red-blue", "x.y", "jo@y.test", "bot-app")
			if slices.ContainsFunc(who.Users, func(u staticUser) bool { return fold.Name(u.Name) == q.account }) {
				continue // the static user
			}
			q.labels = map[string][]string{"team": d.some(3, "red", "blue", "team a", "a.b", "*"), "site": d.some(2, "red", "x-red", "red/sub", "zoe")}
		case !who.Anonymous:
			continue
		default:
			q.labels = who.AnonymousLabels
		}
		all = append(all, q)
	}
	return all
}
