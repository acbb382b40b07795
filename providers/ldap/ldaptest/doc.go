// Package ldaptest starts real directories for tests: OpenLDAP's slapd, and Samba as
// an Active Directory domain controller. Each has addresses of its own on this
// machine, certificates from a test authority, and people and groups. It ends with
// the test.
//
//	slapd := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{})
//	dc := ldaptest.StartSamba(t, ldaptest.SambaOptions{})
//
// If the server is not installed, the test is skipped with the name of the package to
// install; with CI=true it fails. [Fake] is a directory in the process, for what a
// real server does not do, such as answers that are not LDAP. [Proxy] is a network
// that fails.
package ldaptest
