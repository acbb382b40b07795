package providers

import "time"

// Config is what every provider has in its [[provider]] table, whatever its
// kind; the kind's own Config embeds it.
type Config struct {
	// Name of the provider in logs, rules and sessions. Unique, and never
	// changed once sessions exist.
	Name string `toml:"name"`

	// Kind of provider: "file", "ldap" or "oidc".
	Kind string `toml:"kind"`

	// Match says whose login names can be this provider's: globs over login
	// names. Default: all.
	Match []string `toml:"match"`

	// Prefix stands before this provider's user names and groups, so that
	// one provider's "admins" cannot become another's. Required, "" on
	// purpose included, where more than one provider is not a file.
	Prefix *string `toml:"prefix"`

	// RequireGroups refuses everybody who is in none of these groups (globs,
	// after rename and prefix). Optional.
	RequireGroups []string `toml:"require_groups"`

	// Remember is how long a right password is remembered, at most "1m".
	// Default "1m"; "0s" asks the provider each time.
	Remember *time.Duration `toml:"remember"`

	// WrongPasswords is how many distinct wrong passwords for one account
	// reach the provider in ten minutes. Keep it below the directory's own
	// lockout. Default 3.
	WrongPasswords int `toml:"wrong_passwords"`

	// IDTokensAuthenticated puts people who come with an ID token into the
	// group "authenticated" too. Default false.
	IDTokensAuthenticated bool `toml:"id_tokens_authenticated"`
}

// GroupNames is the part of a provider's groups table that the chain applies
// to the names the provider found.
type GroupNames struct {
	// Only keeps the groups that match one of these globs. Default: all.
	Only []string `toml:"only"`

	// Rename gives groups another name, applied after only and before the
	// prefix.
	Rename map[string]string `toml:"rename"`
}
