// Package ldap proves people at a directory: OpenLDAP, Active Directory,
// FreeIPA, 389 Directory Server, lldap, or any other that speaks LDAP (RFC
// 4511).
//
// A login is a search for the entry by the service account, a bind with the
// person's password, a look at what the entry says of the account's state, and
// then the groups. With a DN template it is the bind first, and no search for
// the entry. Searches and binds have connections of their own: one that has
// tried a person's password is never searched on, so that nothing is ever read
// with somebody else's rights.
//
// Whether a server is healthy is judged by the service's own operations alone: to
// connect, to bind as the service account, to search, to read the root DSE. A
// person's bind that is refused or late says something of that account; one without
// an answer starts a probe of the server. Connections are shared fairly between
// accounts. What a server may send is bounded in bytes and in elements, and of its
// answer to a bind nothing is kept but codes that are in our own tables: it may hold
// the password.
//
// What it refuses: an empty password, which a directory would take for an
// anonymous bind and answer with success (RFC 4513, section 5.1.2); following
// referrals, which would send passwords to any host that a server names; sending a
// password again that may have arrived; and a user name, subject or group that
// it had to guess.
//
//	cfg := ldap.Config{Preset: "openldap", URLs: []string{"ldaps://dc1.corp.example"}, …}.WithDefaults()
//	cfg.Validate(func(key, problem string) { … })
//	provider, err := ldap.New(cfg)
package ldap
