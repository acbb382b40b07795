package ldap

import (
	"time"

	"shorepass/internal/secret"
	"shorepass/internal/tlsconf"
	"shorepass/providers"
)

// Config is a [[provider]] table of kind "ldap".
type Config struct {
	providers.Config

	// Preset fills in filters, attribute names, and which accounts are
	// disabled, expired or locked: "openldap", "activedirectory", "freeipa",
	// "389ds" or "lldap", which keeps no such state: there an account is gone
	// or good. What the table says itself stands. Optional: left out,
	// users.filter, users.name and users.subject are required.
	Preset string `toml:"preset"`

	// URLs of the directory's servers, asked in this order; where one is down
	// the next is. Example: ["ldaps://dc1.corp.example", "ldaps://dc2.corp.example"].
	URLs []string `toml:"urls"`

	// StartTLS encrypts connections to ldap:// servers before anything else
	// is sent. Default false.
	StartTLS bool `toml:"start_tls"`

	// Insecure allows plain ldap:// without start_tls: passwords then cross
	// the network unprotected. Default false.
	Insecure bool `toml:"insecure"`

	// TLS is for connecting to the servers: ca for their certificates,
	// server_name where these have another name than the URL, certificate and
	// key where they want one of the client.
	TLS tlsconf.Config `toml:"tls"`

	// BindDN is the service account that searches. Active Directory takes
	// "svc@corp.example" too. Optional: left out, searches are anonymous, or
	// with users.dn_template made as the person.
	BindDN string `toml:"bind_dn"`

	// BindPassword is the service account's password.
	BindPassword secret.Text `toml:"bind_password"`

	// Users says where people are found, and what they are called.
	Users Users `toml:"users"`

	// Groups says which groups a person is in. Optional: left out, nobody has
	// groups.
	Groups Groups `toml:"groups"`

	// Claims are the names of further attributes of the person's entry that
	// rules may look at as claims.NAME: text where there is one value, a list
	// where there are more. Optional.
	Claims []string `toml:"claims"`

	// SearchConnections is how many connections the service account has at most;
	// one account takes a quarter of them at most. Default 16.
	SearchConnections int `toml:"search_connections"`

	// BindConnections is how many connections there are at most on which
	// people's passwords are tried; one account takes a quarter of them at
	// most, and so do all together whose last try the directory left without an
	// answer. Default 16.
	BindConnections int `toml:"bind_connections"`

	// DialTimeout is the limit of connecting to one server, TLS included, at
	// most timeout. Default "2s".
	DialTimeout time.Duration `toml:"dial_timeout"`

	// Timeout is the limit of one step (a search, a bind) at one server,
	// connecting included, at most "10s". Default "3s".
	Timeout time.Duration `toml:"timeout"`
}

// Users is the users table of an ldap provider.
type Users struct {
	// Base is the DN under which people are found. Required, except with
	// dn_template, where it defaults to what the template says.
	Base string `toml:"base"`

	// Scope is how far below base: "sub" (any depth) or "one" (right below).
	// Default "sub".
	Scope string `toml:"scope"`

	// Filter finds the entry of a login name, and who may log in at all; it
	// is asked again at each revalidation. "{login}" stands for what was
	// typed, "{user}" for the same without this directory's own domain.
	// Default: as the preset has it; for openldap "(uid={user})".
	Filter string `toml:"filter"`

	// Name is the attribute that holds the user name. Whoever lacks it, or
	// has more than one, is rejected. Default: as the preset has it, "uid" or
	// "sAMAccountName".
	Name string `toml:"name"`

	// Subject is the attribute by which a person is known for good, whatever
	// the name or the place in the tree. Default: as the preset has it,
	// "entryUUID", "objectGUID", "ipaUniqueID" or "nsUniqueId".
	Subject string `toml:"subject"`

	// DNTemplate makes the DN of a login name, instead of a search:
	// "uid={user},ou=people,dc=corp,dc=example". No later provider is then
	// asked about any name that match has. Without bind_dn the entry is read
	// as the person, who cannot be asked about again without the password: see
	// session.unchecked_lifetime. Optional.
	DNTemplate string `toml:"dn_template"`

	// Domains are the names that may come before a backslash or after an @
	// to say that an account is of this directory: ["CORP", "corp.example"].
	// Default: none; with the preset activedirectory what the directory says
	// of itself.
	Domains []string `toml:"domains"`

	// Stamp are the attributes that change with the password, so that the
	// person's sessions end. Default: as the preset has it, such as
	// ["pwdLastSet"] or ["pwdChangedTime", "pwdReset"].
	Stamp []string `toml:"stamp"`
}

// Groups is the groups table of an ldap provider.
type Groups struct {
	// Base is the DN under which groups are found. A group that is not under
	// it is left out, wherever its name comes from. Required for groups.
	Base string `toml:"base"`

	// Scope is how far below base: "sub" (any depth) or "one" (right below).
	// Default "sub".
	Scope string `toml:"scope"`

	// Filter finds the groups of a person: "{dn}" stands for the DN of the
	// person's entry, "{user}" for the user name, any other name in braces for
	// that attribute of the entry, which everyone must have. Examples:
	// "(|(member={dn})(uniqueMember={dn}))", "(memberUid={user})". Default: as
	// the preset has it; for openldap "(member={dn})".
	Filter string `toml:"filter"`

	// Attribute of the person's entry that holds the DNs of the groups, such
	// as "memberOf", instead of filter. Default: as the preset has it; for
	// freeipa and lldap "memberOf".
	Attribute string `toml:"attribute"`

	// Name is the attribute that holds a group's name. Where two groups under
	// base have one name, a rule that denies it holds for the members of both,
	// and a rule that allows it for none, until only or rename tells the two
	// apart by a DN. Default: as the preset has it, "cn" or "sAMAccountName".
	Name string `toml:"name"`

	// Nested says how groups in groups are found: "none"; "token_groups"
	// (Active Directory's own list, the primary group included); "in_chain"
	// (Active Directory's matching rule, the primary group included); "walk"
	// (from group to group by searching). Default "none"; with the preset
	// activedirectory "token_groups".
	Nested string `toml:"nested"`

	// NestedFilter finds the groups that the group "{dn}" is in, for nested =
	// "walk". Default: filter where that asks for nothing but "{dn}", else
	// "(member={dn})".
	NestedFilter string `toml:"nested_filter"`

	// Depth is how many groups up nested = "walk" goes, at most 50. Default 10.
	Depth int `toml:"depth"`

	providers.GroupNames
}

// Ways of Groups.Nested.
const (
	nestedNone        = "none"
	nestedTokenGroups = "token_groups"
	nestedInChain     = "in_chain"
	nestedWalk        = "walk"
)

// Scopes of Users.Scope and Groups.Scope.
const (
	scopeSub = "sub"
	scopeOne = "one"
)

// configured reports whether people have groups at all.
func (g Groups) configured() bool { return g.Base != "" }

// ReadsGroups reports the same.
func (c Config) ReadsGroups() bool { return c.Groups.configured() }

// ClaimNames returns the names of the claims that a person has for rules.
func (c Config) ClaimNames() []string { return c.Claims }

// FoldsCase reports that case makes no difference in names: a directory ignores
// it.
func (c Config) FoldsCase() bool { return true }

// Methods returns the methods by which people log in.
func (c Config) Methods() []providers.Method { return []providers.Method{providers.MethodPassword} }

// GroupNames returns which names groups can have, before the prefix.
func (c Config) GroupNames() providers.GroupNames { return c.Groups.GroupNames }

// WithDefaults returns a copy in which what was left out is what the preset
// says, or has its default, but for the keys of [providers.Config].
func (c Config) WithDefaults() Config {
	p := presets[c.Preset]
	fill := func(at *string, value string) {
		if *at == "" {
			*at = value
		}
	}
	if c.Users.DNTemplate != "" {
		fill(&c.Users.Base, parentOfTemplate(c.Users.DNTemplate))
		fill(&c.Users.Filter, "(objectClass=*)")
	}
	fill(&c.Users.Scope, scopeSub)
	fill(&c.Users.Filter, p.userFilter)
	fill(&c.Users.Name, p.userName)
	fill(&c.Users.Subject, p.subject)
	if c.Users.Stamp == nil {
		c.Users.Stamp = p.stamp
	}
	if c.Groups.configured() {
		c.Groups = c.Groups.withDefaults(p)
	}
	fillNumber(&c.SearchConnections, 16)
	fillNumber(&c.BindConnections, 16)
	fillNumber(&c.Timeout, 3*time.Second)
	fillNumber(&c.DialTimeout, min(2*time.Second, c.Timeout))
	return c
}

func (g Groups) withDefaults(p preset) Groups {
	if g.Nested == "" {
		g.Nested = nestedNone
		if g.Filter == "" && g.Attribute == "" && p.nested != "" {
			g.Nested = p.nested
		}
	}
	byServer := g.Nested == nestedTokenGroups || g.Nested == nestedInChain
	if g.Filter == "" && g.Attribute == "" && !byServer {
		g.Filter, g.Attribute = p.groupFilter, p.groupAttribute
	}
	if g.Name == "" {
		g.Name = p.groupName
	}
	if g.Name == "" {
		g.Name = "cn"
	}
	if g.Scope == "" {
		g.Scope = scopeSub
	}
	if g.Nested == nestedWalk {
		if g.NestedFilter == "" {
			g.NestedFilter = "(member={dn})"
			if t, err := parseTemplate(g.Filter); err == nil && t.hasOnly("dn") {
				g.NestedFilter = g.Filter
			}
		}
		fillNumber(&g.Depth, 10)
	}
	return g
}

func fillNumber[N int | time.Duration](at *N, value N) {
	if *at == 0 {
		*at = value
	}
}
