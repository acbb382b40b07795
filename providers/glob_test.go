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
