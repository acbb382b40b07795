package ldaptest

import (
	"crypto/tls"
	"fmt"
	"testing"

	ldap "github.com/go-ldap/ldap/v3"
)

// Attributes are the attributes of an entry, by name.
type Attributes map[string][]string

// Admin changes entries of a directory, as an administrator with all rights.
type Admin struct {
	url      string
	tls      *tls.Config
	dn       string
	password string
}

// Credentials returns the administrator's DN and password.
func (a *Admin) Credentials() (dn, password string) { return a.dn, a.password }

// withConn runs one operation on a new connection.
func (a *Admin) withConn(operation func(*ldap.Conn) error) error {
	c, err := ldap.DialURL(a.url, ldap.DialWithTLSConfig(a.tls))
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Bind(a.dn, a.password); err != nil {
		return fmt.Errorf("bind as %s: %w", a.dn, err)
	}
	return operation(c)
}

// Do runs any operation. An error fails the test.
func (a *Admin) Do(t testing.TB, operation func(*ldap.Conn) error) {
	t.Helper()
	if err := a.withConn(operation); err != nil {
		t.Fatalf("directory: %v", err)
	}
}

// Add adds an entry.
func (a *Admin) Add(t testing.TB, dn string, attributes Attributes) {
	t.Helper()
	a.Do(t, func(c *ldap.Conn) error { return add(c, dn, attributes) })
}

func add(c *ldap.Conn, dn string, attributes Attributes) error {
	request := ldap.NewAddRequest(dn, nil)
	for name, values := range attributes {
		request.Attribute(name, values)
	}
	if err := c.Add(request); err != nil {
		return fmt.Errorf("add %s: %w", dn, err)
	}
	return nil
}

// Set replaces the values of an attribute. Without values it deletes the attribute.
func (a *Admin) Set(t testing.TB, dn, attribute string, values ...string) {
	t.Helper()
	a.Do(t, func(c *ldap.Conn) error { return set(c, dn, attribute, values...) })
}

func set(c *ldap.Conn, dn, attribute string, values ...string) error {
	request := ldap.NewModifyRequest(dn, nil)
	request.Replace(attribute, values)
	if err := c.Modify(request); err != nil {
		return fmt.Errorf("set %s of %s: %w", attribute, dn, err)
	}
	return nil
}

// Insert adds values to an attribute.
func (a *Admin) Insert(t testing.TB, dn, attribute string, values ...string) {
	t.Helper()
	a.Do(t, func(c *ldap.Conn) error {
		request := ldap.NewModifyRequest(dn, nil)
		request.Add(attribute, values)
		return c.Modify(request)
	})
}

// Remove deletes values of an attribute.
func (a *Admin) Remove(t testing.TB, dn, attribute string, values ...string) {
	t.Helper()
	a.Do(t, func(c *ldap.Conn) error {
		request := ldap.NewModifyRequest(dn, nil)
		request.Delete(attribute, values)
		return c.Modify(request)
	})
}

// Delete deletes an entry.
func (a *Admin) Delete(t testing.TB, dn string) {
	t.Helper()
	a.Do(t, func(c *ldap.Conn) error { return c.Del(ldap.NewDelRequest(dn, nil)) })
}

// Rename gives an entry another RDN, and another parent if parent is not empty.
func (a *Admin) Rename(t testing.TB, dn, rdn, parent string) {
	t.Helper()
	a.Do(t, func(c *ldap.Conn) error { return c.ModifyDN(ldap.NewModifyDNRequest(dn, rdn, true, parent)) })
}

// Get returns the values of an attribute.
func (a *Admin) Get(t testing.TB, dn, attribute string) []string {
	t.Helper()
	var values []string
	a.Do(t, func(c *ldap.Conn) error {
		found, err := c.Search(&ldap.SearchRequest{BaseDN: dn, Scope: ldap.ScopeBaseObject, Filter: "(objectClass=*)", Attributes: []string{attribute}})
		if err == nil && len(found.Entries) == 1 {
			values = found.Entries[0].GetEqualFoldAttributeValues(attribute)
		}
		return err
	})
	return values
}
