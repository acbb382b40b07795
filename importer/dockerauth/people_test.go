package dockerauth

import (
	"strings"
	"testing"
)

// TestPasswords: a hash that docker_auth takes is taken here, in the form that the file
// provider wants. With any other no login succeeds, and the name stays taken.
func TestPasswords(t *testing.T) {
	const rest = "$05$eziYaMjd7zu5wkPVPKqAcuRDZqSblwmwy/APz8kE62HAtTCUTQbZm"
	for given, want := range map[string]string{
		"$2y" + rest: "$2y" + rest, "$2a" + rest: "$2a" + rest, "$2b" + rest: "$2b" + rest,
		"$2x" + rest: "$2y" + rest, "$2" + rest: "$2y" + rest, "$2y" + rest + " ": "$2y" + rest,
		"": "", "secret": "", "$2y$05$short": "", "$2y$99" + rest[3:]: "", "$2y$17" + rest[3:]: "",
		strings.Repeat("$2", 40): "", "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$" + strings.Repeat("a", 43): "",
	} {
		r := &reader{}
		tr := &translation{r: r, file: &authConfig{users: []user{{staticUser: staticUser{Line: 1, Name: "bob"}, password: &given}}}}
		people, _ := tr.people()
		if len(people) != 1 {
			t.Fatalf("%q: %d users, want one", given, len(people))
		}
		p := people[0]
		if want != "" && (p.hash != want || p.disabled != "") || want == "" && (p.hash != noPassword || p.disabled == "" || len(r.findings) != 1) {
			t.Errorf("%q becomes %q, disabled %q, %q; want %q", given, p.hash, p.disabled, lines(r.findings), want)
		}
	}
}

// TestNames: names that are one account here are not two, and what cannot be a name is
// left out.
func TestNames(t *testing.T) {
	hash := "$2y$05$eziYaMjd7zu5wkPVPKqAcuRDZqSblwmwy/APz8kE62HAtTCUTQbZm"
	tr := &translation{r: &reader{}, file: &authConfig{}}
	for i, name := range []string{"bob", "Bob", "José", "signe@kai.test", "night build", "$oidc", "oauth2accesstoken", " eve", "e\u200bve", "a\nb", strings.Repeat("x", 600)} {
		tr.file.users = append(tr.file.users, user{staticUser: staticUser{Line: i + 1, Name: name}, password: &hash})
	}
	people, anonymous := tr.people()
	var names []string
	for _, p := range people {
		names = append(names, p.Name)
	}
	if got := strings.Join(names, ", "); got != "bob, José, signe@kai.test, night build" || people[0].disabled == "" || anonymous {
		t.Errorf("users = %s, bob disabled: %q", got, people[0].disabled)
	}
	if len(tr.r.findings) != 8 {
		t.Errorf("findings: %q", lines(tr.r.findings))
	}
}
