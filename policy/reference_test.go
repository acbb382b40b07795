package policy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"shorepass/registry"
)

// This is the reference evaluator: docs/policy.md in code, written from that page
// alone. It is slow and has no index, no cache and nothing of the package but its
// types. FuzzDecideAsDocumented compares Decide with it.

// truth is a truth value of three-valued logic (Kleene): whether a rule
// matches.
type truth int

const (
	isFalse truth = iota
	isUnknown
	isTrue
)

func and(all ...truth) truth { return slices.Min(all) }
func or(all ...truth) truth  { return slices.Max(append(all, isFalse)) }
func not(t truth) truth      { return isTrue - t }
func truthOf(b bool) truth {
	if b {
		return isTrue
	}
	return isFalse
}

// referenceRule is a rule, with its condition as a function.
type referenceRule struct {
	Rule
	when func(referenceRequest) truth
}

// referenceRequest is a request for one resource and action, with the page's words as
// methods.
type referenceRequest struct {
	Request
	scope  registry.Scope
	action string
}

// name returns a name in the form in which it is compared.
func (p referenceRequest) name(text string) string {
	if !p.FoldsCase {
		return text
	}
	var b strings.Builder
	for i, part := range strings.Split(text, "\u212A") { // the Kelvin sign is no k
		if i > 0 {
			b.WriteString("\u212A")
		}
		b.WriteString(strings.Map(unicode.ToLower, norm.NFC.String(part)))
	}
	return b.String()
}

// referenceGlob returns the regular expression of a glob; star is the
// expression for "*".
func referenceGlob(glob, star string) *regexp.Regexp {
	if made := referenceGlobs[glob+star]; made != nil {
		return made
	}
	quoted := regexp.QuoteMeta(glob)
	quoted = strings.ReplaceAll(quoted, `\*\*`, "\x00")
	quoted = strings.ReplaceAll(quoted, `\*`, star)
	made := regexp.MustCompile("^(?s:" + strings.ReplaceAll(quoted, "\x00", ".*") + ")$")
	referenceGlobs[glob+star] = made
	return made
}

var referenceGlobs = map[string]*regexp.Regexp{}

func anyGlob(globs []string, name string) bool {
	return slices.ContainsFunc(globs, func(g string) bool { return referenceGlob(g, ".*").MatchString(name) })
}

// covers reports whether an entry of users or groups matches a name.
func (p referenceRequest) covers(entry, name string) bool {
	return referenceGlob(p.name(entry), ".*").MatchString(p.name(name))
}

// in reports whether an entry of groups matches a group.
func (p referenceRequest) in(entry, group string) bool {
	for _, own := range []string{"anonymous", "authenticated"} {
		if entry == own || group == own {
			return entry == group && (own == "anonymous") == p.Anonymous
		}
	}
	return !p.Anonymous && p.covers(entry, group)
}

// matched returns those of some groups that an entry of the rule matches.
func (p referenceRequest) matched(r referenceRule, groups []string) []string {
	var all []string
	for _, g := range groups {
		if slices.ContainsFunc(r.Groups, func(entry string) bool { return p.in(entry, g) }) {
			all = append(all, g)
		}
	}
	return all
}

// anyGroup reports whether the person may be in any group, and the rule names
// one besides the reserved two.
func (p referenceRequest) anyGroup(r referenceRule) bool {
	reserved := []string{"anonymous", "authenticated"}
	return !p.Anonymous && slices.Contains(p.Unsure, "*") &&
		slices.ContainsFunc(r.Groups, func(entry string) bool { return !slices.Contains(reserved, entry) })
}

// evaluate returns whether a rule matches the resource and action.
func (p referenceRequest) evaluate(r referenceRule, all []referenceRule) truth {
	sure, perhaps := p.keys(r, r.Effect == "deny")
	whole := sure
	if r.Effect == "deny" {
		whole = or(sure, and(isUnknown, perhaps)) // unsure groups count
	}
	for _, other := range all {
		if slices.Contains(r.Unless, other.Name) {
			whole = and(whole, not(p.covered(other)))
		}
	}
	return whole
}

// covered returns whether a rule that an unless names covers the resource and action.
func (p referenceRequest) covered(r referenceRule) truth {
	asAllow, _ := p.keys(r, false)
	asDeny, perhaps := p.keys(r, true)
	return or(asAllow, and(isUnknown, or(asDeny, perhaps)))
}

// keys evaluates the keys of a rule but effect, actions and unless: for a person who is
// in the groups that are known, and for one who is in the unsure groups as well. In a
// strict evaluation one value that cannot fill a placeholder makes the rule fail.
func (p referenceRequest) keys(r referenceRule, strict bool) (sure, perhaps truth) {
	if p.Anonymous {
		p.Request = Request{Anonymous: true, Groups: []string{"anonymous"}, Service: p.Service, Address: p.Address, Time: p.Time}
	}
	users := r.Users == nil || !p.Anonymous && slices.ContainsFunc(r.Users, func(entry string) bool { return p.covers(entry, p.User) })
	others := users && anyGlob(r.Types, p.scope.Type) &&
		(r.Providers == nil || !p.Anonymous && anyGlob(r.Providers, p.Provider)) &&
		(r.Services == nil || anyGlob(r.Services, p.Service))
	condition := isTrue
	if r.when != nil {
		condition = r.when(p)
	}
	groups := p.matched(r, p.Groups)
	sure = and(truthOf(others), truthOf(r.Groups == nil || len(groups) > 0), p.repositories(r, p.scope.Name, groups, false, strict), condition)

	named := slices.DeleteFunc(slices.Clone(p.Unsure), func(name string) bool { return name == "*" })
	groups = append(slices.Clone(groups), p.matched(r, named)...)
	anyGroup := p.anyGroup(r)
	perhaps = and(truthOf(others), truthOf(r.Groups == nil || len(groups) > 0 || anyGroup), p.repositories(r, p.scope.Name, groups, anyGroup, strict), condition)
	return sure, perhaps
}

var (
	referenceComponent = regexp.MustCompile(`^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*$`)
	placeholderPattern = regexp.MustCompile(`\{[^}]*\}`)
)

// repositories evaluates the repositories key of a rule. groups are the values
// of {group}; with anyGroup it is any one component as well. strict is as for keys.
func (p referenceRequest) repositories(r referenceRule, name string, groups []string, anyGroup, strict bool) truth {
	failed := false
	fills := map[string][]string{} // the values of each placeholder; "*" is any component
	for _, placeholder := range placeholderPattern.FindAllString(strings.Join(r.Repositories, "\n"), -1) {
		values := []string{}
		bad := 0
		add := func(value string, ok bool) {
			if ok && referenceComponent.MatchString(value) {
				values = append(values, value)
			} else {
				bad++
			}
		}
		switch placeholder {
		case "{user}":
			add(p.name(p.User), !p.Anonymous)
		case "{group}":
			for _, g := range groups {
				add(p.name(g), true)
			}
		default:
			for _, value := range referenceClaim(p.Claims, strings.Split(placeholder[len("{claims."):len(placeholder)-1], ".")) {
				add(value, true)
			}
		}
		if bad > 0 && (strict || len(values) == 0) {
			failed = true
			values = append(values, "*")
		}
		if placeholder == "{group}" && anyGroup {
			values = append(values, "*")
		}
		fills[placeholder] = values
	}
	covered := false
	for _, entry := range r.Repositories {
		for _, glob := range filled(entry, fills) {
			covered = covered || referenceGlob(glob, "[^/]*").MatchString(name)
		}
	}
	if failed {
		return and(isUnknown, truthOf(covered))
	}
	return truthOf(covered)
}

// filled returns an entry with each value of each placeholder.
func filled(entry string, fills map[string][]string) []string {
	placeholder := placeholderPattern.FindString(entry)
	if placeholder == "" {
		return []string{entry}
	}
	var all []string
	for _, value := range fills[placeholder] {
		all = append(all, filled(strings.ReplaceAll(entry, placeholder, value), fills)...)
	}
	return all
}

// referenceClaim returns the texts of a claim. The empty one stands for a value that
// fills nothing.
func referenceClaim(claims map[string]any, path []string) []string {
	const nothing = ""
	value, ok := claims[path[0]]
	object, isObject := value.(map[string]any)
	switch {
	case ok && isObject && len(path) > 1:
		return referenceClaim(object, path[1:])
	case !ok || len(path) > 1:
		return []string{nothing}
	}
	list, isList := value.([]any)
	if !isList {
		list = []any{value}
	}
	if len(list) == 0 || len(list) > 1000 {
		return []string{nothing}
	}
	var all []string
	for _, one := range list {
		text := nothing
		switch v := one.(type) {
		case string:
			text = v
		case float64:
			if v == float64(int64(v)) {
				text = fmt.Sprint(int64(v))
			}
		}
		all = append(all, text)
	}
	return all
}

// actions returns the actions for which a rule is evaluated.
func (p referenceRequest) actions(rules []referenceRule) []string {
	all := slices.Clone(p.scope.Actions)
	if slices.Contains(all, "*") {
		all = append(all, "pull", "push", "delete")
		for _, r := range rules {
			all = append(all, r.Actions...)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// names reports whether a rule names the action. "*" is named by each deny rule.
func (p referenceRequest) names(r referenceRule) bool {
	return slices.Contains(r.Actions, p.action) || slices.Contains(r.Actions, "*") || p.action == "*" && r.Effect == "deny"
}

// gives reports whether a rule that names the action can give or take it: "*" in an
// allow rule stands for the requested actions, and if "*" is requested for pull, push
// and delete too, but not for the catalog.
func (p referenceRequest) gives(r referenceRule) bool {
	expanded := slices.Contains([]string{"pull", "push", "delete"}, p.action) && p.scope.Type != "registry"
	return r.Effect == "deny" || slices.Contains(r.Actions, p.action) || slices.Contains(p.scope.Actions, p.action) || expanded
}

// decide returns what is granted of a scope, sorted, and how each rule matches: isTrue
// if it does for some action, else isUnknown if it fails for some.
func (p referenceRequest) decide(rules []referenceRule, scope registry.Scope) (granted []string, how map[string]truth, failed map[string]bool) {
	p.scope, how, failed = scope, map[string]truth{}, map[string]bool{}
	denies := false
	allowedAll := map[string]bool{} // by the name of a rule: it matches for every action
	for _, r := range rules {
		allowedAll[r.Name] = slices.Contains(r.Actions, "*")
	}
	allowed, denied := map[string]bool{}, map[string]bool{}
	for _, p.action = range p.actions(rules) {
		for _, r := range rules {
			if !p.names(r) {
				continue
			}
			t := p.evaluate(r, rules)
			allowedAll[r.Name] = allowedAll[r.Name] && t == isTrue
			failed[r.Name] = failed[r.Name] || t == isUnknown
			switch {
			case !p.gives(r):
				continue
			case r.Effect == "allow" && t == isTrue:
				allowed[p.action] = true
			case r.Effect == "deny" && t != isFalse:
				denied[p.action], denies = true, true
			}
			if p.action != "*" || r.Effect == "deny" || scope.Type == "registry" { // else it takes all others too
				how[r.Name] = or(how[r.Name], t)
			}
		}
	}
	for action := range allowed {
		ok := !denied[action]
		if action == "*" {
			ok = !denies && (scope.Type == "registry" || slices.ContainsFunc(rules, func(r referenceRule) bool { return r.Effect == "allow" && allowedAll[r.Name] }))
		}
		if ok {
			granted = append(granted, action)
		}
	}
	slices.Sort(granted)
	return granted, how, failed
}

// referenceConditions are conditions, each with its meaning by the page.
var referenceConditions = []struct {
	text  string
	holds func(referenceRequest) truth
}{
	{`user == "alice"`, referenceRequest.isAlice},
	{`"team-a" in groups`, referenceRequest.inTeam},
	{`!("team-a" in groups)`, func(p referenceRequest) truth { return not(p.inTeam()) }},
	{`claims.level == "high"`, referenceRequest.high},
	{`user == "alice" || claims.level == "high"`, func(p referenceRequest) truth { return or(p.isAlice(), p.high()) }},
	{`"team-a" in groups && claims.level == "high"`, func(p referenceRequest) truth { return and(p.inTeam(), p.high()) }},
	{`claims.level == "high" || request.address.isLoopback()`, func(p referenceRequest) truth { return or(p.high(), p.loopback()) }},
	{`request.address.isLoopback()`, referenceRequest.loopback},
	{`has(claims.level) && provider == "corp"`, func(p referenceRequest) truth {
		_, has := p.Claims["level"]
		return truthOf(has && p.Provider == "corp")
	}},
	{`request.repository.startsWith("a/") || claims.level == "high"`, func(p referenceRequest) truth {
		return or(truthOf(strings.HasPrefix(p.scope.Name, "a/")), p.high())
	}},
	{`request.type == "registry" || request.repository.matches("^team-.*/x$")`, func(p referenceRequest) truth {
		return truthOf(p.scope.Type == "registry" || regexp.MustCompile("^team-.*/x$").MatchString(p.scope.Name))
	}},
	{`request.action == "pull"`, func(p referenceRequest) truth { return truthOf(p.action == "pull") }},
	{`request.action != "push"`, func(p referenceRequest) truth { return truthOf(p.action != "push") }},
	{`request.action == "*"`, func(p referenceRequest) truth { return truthOf(p.action == "*") }},
	{`request.action == "pull" || claims.level == "high"`, func(p referenceRequest) truth { return or(truthOf(p.action == "pull"), p.high()) }},
	{`request.action in ["push", "scan"] && "team-a" in groups && request.repository != "x/x"`, func(p referenceRequest) truth {
		return and(truthOf(p.action == "push" || p.action == "scan"), p.inTeam(), truthOf(p.scope.Name != "x/x"))
	}},
	{`auth.acr == "gold"`, referenceRequest.gold},
	{`!("mfa" in auth.amr)`, func(p referenceRequest) truth { return not(p.mfa()) }},
	{`"mfa" in auth.amr && request.time - auth.time < duration("12h")`, func(p referenceRequest) truth { return and(p.mfa(), p.recent()) }},
	{`auth.acr == "gold" || request.time - auth.time < duration("12h")`, func(p referenceRequest) truth { return or(p.gold(), p.recent()) }},
	{`method == ""`, func(p referenceRequest) truth { return truthOf(p.Method == "") }},
}

func (p referenceRequest) isAlice() truth { return truthOf(p.name(p.User) == "alice") }

func (p referenceRequest) inTeam() truth {
	if len(p.Unsure) > 0 {
		return isUnknown
	}
	return truthOf(slices.ContainsFunc(p.Groups, func(g string) bool { return p.name(g) == "team-a" }))
}

func (p referenceRequest) high() truth {
	level, there := p.Claims["level"]
	if !there {
		return isUnknown
	}
	return truthOf(level == "high")
}

func (p referenceRequest) gold() truth { return truthOf(p.ACR == "gold") }

func (p referenceRequest) mfa() truth { return truthOf(slices.Contains(p.AMR, "mfa")) }

func (p referenceRequest) recent() truth {
	if p.AuthTime.IsZero() {
		return isUnknown
	}
	return truthOf(p.Time.Sub(p.AuthTime) < 12*time.Hour)
}

func (p referenceRequest) loopback() truth {
	if !p.Address.IsValid() {
		return isUnknown
	}
	return truthOf(p.Address.IsLoopback())
}
