package policy

import (
	"strings"
	"testing"
)

// TestUnmatchedGroups: an entry of a groups key that no group of the rule's providers
// matches is reported, as long as each of these can list its groups.
func TestUnmatchedGroups(t *testing.T) {
	known := map[string]KnownGroups{
		"corp":  {FoldsCase: true, Names: []string{"Devs", "team-blue"}},
		"local": {Names: []string{"Ops"}},
	}
	for _, tt := range []struct {
		name      string
		groups    []string
		providers []string
		all       []string
		want      string // the keys and entries
	}{
		{"a group that exists", []string{"devs"}, nil, []string{"corp", "local"}, ""},
		{"a misspelt group", []string{"devs", "developers"}, nil, []string{"corp", "local"}, "rule[0].groups[1] developers"},
		{"a glob that matches", []string{"team-*"}, nil, []string{"corp", "local"}, ""},
		{"a glob that matches nothing", []string{"teams-*"}, nil, []string{"corp", "local"}, "rule[0].groups[0] teams-*"},
		{"case counts at a provider that compares it", []string{"ops"}, []string{"local"}, []string{"corp", "local"}, "rule[0].groups[0] ops"},
		{"the group of another provider", []string{"Ops"}, []string{"corp"}, []string{"corp", "local"}, "rule[0].groups[0] Ops"},
		{"a provider that cannot list its groups", []string{"developers"}, nil, []string{"corp", "local", "sso"}, ""},
		{"a rule that is not for that provider", []string{"developers"}, []string{"corp"}, []string{"corp", "sso"}, "rule[0].groups[0] developers"},
		{"our own groups", []string{"authenticated", "anonymous"}, nil, []string{"corp"}, ""},
	} {
		p := compile(t, []Rule{{Groups: tt.groups, Providers: tt.providers, Repositories: []string{"a"}, Actions: []string{"pull"}}})
		var got []string
		p.UnmatchedGroups(tt.all, known, func(key, entry string) { got = append(got, key+" "+entry) })
		if strings.Join(got, "; ") != tt.want {
			t.Errorf("%s: UnmatchedGroups reports %q, want %q", tt.name, got, tt.want)
		}
	}
}
