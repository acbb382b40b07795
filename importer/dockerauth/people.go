package dockerauth

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/crypto/bcrypt"

	"shorepass/providers"
)

// noPassword is a bcrypt hash that no known password has.
var noPassword = "$2y$05$" + strings.Repeat(".", 53)

// publishedHashes are the passwords that docker_auth's examples and its chart print, by
// their hashes.
var publishedHashes = map[string]string{
	"$2y$05$LO.vzwpWC5LZGqThvEfznu8qhb5SGqvBSWY1J3yZ4AxtMRZ3kN5jC": "badmin",
	"$2y$05$WuwBasGDAgr.QCbGIjKJaep4dhxeai9gNZdmBnQXqpKly57oNutya": "123",
}

// person is a static user as a user of a provider of kind file.
type person struct {
	user
	hash     string
	disabled string // why no login succeeds; empty if one can
}

// people translates the static users, and says whether docker_auth answers requests
// without credentials.
func (t *translation) people() (people []person, anonymous bool) {
	first := make(map[string]int)
	for _, u := range t.file.users {
		switch {
		case u.Name == "":
			anonymous = t.letsInAnonymous(u) || anonymous
			continue
		case u.null:
			t.addFor(u, Lost, "the user %q has no value, and docker_auth takes it for no user at all", u.Name)
			continue
		case u.password == nil:
			t.addFor(u, Refused, "the user %q has no password, so docker_auth lets everybody in who types the name; give it one, or \"\" for none at all", u.Name)
			continue
		}
		if problem := nameProblem(u.Name); problem != "" {
			t.addFor(u, Lost, "the user %q cannot log in here: the name %s", u.Name, problem)
			continue
		}
		p := person{user: u}
		p.hash, p.disabled = t.hash(u)
		folded := foldedName(u.Name)
		if i, twice := first[folded]; twice {
			t.addFor(u, Lost, "the users %q and %q are two accounts in docker_auth and one here, where case makes no difference; it is disabled until one of them has another name", people[i].Name, u.Name)
			people[i].disabled = fmt.Sprintf("%q of line %d is the same name here", u.Name, u.Line)
			continue
		}
		if strings.ToLower(u.Name) != u.Name {
			t.addFor(u, Changed, "rules, tokens and audit lines have the user %q in lower case, and its login may be typed in any case", u.Name)
		}
		first[folded] = len(people)
		people = append(people, p)
	}
	return people, anonymous
}

// addFor adds a finding of a user, with the file that has the user.
func (t *translation) addFor(u user, severity Severity, format string, args ...any) {
	t.r.findings = append(t.r.findings, Finding{u.file, u.Line, severity, fmt.Sprintf(format, args...)})
}

// letsInAnonymous translates the user "", which is a request without credentials.
func (t *translation) letsInAnonymous(u user) bool {
	switch {
	case u.null:
		t.addFor(u, Lost, "the user \"\" has no value, and docker_auth takes it for no user: requests without credentials are refused")
		return false
	case u.password != nil:
		t.addFor(u, Lost, "the user \"\" has a password, which no request without credentials has: these are refused")
		return false
	case u.unquotedNull:
		t.addFor(u, Refused, "the user null is the user \"\": requests without credentials are answered; write \"\" if that is meant, or the name in quotes")
		return false
	}
	return true
}

// hash returns the bcrypt hash of a user, and why no login with it succeeds.
func (t *translation) hash(u user) (hash, disabled string) {
	given := *u.password
	if plain, published := publishedHashes[given]; published {
		t.addFor(u, Changed, "the password of %q is printed in docker_auth's examples (%s), so the user is disabled; give it another one (\"shorepass hash\"), and remove disabled", u.Name, plain)
		return given, "docker_auth's examples print its password"
	}
	if len(given) < 59 || !strings.HasPrefix(given, "$2") {
		reason := "its password is no bcrypt hash"
		if given == "" {
			reason = "its password is empty"
		}
		t.addFor(u, Lost, "no login to docker_auth as %q succeeds: %s; the user is disabled here, so that no directory has the name", u.Name, reason)
		return noPassword, reason
	}
	hash = normalHash(given)
	cost, err := bcrypt.Cost([]byte(hash))
	switch {
	case err != nil || len(hash) != 60:
		t.addFor(u, Lost, "no login to docker_auth as %q succeeds: its password is no bcrypt hash; the user is disabled here, so that no directory has the name", u.Name)
		return noPassword, "its password is no bcrypt hash"
	case cost > maxCost:
		t.addFor(u, Lost, "the hash of %q has the cost %d, and %d is the most here, so the user is disabled; make another one (\"shorepass hash\")", u.Name, cost, maxCost)
		return noPassword, "its hash is too costly"
	}
	return hash, ""
}

// maxCost is the highest cost of a bcrypt hash that the file provider takes.
const maxCost = 16

// normalHash returns a bcrypt hash with the version and the length that the file provider
// takes. docker_auth ignores the version, and what follows the hash.
func normalHash(hash string) string {
	version, rest, _ := strings.Cut(strings.TrimPrefix(hash, "$"), "$")
	if version != "2a" && version != "2b" && version != "2y" {
		version = "2y"
	}
	hash = "$" + version + "$" + rest
	return hash[:min(len(hash), 60)]
}

// nameProblem returns why a name cannot be that of a local user, as the end of a
// sentence, or "".
func nameProblem(name string) string {
	login, err := providers.ParseLogin(name)
	switch {
	case err != nil:
		return "holds a character that cannot be typed, or is too long"
	case string(login) != name:
		return "begins or ends with a blank, or is not in Unicode's normal form C"
	case login.Reserved():
		return "is reserved: tools log in with it"
	}
	if _, err := providers.UserName(name, true); err != nil {
		return err.Error()
	}
	return providers.NameProblem(name)
}

// foldedName returns the form in which the file provider compares names.
func foldedName(name string) string { return providers.FoldCase(name) }

// writePerson writes a [[provider.user]] table.
func (t *translation) writePerson(p person) {
	rows := []row{{key: "name", value: quote(p.Name)}, {key: "password", value: quote(p.hash)}}
	var claims []string
	for _, label := range slices.Sorted(maps.Keys(p.Labels)) {
		values := p.Labels[label]
		switch {
		case label == t.groupLabel:
			if groups := t.groups(p); len(groups) > 0 {
				rows = append(rows, row{key: "groups", value: list(groups)})
			}
		default:
			claims = append(claims, key(label), inlineList(values))
		}
	}
	if len(claims) > 0 {
		rows = append(rows, row{key: "claims", value: inline(claims...)})
	}
	if p.disabled != "" {
		rows = append(rows, row{key: "disabled", value: "true", comment: p.disabled})
	}
	t.out.table("[[provider.user]]", rows)
	t.out.blank()
}

// groups returns the values of the group label that can be names of groups.
func (t *translation) groups(p person) []string {
	var groups []string
	for _, value := range p.Labels[t.groupLabel] {
		if problem := providers.NameProblem(value); problem != "" {
			t.addFor(p.user, Refused, "%q of the user %q in the label %q would be a group, and the name %s; remove it, or write another", value, p.Name, t.groupLabel, problem)
			continue
		}
		groups = append(groups, value)
	}
	return groups
}
