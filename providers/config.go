package providers

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"shorepass/internal/duration"
)

// Config has the keys of a [[provider]] table that all kinds of providers have; the Config of
// a kind embeds it.
type Config struct {
	// Name of the provider in logs, rules and sessions. Unique, and never
	// changed once sessions exist.
	Name string `toml:"name"`

	// Kind of provider: "file", "ldap" or "oidc".
	Kind string `toml:"kind"`

	// Match are globs of the login names that can belong to this provider (`*` is
	// any text, `/` included, `?` one character). Default: all.
	Match []string `toml:"match"`

	// Prefix is prepended to this provider's user names and groups, so that one
	// provider's "admins" cannot become another's. If there are several
	// providers, each that is not a file must set it, if only to "". An account
	// that would get the same name as a user of a file is refused.
	Prefix *string `toml:"prefix"`

	// RequireGroups are globs of groups (`*` is any text, `/` included, `?` one
	// character), compared after rename and prefix. Only a person who is
	// certainly in one of them can log in. Optional.
	RequireGroups []string `toml:"require_groups"`

	// Remember is the TTL of the cache of right passwords, at most "1m". Default
	// "1m"; with "0s" each login asks the provider.
	Remember *time.Duration `toml:"remember"`

	// WrongPasswords is the rate limit of an account: how many distinct wrong
	// passwords reach the provider before wrong_password_window expires; one less
	// from an address where that login name did not log in within a day. Keep it
	// below the lockout threshold T of the directory: T-1, because VPN and mail
	// count too, and at most 8. Halve that where an OpenID provider accepts two
	// login names for one account, such as user name and e-mail address, because
	// each name is counted separately. Default 4.
	WrongPasswords int `toml:"wrong_passwords"`

	// WrongPasswordWindow is the window of that limit: it expires as a whole, so
	// long and one minute after the last new wrong password. Make it as long as
	// the directory's own window. Default "30m".
	WrongPasswordWindow time.Duration `toml:"wrong_password_window"`

	// IDTokensAuthenticated puts people who log in with an ID token into the
	// group "authenticated" too. Default false.
	IDTokensAuthenticated bool `toml:"id_tokens_authenticated"`
}

// Common returns c. The Config of each kind embeds this one, so that the method returns the
// options that all kinds share.
func (c *Config) Common() *Config { return c }

// maxRemember is the longest remember, and so the longest time for which an old password
// still works.
const maxRemember = time.Minute

// maxWrongPasswords is the largest wrong_passwords. No directory that locks accounts has a
// higher threshold.
const maxWrongPasswords = 50

// The defaults of the limits of wrong passwords.
const (
	defaultWrongPasswords      = 4
	defaultWrongPasswordWindow = 30 * time.Minute
)

// Bounds of wrong_password_window. Active Directory counts for 99,999 minutes at
// most.
const (
	minWrongPasswordWindow = time.Second
	maxWrongPasswordWindow = 70 * 24 * time.Hour
)

// WithDefaults returns a copy with the defaults of the keys that were left out.
func (c Config) WithDefaults() Config {
	if c.Remember == nil {
		remember := maxRemember
		c.Remember = &remember
	}
	if c.WrongPasswords == 0 {
		c.WrongPasswords = defaultWrongPasswords
	}
	if c.WrongPasswordWindow == 0 {
		c.WrongPasswordWindow = defaultWrongPasswordWindow
	}
	return c
}

// Validate reports the faults of the keys that all providers have. It expects the defaults
// to be in place. [ValidateTogether] compares the keys of several providers.
func (c Config) Validate(fault func(key, problem string)) {
	switch {
	case c.Name == "":
		fault("name", "is required: what logs, rules and sessions call this provider")
	case strings.ContainsFunc(c.Name, notInName) || len(c.Name) > 64:
		fault("name", fmt.Sprintf("%q is not made of at most 64 letters, digits, \"-\", \"_\" and \".\"", c.Name))
	case c.Name == "." || c.Name == "..":
		fault("name", fmt.Sprintf("%q is a step in a path, which browsers take out of the URL /login/NAME/callback (RFC 3986, section 5.2.4)", c.Name))
	}
	validateGlobs("match", c.Match, fault)
	validateGlobs("require_groups", c.RequireGroups, fault)
	if c.Prefix != nil && (!utf8.ValidString(*c.Prefix) || strings.ContainsFunc(*c.Prefix, unicode.IsControl)) {
		fault("prefix", "holds a control character or is not UTF-8")
	}
	switch {
	case c.Remember == nil:
		fault("remember", "has no value; apply the defaults first")
	case *c.Remember < 0 || *c.Remember > maxRemember:
		fault("remember", fmt.Sprintf("%s is not between \"0s\" and \"1m\", the longest that an old password may still work", duration.Format(*c.Remember)))
	}
	if w := c.WrongPasswordWindow; w < minWrongPasswordWindow || w > maxWrongPasswordWindow {
		fault("wrong_password_window", fmt.Sprintf("%s is not between \"1s\" and \"70d\"; make it as long as the directory itself counts", duration.Format(w)))
	}
	if c.WrongPasswords < 1 || c.WrongPasswords > maxWrongPasswords {
		fault("wrong_passwords", fmt.Sprintf("%d is not between 1 and %d; keep it below the directory's own lockout", c.WrongPasswords, maxWrongPasswords))
	}
}

// ValidateTogether reports the faults between providers: i is the index of the one at fault.
func ValidateTogether(all []Config, fault func(i int, key, problem string)) {
	first := make(map[string]int)
	for i, c := range all {
		folded := strings.ToLower(c.Name)
		if j, twice := first[folded]; twice && c.Name != "" {
			fault(i, "name", fmt.Sprintf("%q is the name of provider[%d] too; case makes no difference", c.Name, j))
		} else {
			first[folded] = i
		}
		if len(all) > 1 && c.Kind != kindFile && c.Prefix == nil {
			fault(i, "prefix", "is required where there is more than one provider, if only as \"\", so that one provider's \"admin\" does not become another's by chance")
		}
	}
}

// Kinds that the chain knows by name. A file's names the operator writes, so that it needs
// no prefix.
const (
	kindFile = "file"
	kindLDAP = "ldap"
)

func notInName(r rune) bool {
	return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.')
}

func validateGlobs(key string, globs []string, fault func(key, problem string)) {
	if globs != nil && len(globs) == 0 {
		fault(key, "an empty list matches nothing; leave the key out for no restriction")
	}
	for i, g := range globs {
		if strings.TrimSpace(g) == "" || !utf8.ValidString(g) {
			fault(fmt.Sprintf("%s[%d]", key, i), "an empty glob matches nothing; \"*\" matches everything")
		}
	}
}

// Quoted lists words for a message: "a", "b".
func Quoted(words []string) string { return `"` + strings.Join(words, `", "`) + `"` }
