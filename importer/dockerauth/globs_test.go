package dockerauth

import (
	"slices"
	"testing"
)

// Patterns of names become our globs where these match the same names of repositories.
// Where they match more, a condition with the expression stands beside them.
func TestPatternsBecomeGlobs(t *testing.T) {
	for _, test := range []struct {
		pattern string
		globs   []string
		exact   bool
	}{
		// Globs of path.Match.
		{"team/app", []string{"team/app"}, true},
		{"team/*", []string{"team/*"}, true},
		{"team/**", []string{"team/*"}, true}, // no more than one component
		{"a*z/b*y", []string{"a*z/b*y"}, true},
		{"cls/[a-c]*", []string{"cls/a*", "cls/b*", "cls/c*"}, true},
		{"q?/v", []string{"q*/v"}, false},
		{"[a-z]pp", []string{"*pp"}, false},
		{"jump[^x]end", []string{"jump**end"}, false}, // a negated class matches a slash too
		{"wide[.-9]end", []string{"wide**end"}, false},
		{`esc/\a\.b`, []string{"esc/a.b"}, true},
		{`esc/\*`, nil, true}, // no name has an asterisk
		{"brace/{x,y}", nil, true},

		// Regular expressions are found anywhere.
		{"/^team/app$/", []string{"team/app"}, true},
		{"/^press/", []string{"press**"}, true},
		{"/ink$/", []string{"**ink"}, true},
		{"/archive/", []string{"**archive**"}, true},
		{"/.*/", []string{"**"}, true},
		{"/.+/", []string{"**"}, true},
		{"/^$/", nil, true},
		{"/^team/.+$/", []string{"team/**"}, true}, // a name does not end in a slash
		{"/^te.+$/", []string{"te**"}, false},
		{"/^[^/]+/tools$/", []string{"*/tools"}, true},
		{"/^(red|blue)/x$/", []string{"red/x", "blue/x"}, true},
		{"/^box(-[ab])?$/", []string{"box-a", "box-b", "box"}, true},
		{"/(^|/)tools(/|$)/", []string{"tools/**", "tools", "**/tools/**", "**/tools"}, true},
		{"/^(?i)GLUE$/", []string{"glue"}, true},
		{"/^(?i)Host/x$/", []string{"host/x"}, false}, // a host may have capitals
		{"/^mill-[0-9]{2,}$/", []string{"mill-*"}, false},
		{"/^a.c$/", []string{"a**c"}, false},
		{`/^app\b/`, []string{"app**"}, false},
		{"/^a|b$/", []string{"a**", "**b"}, true},
	} {
		made, ok := parsePattern(test.pattern, nil).fill(noValue)
		if !ok {
			t.Errorf("%s is broken", test.pattern)
			continue
		}
		globs, exact := made.globs(pathName)
		if !slices.Equal(globs, test.globs) || exact != test.exact {
			t.Errorf("%s becomes %q, exact %v; want %q, %v", test.pattern, globs, exact, test.globs, test.exact)
		}
	}
}

func TestBrokenGlobsNeverMatch(t *testing.T) {
	for _, text := range []string{"[a-", "[", "[]", "[^]", "[]a]", "[-x]", "[x-]", "[a", `a\`, `[\`} {
		if made, ok := parsePattern(text, nil).fill(noValue); ok {
			t.Errorf("%s is the expression %s, want none", text, made.source)
		}
	}
}

func TestGlobsMeet(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want bool
	}{
		{"a", "a", true},
		{"a", "b", false},
		{"team/*", "team/app", true},
		{"team/*", "team/app/x", false},
		{"team/**", "team/app/x", true},
		{"*/app", "team/*", true},
		{"*-a", "b-*", true},
		{"a*", "b*", false},
		{"**", "x/y", true},
		{"**x", "y**", true},
		{"*", "a/b", false},
		{"{user}/*", "team/app", true},
		{"{user}/*", "team", false},
		{"re/{claims.x}-*", "re/a-b", true},
	} {
		if got := meet([]string{test.a}, []string{test.b}, pathName); got != test.want {
			t.Errorf("%s meets %s: %v, want %v", test.a, test.b, got, test.want)
		}
		if got := meet([]string{test.b}, []string{test.a}, pathName); got != test.want {
			t.Errorf("%s meets %s: %v, want %v", test.b, test.a, got, test.want)
		}
	}
}
