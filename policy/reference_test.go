package policy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
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

// referenceRequest is a request, with the page's words as methods.
type referenceRequest struct{ Request }

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

// evaluate returns whether a rule matches a resource.
func (p referenceRequest) evaluate(r referenceRule, all []referenceRule, scope registry.Scope) truth {
	named := slices.ContainsFunc(r.Actions, func(action string) bool {
		return action == "*" || slices.Contains(scope.Actions, action) || slices.Contains(scope.Actions, "*")
	})
	sure, perhaps := p.keys(r, scope, r.Effect == "deny")
	whole := and(truthOf(named), sure)
	if r.Effect == "deny" {
		whole = and(truthOf(named), or(sure, and(isUnknown, perhaps))) // unsure groups count
	}
	for _, other := range all {
		if slices.Contains(r.Unless, other.Name) {
			whole = and(whole, not(p.covered(other, scope)))
		}
	}
	return whole
}

// covered returns whether a rule that an unless names covers a resource.
func (p referenceRequest) covered(r referenceRule, scope registry.Scope) truth {
	sure, perhaps := p.keys(r, scope, false)
	return or(sure, and(isUnknown, perhaps))
}

// keys evaluates the keys of a rule but effect, actions and unless: for a person who is
// in the groups that are known, and for one who is in the unsure groups as well. In a
// strict evaluation one value that cannot fill a placeholder makes the rule fail.
func (p referenceRequest) keys(r referenceRule, scope registry.Scope, strict bool) (sure, perhaps truth) {
	if p.Anonymous {
		p.Request = Request{Anonymous: true, Groups: []string{"anonymous"}, Service: p.Service, Address: p.Address, Time: p.Time}
	}
	users := r.Users == nil || !p.Anonymous && slices.ContainsFunc(r.Users, func(entry string) bool { return p.covers(entry, p.User) })
	others := users && anyGlob(r.Types, scope.Type) &&
		(r.Providers == nil || !p.Anonymous && anyGlob(r.Providers, p.Provider)) &&
		(r.Services == nil || anyGlob(r.Services, p.Service))
	condition := isTrue
	if r.when != nil {
		condition = r.when(p)
	}
	groups := p.matched(r, p.Groups)
	sure = and(truthOf(others), truthOf(r.Groups == nil || len(groups) > 0), p.repositories(r, scope.Name, groups, false, strict), condition)

	named := slices.DeleteFunc(slices.Clone(p.Unsure), func(name string) bool { return name == "*" })
	groups = append(slices.Clone(groups), p.matched(r, named)...)
	anyGroup := p.anyGroup(r)
	perhaps = and(truthOf(others), truthOf(r.Groups == nil || len(groups) > 0 || anyGroup), p.repositories(r, scope.Name, groups, anyGroup, strict), condition)
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
			add(referenceClaim(p.Claims, strings.Split(placeholder[len("{claims."):len(placeholder)-1], ".")))
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

// referenceClaim returns the text of a claim, or false if it has none.
func referenceClaim(claims map[string]any, path []string) (string, bool) {
	value, ok := claims[path[0]]
	if !ok {
		return "", false
	}
	if object, isObject := value.(map[string]any); isObject && len(path) > 1 {
		return referenceClaim(object, path[1:])
	}
	switch v := value.(type) {
	case string:
		return v, len(path) == 1
	case float64:
		return fmt.Sprint(int64(v)), len(path) == 1 && v == float64(int64(v))
	}
	return "", false
}

// decide returns what is granted of a scope, sorted, and how each rule matches.
func (p referenceRequest) decide(rules []referenceRule, scope registry.Scope) (granted []string, how map[string]truth) {
	how = map[string]truth{}
	var allowed, denied []string
	denies := false
	for _, r := range rules {
		t := p.evaluate(r, rules, scope)
		how[r.Name] = t
		switch {
		case r.Effect == "allow" && t == isTrue:
			allowed = append(allowed, r.Actions...)
		case r.Effect == "deny" && t != isFalse:
			denied, denies = append(denied, r.Actions...), true
		}
	}
	everything := slices.Contains(allowed, "*")
	asked := slices.Clone(scope.Actions)
	if slices.Contains(asked, "*") {
		asked = append(asked, allowed...)
		if everything && scope.Type != "registry" {
			asked = append(asked, "pull", "push", "delete")
		}
	}
	for _, action := range asked {
		ok := (everything || slices.Contains(allowed, action)) && !slices.Contains(denied, action) && !slices.Contains(denied, "*")
		if action == "*" {
			ok = slices.Contains(scope.Actions, "*") && everything && !denies
		}
		if ok && !slices.Contains(granted, action) {
			granted = append(granted, action)
		}
	}
	slices.Sort(granted)
	return granted, how
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

func (p referenceRequest) loopback() truth {
	if !p.Address.IsValid() {
		return isUnknown
	}
	return truthOf(p.Address.IsLoopback())
}
