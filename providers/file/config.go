package file

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"shorepass/internal/secret"
	"shorepass/providers"
)

// Config is a [[provider]] table of kind "file".
type Config struct {
	providers.Config

	// Users are the local users, a [[provider.user]] table each. Optional with
	// htpasswd.
	Users []User `toml:"user"`

	// Htpasswd is a file of "name:hash" lines, bcrypt only (htpasswd -B).
	// Reread when it changes. Optional.
	Htpasswd string `toml:"htpasswd" path:"read"`

	// HtpasswdGroups is a file of "group: name name" lines for the users of
	// htpasswd (Apache's AuthGroupFile). Reread when it changes. Optional.
	HtpasswdGroups string `toml:"htpasswd_groups" path:"read"`
}

// User is a [[provider.user]] table.
type User struct {
	// Name is the user name. Case is ignored; rules and tokens have it in lower
	// case.
	Name string `toml:"name"`

	// Password is the hash of the password, as "shorepass hash" prints it
	// ("$argon2id$…"), or a bcrypt hash ("$2y$…", "$2a$…", "$2b$…").
	Password secret.Text `toml:"password"`

	// Groups are the user's groups. Rules ignore their case. Optional.
	Groups []string `toml:"groups"`

	// Email is the user's e-mail address, which rules read as claims.email.
	// Optional.
	Email string `toml:"email"`

	// Claims are further claims, which rules read as claims.NAME. Optional.
	Claims map[string]any `toml:"claims"`

	// Disabled refuses the user's logins, and ends the user's sessions. Default
	// false.
	Disabled bool `toml:"disabled"`
}

// ClaimNames returns the names of the claims that some user has, and "email",
// which any user may have.
func (c Config) ClaimNames() []string {
	var names []string
	for _, u := range c.Users {
		names = append(append(names, "email"), slices.Collect(maps.Keys(u.Claims))...)
	}
	return names
}

// FoldsCase reports that names are compared without case.
func (c Config) FoldsCase() bool { return true }

// Methods returns the only method: a password.
func (c Config) Methods() []providers.Method { return []providers.Method{providers.MethodPassword} }

// ReadsGroups reports that users have groups.
func (c Config) ReadsGroups() bool { return true }

// GroupNames returns no options: local groups are used as configured.
func (c Config) GroupNames() providers.GroupNames { return providers.GroupNames{} }

// WithDefaults returns c: only [providers.Config] has defaults.
func (c Config) WithDefaults() Config { return c }

// Validate reports the faults of the table without reading files. The keys of
// [providers.Config] are checked with all providers together.
func (c Config) Validate(fault func(key, problem string)) {
	if len(c.Users) == 0 && c.Htpasswd == "" {
		fault("user", "the provider has no users; add a [[provider.user]] table or htpasswd = \"FILE\"")
	}
	if c.HtpasswdGroups != "" && c.Htpasswd == "" {
		fault("htpasswd_groups", "names the groups of the users in htpasswd, which is missing")
	}
	first := make(map[providers.Login]int)
	for i, u := range c.Users {
		at := fmt.Sprintf("user[%d].", i)
		name, err := foldName(u.Name)
		if err != nil {
			fault(at+"name", err.Error())
		} else if j, twice := first[name]; twice {
			fault(at+"name", fmt.Sprintf("%q is the name of user[%d] too; case makes no difference", u.Name, j))
		} else {
			first[name] = i
		}
		if u.Password.IsZero() {
			fault(at+"password", "is required: the line that \"shorepass hash\" prints")
		} else if _, err := parseHash(u.Password.Reveal()); err != nil {
			fault(at+"password", err.Error())
		}
		for j, group := range u.Groups {
			if err := checkGroup(group); err != nil {
				fault(fmt.Sprintf("%sgroups[%d]", at, j), err.Error())
			}
		}
		if _, both := u.Claims["email"]; both && u.Email != "" {
			fault(at+"claims.email", "duplicates email; set one of them")
		}
	}
}

// foldName parses a user name as if it were typed, and returns the key by which
// users are found.
func foldName(name string) (providers.Login, error) {
	login, err := providers.ParseLogin(name)
	folded := fold(login)
	problem := providers.NameProblem(strings.TrimSpace(name))
	switch {
	case err == nil && folded == "":
		return "", fmt.Errorf("is required")
	case err != nil || problem != "":
		return "", fmt.Errorf("%q cannot be a user: the name %s", name, cmp.Or(problem, "cannot be typed"))
	case folded.Reserved():
		return "", fmt.Errorf("%q is reserved, since tools log in with it; write a name other than \"oauth2accesstoken\" that begins with neither \"$\" nor \"<\"", name)
	}
	return folded, nil
}

// checkGroup returns an error if a text cannot be the name of a group.
func checkGroup(name string) error {
	if problem := providers.NameProblem(strings.TrimSpace(name)); problem != "" {
		return fmt.Errorf("%q cannot be a group: the name %s", name, problem)
	}
	return nil
}

// fold returns the form in which names are compared: without case.
func fold(login providers.Login) providers.Login {
	return providers.Login(providers.FoldCase(string(login)))
}
