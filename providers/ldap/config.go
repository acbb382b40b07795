package ldap

import (
	"time"

	ldap "github.com/go-ldap/ldap/v3"

	"shorepass/internal/secret"
	"shorepass/internal/tlsconf"
	"shorepass/providers"
)

// Config is a [[provider]] table of kind "ldap".
type Config struct {
	providers.Config

	// Preset names a set of filters, attribute names, and attributes that show
	// whether an account is disabled, expired or locked: "openldap",
	// "activedirectory", "freeipa", "389ds" or "lldap". lldap has no such
	// attributes, so an account there is valid until it is deleted. Other keys of
	// the table override the preset. Optional: without it users.filter, users.name
	// and users.subject are required.
	Preset string `toml:"preset"`

	// URLs are the directory's servers, in order of preference. If one is down, the
	// next is used. Example: ["ldaps://dc1.corp.example",
	// "ldaps://dc2.corp.example"]. The name of SRV records (RFC 2782) stands for the
	// servers that DNS lists, looked up every five minutes:
	// "ldaps://_ldap._tcp.corp.example". Each must be under corp.example and have a
	// certificate for its own name, or for tls.server_name; ldaps uses port 636 for
	// a record with 389, and 3269 for 3268.
	URLs []string `toml:"urls"`

	// StartTLS encrypts connections to ldap:// servers before anything else is
	// sent. Default false.
	StartTLS bool `toml:"start_tls"`

	// Insecure allows plain ldap:// without start_tls: passwords then cross the
	// network unencrypted. Default false.
	Insecure bool `toml:"insecure"`

	// TLS is for the connections to the servers: ca for their certificates,
	// server_name if the certificates have another name than the URL, certificate
	// and key if the servers want a client certificate.
	TLS tlsconf.Config `toml:"tls"`

	// BindDN is the service account that searches. With preset = "activedirectory" or
	// without a preset it need not be a DN, but may be any name that the directory
	// takes: "svc@corp.example" or "CORP\svc" at Active Directory, the user name of the
	// access credentials at Google's Secure LDAP. Optional: without it searches are
	// anonymous or, with users.dn_template or users.bind_name, made as the person.
	BindDN string `toml:"bind_dn"`

	// BindPassword is the service account's password.
	BindPassword secret.Text `toml:"bind_password"`

	// Users says where people are found and which attributes they have.
	Users Users `toml:"users"`

	// Groups says which groups a person is in. Optional: without it people have no
	// groups.
	Groups Groups `toml:"groups"`

	// Deref says which alias entries searches follow (RFC 4511, section 4.5.1.3):
	// "never", "searching" (those under a base), "finding" (a base itself), or
	// "always". People and groups that an alias under a base points to count as if
	// they were under it, so that a person who may create aliases there decides who
	// they are. An alias has no other name than its entry. Default "never".
	Deref string `toml:"deref"`

	// Claims are further attributes of the person's entry, which rules read as
	// claims.NAME: a string for one value, a list for several. Optional.
	Claims []string `toml:"claims"`

	// SearchConnections is the size of the connection pool for searches by the
	// service account; one account takes a quarter of them at most. Default 16.
	SearchConnections int `toml:"search_connections"`

	// BindConnections is the size of the connection pool for binds with people's
	// passwords; one account takes a quarter of them at most, and so do all accounts
	// together whose last bind had no answer. Default 16.
	BindConnections int `toml:"bind_connections"`

	// DialTimeout is the timeout of connecting to one server, TLS included. At most
	// timeout. Default "2s".
	DialTimeout time.Duration `toml:"dial_timeout"`

	// Timeout is the timeout of one operation (a search, a bind) at one server,
	// connecting included. At most "10s". Default "3s".
	Timeout time.Duration `toml:"timeout"`
}

// Users is the users table of an ldap provider.
type Users struct {
	// Base is the DN under which people are searched. With the preset
	// activedirectory "" is the whole forest: urls must then name global catalogs
	// (port 3269, or 3268 with start_tls), and users.name must be unique in the
	// forest. Required, except with dn_template: then the default is the part of
	// the template after its placeholders.
	Base *string `toml:"base"`

	// Scope is the search scope: "sub" (any depth below base) or "one" (directly
	// below). Default "sub".
	Scope string `toml:"scope"`

	// Filter finds the entry of a login name, and decides who may log in at all;
	// each revalidation checks it again. "{login}" is the login name as typed,
	// "{user}" the same without this directory's own domain. Default: that of the
	// preset; for openldap "(uid={user})".
	Filter string `toml:"filter"`

	// Name is the attribute that holds the user name. Here and in every other key an
	// attribute may be written by any name that the schema gives it, by its object
	// identifier, and with options, as in "cn;lang-en". Of several values the
	// one in the entry's RDN counts; a person without any, or with several that the
	// RDN does not tell apart, is rejected. Default: that of the preset, "uid" or
	// "sAMAccountName".
	Name string `toml:"name"`

	// Subject is the attribute that identifies a person permanently, even if the
	// entry is renamed or moved. Its value may be text or binary, as eDirectory's
	// "GUID" is. Default: that of the preset, "entryUUID", "objectGUID",
	// "ipaUniqueID" or "nsUniqueId".
	Subject string `toml:"subject"`

	// DNTemplate makes the DN from a login name, without a search:
	// "uid={user},ou=people,dc=corp,dc=example". No later provider is asked about a
	// login name that match covers. Without bind_dn the entry is read as the
	// person, and no revalidation is possible: see session.unchecked_lifetime.
	// Optional.
	DNTemplate string `toml:"dn_template"`

	// BindName is the name to bind with, for a directory that takes names that are no
	// DNs and has no service account for shorepass: "{user}@ad.example.org" at Active
	// Directory. After the bind filter finds the entry with the person's own rights;
	// an entry that is not the account that has bound is rejected. "{user}" is the
	// login name without its domain. No later provider is asked about a login name
	// that match covers, and no revalidation is possible: see
	// session.unchecked_lifetime. Optional.
	BindName string `toml:"bind_name"`

	// Domains are the domains of this directory in login names, before a backslash
	// or after an @: ["CORP", "corp.example"]. Default: the domain in bind_name, else
	// none; with the preset activedirectory those that the directory names, in a
	// forest of all its domains.
	Domains []string `toml:"domains"`

	// Stamp lists the attributes that change with the password; a change ends the
	// person's earlier sessions. Default: those of the preset, such as
	// ["pwdLastSet"] or ["pwdChangedTime", "pwdReset"]. Known attributes that wrong
	// passwords change, such as pwdFailureTime or modifyTimestamp, are refused. A
	// change that makes the first of these attributes ends no sessions: with openldap
	// the first change after its ppolicy overlay was set up; with 389ds the first after
	// passwordTrackUpdateTime was turned on, unless passwordMinAge is set. "check
	// --live" says how many people show none.
	Stamp []string `toml:"stamp"`

	// State lists the attributes that show whether an account is disabled, expired or
	// locked, or its password is. An empty list reads none, and leaves that to the
	// directory's answer to a bind; a disabled account then keeps its sessions.
	// Default: those of the preset. Of the shadow attributes these have "shadowExpire"
	// alone; add "shadowLastChange" and "shadowMax" where every program that changes
	// passwords maintains them. In these 0 and negative numbers are no limit, except
	// shadowLastChange = 0: the password must be changed.
	State []string `toml:"state"`
}

// Groups is the groups table of an ldap provider.
type Groups struct {
	// Base is the DN under which groups are searched. Groups elsewhere are ignored,
	// even if an attribute names them. "" is the whole forest, as in users.base.
	// Required for groups.
	Base *string `toml:"base"`

	// Scope is the search scope: "sub" (any depth below base) or "one" (directly
	// below). Default "sub".
	Scope string `toml:"scope"`

	// Filter finds the groups of a person: "{dn}" is the DN of the person's entry,
	// "{user}" the user name, and any other name in braces the value of that
	// attribute of the entry, which every person must have. Examples:
	// "(|(member={dn})(uniqueMember={dn}))", "(memberUid={user})". Default: that of
	// the preset; for openldap "(member={dn})".
	Filter string `toml:"filter"`

	// Attribute of the person's entry that holds the DNs of the groups, such as
	// "memberOf", instead of filter. Default: that of the preset; for freeipa and
	// lldap "memberOf".
	Attribute string `toml:"attribute"`

	// Name is the attribute that holds a group's name. If two groups under base
	// have the same name, deny rules for it apply to the members of both, and allow
	// rules to the members of neither, until only or rename picks one by its DN.
	// Default: that of the preset, "cn" or "sAMAccountName".
	Name string `toml:"name"`

	// Nested is how nested groups are found: "none"; "token_groups" (Active
	// Directory's own list, with the primary group); "in_chain" (Active Directory's
	// matching rule, with the primary group); "walk" (searches from group to
	// group). Default "none"; with the preset activedirectory "token_groups".
	Nested string `toml:"nested"`

	// NestedFilter finds the groups that contain the group "{dn}", for nested =
	// "walk". Default: filter if its only placeholder is "{dn}", else
	// "(member={dn})".
	NestedFilter string `toml:"nested_filter"`

	// Depth is the number of levels that nested = "walk" goes up, at most 50.
	// Default 10.
	Depth int `toml:"depth"`

	providers.GroupNames
}

// Values of Groups.Nested.
const (
	nestedNone        = "none"
	nestedTokenGroups = "token_groups"
	nestedInChain     = "in_chain"
	nestedWalk        = "walk"
)

// Values of Users.Scope and Groups.Scope.
const (
	scopeSub = "sub"
	scopeOne = "one"
)

// derefs are the values of Config.Deref.
var derefs = map[string]int{
	derefNever:  ldap.NeverDerefAliases,
	"searching": ldap.DerefInSearching,
	"finding":   ldap.DerefFindingBaseObj,
	"always":    ldap.DerefAlways,
}

// derefNever is the default of Config.Deref.
const derefNever = "never"

// base returns the DN under which people are searched, "" for the whole forest.
func (u Users) base() string { return textOf(u.Base) }

// base returns the DN under which groups are searched, "" for the whole forest.
func (g Groups) base() string { return textOf(g.Base) }

// textOf returns an optional text, "" if it is not set.
func textOf(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}

// configured reports whether groups are configured.
func (g Groups) configured() bool { return g.Base != nil }

// ReadsGroups reports whether groups are configured.
func (c Config) ReadsGroups() bool { return c.Groups.configured() }

// ClaimNames returns the names of the claims that rules may read.
func (c Config) ClaimNames() []string { return c.Claims }

// FoldsCase reports that names ignore case, as a directory does.
func (c Config) FoldsCase() bool { return true }

// Methods returns the methods of logging in.
func (c Config) Methods() []providers.Method { return []providers.Method{providers.MethodPassword} }

// GroupNames returns which names groups can have, before the prefix.
func (c Config) GroupNames() providers.GroupNames { return c.Groups.GroupNames }

// WithDefaults returns a copy in which keys that are not set have the value of the
// preset or their default, except for the keys of [providers.Config].
func (c Config) WithDefaults() Config {
	p := presets[c.Preset]
	fill := func(at *string, value string) {
		if *at == "" {
			*at = value
		}
	}
	if c.Users.DNTemplate != "" {
		if parent := parentOfTemplate(c.Users.DNTemplate); c.Users.Base == nil && parent != "" {
			c.Users.Base = &parent
		}
		fill(&c.Users.Filter, "(objectClass=*)")
	}
	if c.Users.Domains == nil {
		c.Users.Domains = domainOfBindName(c.Users.BindName)
	}
	fill(&c.Deref, derefNever)
	fill(&c.Users.Scope, scopeSub)
	fill(&c.Users.Filter, p.userFilter)
	fill(&c.Users.Name, p.userName)
	fill(&c.Users.Subject, p.subject)
	if c.Users.Stamp == nil {
		c.Users.Stamp = p.stamp
	}
	if c.Users.State == nil {
		c.Users.State = p.state
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
