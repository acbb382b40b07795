package providers

import (
	"strings"
	"testing"
)

func TestGlob(t *testing.T) {
	for _, test := range []struct {
		glob, name string
		want       bool
	}{
		{"bob", "bob", true}, {"bob", "bobby", false}, {"bob", "", false}, {"", "", true},
		{"*", "", true}, {"*", "a/b@c", true}, {"**", "x", true},
		{"*@partner.example", "bob@partner.example", true}, {"*@partner.example", "bob@partner.example.evil", false},
		{"*@partner.example", "@partner.example", true}, {"*@partner.example", "a@b@partner.example", true},
		{`corp\*`, `corp\bob`, true}, {`corp\*`, "corpbob", false},
		{"b?b", "bob", true}, {"b?b", "böb", true}, {"b?b", "bb", false}, {"?", "", false},
		{"a*b*c", "aXbYbZc", true}, {"a*b*c", "acb", false}, {"*a*a*a*b", strings.Repeat("a", 500), false},
		{"reg-*", "reg-", true}, {"[ab]", "a", false}, {"[ab]", "[ab]", true}, {"a.c", "abc", false},
	} {
		if got := glob(test.glob).match(test.name); got != test.want {
			t.Errorf("glob(%q).match(%q) = %v, want %v", test.glob, test.name, got, test.want)
		}
	}
	if g := compileLoginGlobs([]string{"CORP\\*", "*@STRASSE.example"}); !g.match(`corp\bob`) || !g.match("bob@strasse.example") {
		t.Error("a glob in capitals does not match the key of a login name")
	}
}

func TestGroupNames(t *testing.T) {
	g := GroupNames{Only: []string{"reg-*", "ops"}, Rename: map[string]string{"reg-a": "team-a", "dropped": "ops"}}
	if got := strings.Join(g.Apply([]string{"reg-a", "ops", "Ops", "dropped", "reg-b"}), " "); got != "team-a ops reg-b" {
		t.Errorf("Apply = %q, want team-a ops reg-b", got)
	}
	if got := (GroupNames{}).Apply([]string{"a", "b"}); len(got) != 2 {
		t.Errorf("Apply without only = %q, want all", got)
	}
	var faults []string
	GroupNames{Only: []string{""}, Rename: map[string]string{"a": "authenticated"}}.Validate(func(key, _ string) { faults = append(faults, key) })
	if got := strings.Join(faults, " "); got != "only[0] rename" {
		t.Errorf("Validate reports %q, want only[0] rename", got)
	}
}
