package pages

import (
	"os/exec"
	"testing"
)

// The shell reads each quoted user name as one word, and as it was.
func TestShellQuote(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, want string }{
		{"alice", "alice"},
		{"alice@corp.example", "alice@corp.example"},
		{"registry.corp.example:5000", "registry.corp.example:5000"},
		{"josé", "'josé'"},
		{"alice smith", "'alice smith'"},
		{"$HOME", "'$HOME'"},
		{"`id`", "'`id`'"},
		{"$(id)", "'$(id)'"},
		{`CORP\alice`, `'CORP\alice'`},
		{"o'brien", `'o'\''brien'`},
		{`"alice"`, `'"alice"'`},
		{"alice;id", "'alice;id'"},
		{"alice&", "'alice&'"},
		{"a|b>c<d", "'a|b>c<d'"},
		{"~alice", "'~alice'"},
		{"#alice", "'#alice'"},
		{"a*b?[c]", "'a*b?[c]'"},
		{"{a,b}", "'{a,b}'"},
		{"!!", "'!!'"},
		{"-u", "'-u'"},
		{"a=b", "a=b"},
		{"", "''"},
		{"'", `''\'''`},
		{"a\tb", "'a\tb'"},
	} {
		got := shellQuote(tc.name)
		if got != tc.want {
			t.Errorf("shellQuote(%q) = %s, want %s", tc.name, got, tc.want)
		}
		read, err := exec.Command("sh", "-c", "printf '[%s]' "+got).Output()
		if err != nil || string(read) != "["+tc.name+"]" {
			t.Errorf("sh reads %s as %q (%v), want %q", got, read, err, tc.name)
		}
	}
}

func TestLoginCommand(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ user, want string }{
		{"alice", "docker login -u alice registry.corp.example"},
		{`CORP\alice`, `docker login -u 'CORP\alice' registry.corp.example`},
		{"auth0:alice", "docker login -u token registry.corp.example"},
		{"<token>", "docker login -u token registry.corp.example"},
	} {
		if got := loginCommand("docker login", tc.user, "registry.corp.example"); got != tc.want {
			t.Errorf("loginCommand(%q) = %s, want %s", tc.user, got, tc.want)
		}
	}
}
