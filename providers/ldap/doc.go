// Package ldap proves passwords by binds to a directory: OpenLDAP, Active
// Directory, FreeIPA, 389 Directory Server, lldap, or any other that speaks LDAP
// (RFC 4511).
//
// A login searches for the entry as the service account, binds as the entry with
// the person's password, checks the entry's account state, and reads the groups.
// With a DN template the bind comes first, and no search for the entry is needed; with
// a bind name that is no DN the bind comes first, and the search runs with the person's
// own rights.
// There are two connection pools, one for searches and one for people's binds: no
// search runs on a pooled connection that has tried a person's password, so that
// nothing is read with another person's rights.
//
// The health of a server depends on the service's own operations alone: dial, bind
// as the service account, search, read the root DSE. A person's bind that is
// refused or slow says something of that account; a bind without an answer starts a
// probe of the server. Servers fail over in the configured order. A semaphore
// shares connections fairly between accounts. A server may send a bounded number of
// bytes and elements. Of its answer to a bind only codes from our own tables are
// stored, since the text may hold the password.
//
// Servers are named in the configuration or by SRV records (serverlist.go). One
// provider can serve a forest of Active Directory at its global catalogs (forest.go).
//
// The package refuses an empty password, since a directory takes such a bind as
// unauthenticated and answers success (RFC 4513, section 5.1.2). It follows no
// referral, since that would send passwords to any host that a server names. It does
// not resend a password that may have arrived. It guesses no user name, subject or
// group.
//
//	cfg := ldap.Config{Preset: "openldap", URLs: []string{"ldaps://dc1.corp.example"}, …}.WithDefaults()
//	cfg.Validate(func(key, problem string) { … })
//	provider, err := ldap.New(cfg)
package ldap
