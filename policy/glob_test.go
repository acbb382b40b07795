package policy

import (
	"regexp"
	"strings"
	"testing"
)

// TestGlob: in a path "*" stays within a component, "**" crosses components,
// and placeholders are replaced by values.
func TestGlob(t *testing.T) {
	you := &values{user: "alice", group: "team-a", claims: []string{"blue"}}
	for _, tt := range []struct {
		glob, name string
		want       bool
	}{
		{"app", "app", true},
		{"app", "apps", false},
		{"app", "App", false},
		{"*", "app", true},
		{"*", "team/app", false},
		{"**", "team/app", true},
		{"team/*", "team/app", true},
		{"team/*", "team/a/b", false},
		{"team/*", "team", false},
		{"team/**", "team/a/b", true},
		{"team/**", "team", false},
		{"team/**", "teams/a", false},
		{"team-*/**", "team-a/b/c", true},
		{"team-*/**", "team-a", false},
		{"team-**", "team-a/b", true},
		{"*/release/**", "a/release/b", true},
		{"*/release/**", "a/b/release/c", false},
		{"**/release/**", "a/b/release/c", true},
		{"**/release", "release", false},
		{"*-cache", "a-cache-cache", true},
		{"*-cache/*", "a-cache/x-cache/y", false},
		{"**-cache/*", "a-cache/x-cache/y", true},
		{"**a*b/c", "a/ab/c", true},
		{"a*b*c", "abbc", true},
		{"a*b*c", "ab/c", false},
		{"{user}/**", "alice/app", true},
		{"{user}/**", "bob/app", false},
		{"{group}-{claims.colour}/*", "team-a-blue/x", true},
		{"*/{user}", "x/alice", true},
		{"*/{user}", "x/alicea", false},
		{"*{user}", "aliceaalice", true},
	} {
		g, err := parseGlob(tt.glob, pathName)
		if err != nil {
			t.Errorf("parseGlob(%q): %v", tt.glob, err)
			continue
		}
		if got := g.match(tt.name, you); got != tt.want {
			t.Errorf("glob %q match(%q) = %v, want %v", tt.glob, tt.name, got, tt.want)
		}
	}
}

// TestGlobOverPlainNames: the names of people are no paths, so that "*" covers
// those with "/" too.
func TestGlobOverPlainNames(t *testing.T) {
	for _, tt := range []struct {
		glob, name string
		want       bool
	}{
		{"*", "sso/jo@corp.example", true},
		{"*", "/dev/team", true},
		{"**", "/dev/team", true},
		{"sso/*", "sso/a/b", true},
		{"sso/*", "sso/", true},
		{"sso/*", "sso", false},
		{"/dev/*-leads", "/dev/team/x-leads", true},
		{"*@corp.example", "jo@corp.example", true},
		{"josé", "josé", true},
		{`CN=Doe\, J`, `CN=Doe\, J`, true},
		{"o(brien", "o(brien", true},
	} {
		g, err := parseGlob(tt.glob, plainName)
		if err != nil {
			t.Errorf("parseGlob(%q): %v", tt.glob, err)
			continue
		}
		if got := g.match(tt.name, nil); got != tt.want {
			t.Errorf("glob %q match(%q) = %v, want %v", tt.glob, tt.name, got, tt.want)
		}
	}
}

// TestGlobErrors: the error of a glob says what would be right.
func TestGlobErrors(t *testing.T) {
	for text, want := range map[string]string{
		"":            "is empty; write a name, or a glob with * and **",
		"a/***":       `has 3 asterisks in a row; write "*" for a run without "/", "**" for any run`,
		"{grp}/x":     "has the unknown placeholder {grp}; there are {user}, {group} and {claims.NAME}",
		"{claims.}/x": "has the unknown placeholder {claims.}; there are {user}, {group} and {claims.NAME}",
		"{user/x":     "has a brace without its partner; placeholders are {user}, {group} and {claims.NAME}",
		"user}":       "has a brace without its partner; placeholders are {user}, {group} and {claims.NAME}",
	} {
		if _, err := parseGlob(text, pathName); err == nil || err.Error() != want {
			t.Errorf("parseGlob(%q) = %v, want %v", text, err, want)
		}
	}
}

// FuzzGlob compares the matcher with a regular expression of the same meaning:
// the limited backtracking of match misses nothing.
func FuzzGlob(f *testing.F) {
	f.Add("team-*/**", "team-a/b")
	f.Add("**a*b/c*", "a/ab/cc")
	f.Add("*a**b*", "aab/b/b")
	f.Add("**/*x*/**y", "a/x/x/y")
	f.Fuzz(func(t *testing.T, text, name string) {
		if strings.Contains(text, "{") || len(text) > 100 || len(name) > 100 {
			return
		}
		for _, kind := range []nameKind{plainName, pathName} {
			if g, err := parseGlob(text, kind); err == nil {
				compareWithRegexp(t, text, name, g)
			}
		}
	})
}

func compareWithRegexp(t *testing.T, text, name string, g glob) {
	var re strings.Builder
	for _, tok := range g {
		switch tok.kind {
		case star:
			re.WriteString("[^/]*")
		case doubleStar:
			re.WriteString(".*")
		default:
			re.WriteString(regexp.QuoteMeta(tok.text))
		}
	}
	r, err := regexp.Compile("^(?s:" + re.String() + ")$")
	if err != nil {
		return // a glob that is not UTF-8 has no regular expression
	}
	if strings.ToValidUTF8(name, "") != name {
		return
	}
	if got, want := g.match(name, nil), r.MatchString(name); got != want {
		t.Errorf("glob %q match(%q) = %v, want %v", text, name, got, want)
	}
}
