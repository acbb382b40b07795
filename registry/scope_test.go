package registry

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestParseScope: a scope that follows the grammar prints back the same or
// shorter; any other is left out.
func TestParseScope(t *testing.T) {
	same := "(the same)"
	for _, test := range []struct{ name, in, want string }{
		{"a pull", "repository:team-a/app:pull", same},
		{"a push", "repository:team-a/app:pull,push", same},
		{"a name of one component", "repository:app:pull", same},
		{"a deep name", "repository:a/b/c/d/e:pull", same},
		{"separators", "repository:a.b/c_d/e__f/g-h/i---j:pull", same},
		{"digits", "repository:0/1a/2:pull", same},
		{"the catalog", "registry:catalog:*", same},
		{"zot's catalog", "repository::pull", same},
		{"zot's catalog with other actions", "repository::push,pull,*", "repository::pull"},
		{"the statistics of GitLab's registry", "registry:statistics:*", same},
		{"skopeo delete", "repository:team-a/app:*", same},
		{"* with another action", "repository:a:pull,*", same},
		{"an unknown action", "repository:a:fly", same},
		{"another type", "project1:a:pull", same},
		{"a class", "repository(plugin):a:pull", same},
		{"a host with a port", "repository:host:5000/a:pull", same},
		{"a host with dots and a port", "repository:registry.corp.example:5000/team/a:pull", same},
		{"an upper-case host", "repository:Registry.Corp.example/a:pull", same},
		{"an upper-case host with a port", "repository:HOST:5000/a:pull", same},
		{"a host with hyphens", "repository:a--b.example:1/a:pull", same},
		{"an address", "repository:10.0.0.1:5000/a:pull", same},
		{"no action", "repository:a:", same},
		{"no action but a comma", "repository:a:,", "repository:a:"},
		{"empty actions between others", "repository:a:pull,,push,", "repository:a:pull,push"},
		{"an action twice", "repository:a:pull,push,pull", "repository:a:pull,push"},
		{"the longest name", "repository:" + strings.Repeat("a", 255) + ":pull", same},
		{"a long action", "repository:a:" + strings.Repeat("x", 64), same},

		{"a name too long", "repository:" + strings.Repeat("a", 256) + ":pull", ""},
		{"an action too long", "repository:a:" + strings.Repeat("x", 65), ""},
		{"a type too long", strings.Repeat("x", 65) + ":a:pull", ""},
		{"a class too long", "repository(" + strings.Repeat("x", 65) + "):a:pull", ""},
		{"a path that goes up", "../repository:a:pull", ""},
		{"a name that goes up", "repository:../a:pull", ""},
		{"a name that goes up inside", "repository:a/../b:pull", ""},
		{"dots", "repository:a..b:pull", ""},
		{"an upper-case type", "Repository:a:pull", ""},
		{"an upper-case name", "repository:App:pull", ""},
		{"an upper-case component", "repository:team/App:pull", ""},
		{"an upper-case first component", "repository:Team/app:pull", ""},
		{"an upper-case action", "repository:a:Pull", ""},
		{"an empty name, to be pushed to", "repository::push", ""},
		{"an empty name and *", "repository::*", ""},
		{"an empty name and a malformed action", "repository::pull,Push", ""},
		{"an empty name of a class", "repository(plugin)::pull", ""},
		{"an empty name of another type", "registry::pull", ""},
		{"an empty name and action", "repository:::", ""},
		{"colons alone", ":::", ""},
		{"an empty type", ":a:pull", ""},
		{"no colon", "repository", ""},
		{"one colon", "repository:a", ""},
		{"an empty component", "repository:a//b:pull", ""},
		{"a leading slash", "repository:/a:pull", ""},
		{"a trailing slash", "repository:a/:pull", ""},
		{"only a slash", "repository:/:pull", ""},
		{"a host with a port and no name", "repository:host:5000:pull", ""},
		{"a host without a name", "repository:host:5000/:pull", ""},
		{"a port that is no number", "repository:host:x/a:pull", ""},
		{"an empty port", "repository:host:/a:pull", ""},
		{"two ports", "repository:host:1:2/a:pull", ""},
		{"a port in a later component", "repository:a/host:5000/b:pull", ""},
		{"a host that begins with a hyphen", "repository:-h.x/a:pull", ""},
		{"a host with an underscore", "repository:h_h:5000/a:pull", ""},
		{"a host with an empty part", "repository:h..x:5000/a:pull", ""},
		{"a component that begins with a separator", "repository:-a:pull", ""},
		{"a component that ends with a separator", "repository:a_:pull", ""},
		{"three underscores", "repository:a___b:pull", ""},
		{"a dash and an underscore", "repository:a-_b:pull", ""},
		{"a dot and a dash", "repository:a.-b:pull", ""},
		{"an underscore and two more apart", "repository:a_._b:pull", ""},
		{"a star in a name", "repository:a*:pull", ""},
		{"two stars", "repository:a:**", ""},
		{"a star in a word", "repository:a:pull*", ""},
		{"a word after a star", "repository:a:*pull", ""},
		{"a digit in an action", "repository:a:pull2", ""},
		{"a colon after the actions", "repository:a:pull:", ""},
		{"an empty class", "repository():a:pull", ""},
		{"a class alone", "(plugin):a:pull", ""},
		{"a class that is not closed", "repository(plugin:a:pull", ""},
		{"a class that is not opened", "repositoryplugin):a:pull", ""},
		{"two classes", "repository(a)(b):a:pull", ""},
		{"a class in a class", "repository(a(b)):a:pull", ""},
		{"something after the class", "repository(plugin)x:a:pull", ""},
		{"a newline at the end", "repository:a:pull\n", ""},
		{"a newline in front", "\nrepository:a:pull", ""},
		{"a tab between two", "repository:a:pull\trepository:b:pull", ""},
		{"NUL", "repository:a\x00:pull", ""},
		{"a letter that folds to s", "repo\u017fitory:a:pull", ""},
		{"full-width letters", "repository:\uff41:pull", ""},
		{"no UTF-8", "repository:\xff:pull", ""},
		{"a tag", "repository:a:latest:pull", ""},
		{"a digest", "repository:a@sha256:00:pull", ""},
		{"escaped", "repository%3Aa%3Apull", ""},
	} {
		want := test.want
		if want == same {
			want = test.in
		}
		if got := parsed(t, test.in); got != want {
			t.Errorf("%s: ParseScopes(%q) = %q, want %q", test.name, test.in, got, want)
		}
	}
}

// parsed returns the scopes that ParseScopes returns, joined by spaces.
func parsed(t *testing.T, params ...string) string {
	t.Helper()
	scopes, err := ParseScopes(params)
	if err != nil {
		t.Errorf("ParseScopes(%q): %v", params, err)
	}
	texts := make([]string, len(scopes))
	for i, s := range scopes {
		texts[i] = s.String()
	}
	return strings.Join(texts, " ")
}

// TestParseScopes: scopes of several parameters are split, and those of one
// resource are merged.
func TestParseScopes(t *testing.T) {
	for _, test := range []struct {
		name string
		in   []string
		want []Scope
	}{
		{"no parameter", nil, nil},
		{"an empty parameter, as crane sends", []string{""}, nil},
		{"spaces alone", []string{"   ", " "}, nil},
		{"a mount", []string{"repository:b:pull,push repository:a:pull"}, []Scope{
			{Type: "repository", Name: "b", Actions: []string{"pull", "push"}}, {Type: "repository", Name: "a", Actions: []string{"pull"}}}},
		{"a resource in two parameters", []string{"repository:a:pull  repository:b:pull ", " repository:a:push"}, []Scope{
			{Type: "repository", Name: "a", Actions: []string{"pull", "push"}}, {Type: "repository", Name: "b", Actions: []string{"pull"}}}},
		{"a plugin and a repository of one name", []string{"repository(plugin):a:pull repository:a:pull"}, []Scope{
			{Type: "repository", Class: "plugin", Name: "a", Actions: []string{"pull"}}, {Type: "repository", Name: "a", Actions: []string{"pull"}}}},
		{"a name with two types", []string{"registry:catalog:* repository:catalog:pull"}, []Scope{
			{Type: "registry", Name: "catalog", Actions: []string{"*"}}, {Type: "repository", Name: "catalog", Actions: []string{"pull"}}}},
		{"a malformed scope between others", []string{"repository:a:pull repository::push repository:b:pull"}, []Scope{
			{Type: "repository", Name: "a", Actions: []string{"pull"}}, {Type: "repository", Name: "b", Actions: []string{"pull"}}}},
		{"a resource without and with an action", []string{"repository:a: repository:a:pull"}, []Scope{{Type: "repository", Name: "a", Actions: []string{"pull"}}}},
		{"no action", []string{"repository:a:"}, []Scope{{Type: "repository", Name: "a"}}},
		{"malformed scopes alone", []string{"repository", "x"}, []Scope{}},
	} {
		got, err := ParseScopes(test.in)
		if diff := cmp.Diff(test.want, got); diff != "" || err != nil {
			t.Errorf("%s: ParseScopes(%q): %v (-want +got)\n%s", test.name, test.in, err, diff)
		}
	}
}

// TestParseScopesLimits: a request has at most MaxScopes scopes in at most
// MaxScopeBytes bytes.
func TestParseScopesLimits(t *testing.T) {
	many := func(n int, format string) []string {
		var params []string
		for i := range n {
			params = append(params, fmt.Sprintf(format, i))
		}
		return params
	}
	for _, test := range []struct {
		name string
		in   []string
		want int // scopes, or -1 for ErrTooManyScopes
	}{
		{"as many as allowed", many(256, "repository:a%d:pull"), 256},
		{"as many as allowed, joined", []string{strings.Join(many(256, "repository:a%d:pull"), " ")}, 256},
		{"one too many", many(257, "repository:a%d:pull"), -1},
		{"one too many, joined", []string{strings.Join(many(257, "repository:a%d:pull"), " ")}, -1},
		{"one too many of one resource", slices.Repeat([]string{"repository:a:pull"}, 257), -1},
		{"one too many, all malformed", slices.Repeat([]string{"x"}, 257), -1},
		{"a thousand empty parameters", slices.Repeat([]string{""}, 1000), 0},
		{"as long as allowed", []string{"repository:a:" + strings.Repeat(",", MaxScopeBytes-13)}, 1},
		{"one byte too long", []string{"repository:a:" + strings.Repeat(",", MaxScopeBytes-12)}, -1},
		{"too long together", []string{strings.Repeat(" ", MaxScopeBytes/2), strings.Repeat(" ", MaxScopeBytes/2), " "}, -1},
	} {
		got, err := ParseScopes(test.in)
		if test.want < 0 {
			if !errors.Is(err, ErrTooManyScopes) || got != nil {
				t.Errorf("%s: ParseScopes = %d scopes, %v, want ErrTooManyScopes and none", test.name, len(got), err)
			}
			continue
		}
		if err != nil || len(got) != test.want {
			t.Errorf("%s: ParseScopes = %d scopes, %v, want %d", test.name, len(got), err, test.want)
		}
	}
}

// TestParseScopesBoundsActions: further actions on a resource are ignored.
// Without that bound, 64 KiB of distinct actions take half a second to compare.
func TestParseScopesBoundsActions(t *testing.T) {
	var b strings.Builder
	for a := 'a'; a <= 'z'; a++ {
		for c := 'a'; c <= 'z'; c++ {
			fmt.Fprintf(&b, "%c%c,", a, c)
		}
	}
	scopes, err := ParseScopes([]string{"repository:a:" + b.String(), "repository:a:pull"})
	if err != nil || len(scopes) != 1 || len(scopes[0].Actions) != maxActions {
		t.Errorf("ParseScopes = %v, %v, want one scope of %d actions", scopes, err, maxActions)
	}
}

// The grammar as the specification has it, for the fuzz target to compare
// with, and our own narrower rule for a hostname.
var (
	specScope = regexp.MustCompile(`^[a-z0-9]+(?:\([a-z0-9]+\))?:` +
		`(?:([a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*(?::[0-9]+)?)/)?` +
		`[a-z0-9]+(?:(?:[_.]|__|-*)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[_.]|__|-*)[a-z0-9]+)*)*` +
		`:(?:[a-z]*|\*)(?:,(?:[a-z]*|\*))*$`)
	upperHost = regexp.MustCompile(`^[^:]*:[^./:]*[A-Z][^./:]*/`)

	// zotCatalog is the one scope outside of that grammar.
	zotCatalog = regexp.MustCompile(`^repository::(?:(?:[a-z]*|\*),)*pull(?:,(?:[a-z]*|\*))*$`)
)

// FuzzParseScopes: an accepted scope prints and parses back the same, and
// exactly the scopes of the specification's grammar are accepted.
func FuzzParseScopes(f *testing.F) {
	for _, seed := range []string{
		"repository:team-a/app:pull,push", "registry:catalog:*", "repository(plugin):a:pull", "repository:host:5000/a:pull",
		"repository:Host.x/a:pull repository:Host/a:pull", "repository::pull", "repository:::", "../repository:a:pull",
		"repository:a__b/c--d.e:pull repository:a:*,pull,, repository:a:", "a:b:c a:b:d a:b:c,e",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, param string) {
		scopes, err := ParseScopes([]string{param})
		if err != nil {
			if scopes != nil {
				t.Fatalf("ParseScopes(%q) = %v with the error %v", param, scopes, err)
			}
			return
		}
		accepted := make(map[string]bool)
		for _, s := range scopes {
			again, err := ParseScopes([]string{s.String()})
			if diff := cmp.Diff([]Scope{s}, again); diff != "" || err != nil {
				t.Fatalf("ParseScopes(%q) gives %q, which does not parse back: %v\n%s", param, s, err, diff)
			}
			accepted[s.Type+"("+s.Class+"):"+s.Name] = true
		}
		checkAgainstSpec(t, param, accepted)
	})
}

// checkAgainstSpec compares each scope in param with the specification.
func checkAgainstSpec(t *testing.T, param string, accepted map[string]bool) {
	wanted := 0
	for text := range strings.SplitSeq(param, " ") {
		s, _, ok := parseScope(text)
		spec := specScope.MatchString(text) && !upperHost.MatchString(text) || zotCatalog.MatchString(text)
		if ok && !spec {
			t.Fatalf("%q is accepted, and the specification refuses it", text)
		}
		if !ok && spec && len(text) <= maxWordBytes {
			t.Fatalf("%q is refused, and the specification accepts it", text)
		}
		if ok && !accepted[s.Type+"("+s.Class+"):"+s.Name] {
			t.Fatalf("ParseScopes(%q) lost %q", param, text)
		}
		if ok {
			wanted++
		}
	}
	if len(accepted) > wanted {
		t.Fatalf("ParseScopes(%q) made %d resources of %d", param, len(accepted), wanted)
	}
}

func BenchmarkParseScopes(b *testing.B) {
	b.ReportAllocs()
	params := []string{"repository:team-a/app:pull,push repository:team-b/base:pull"}
	for b.Loop() {
		if scopes, err := ParseScopes(params); err != nil || len(scopes) != 2 {
			b.Fatal(scopes, err)
		}
	}
}

// TestIsComponent: a component is lower case letters and digits with separators
// between them.
func TestIsComponent(t *testing.T) {
	for name, want := range map[string]bool{
		"a": true, "team-a": true, "team--a": true, "a.b_c": true, "a__b": true, "1": true,
		"": false, "-a": false, "a-": false, "a___b": false, "a..b": false, "a._b": false, "a/b": false,
		"..": false, "*": false, "**": false, "A": false, "a b": false, "a ": false, "gh:a": false, "josé": false, "a\x00": false,
	} {
		if got := IsComponent(name); got != want {
			t.Errorf("IsComponent(%q) = %v, want %v", name, got, want)
		}
	}
}
