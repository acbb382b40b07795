// Package ldaptest starts real directories for tests: OpenLDAP's slapd, and
// Samba as an Active Directory domain controller, each on addresses of its own
// on this machine, with TLS by an authority made for it, filled with people and
// groups, and ended with the test.
//
//	slapd := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{})
//	dc := ldaptest.StartSamba(t, ldaptest.SambaOptions{})
//
// Where one is not installed the test is skipped, with the name of the package
// to install; with CI=true it fails. For what a real server does not do, such
// as answers that are not LDAP, there is [Fake].
package ldaptest
