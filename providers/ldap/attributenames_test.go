package ldap

import (
	"slices"
	"testing"

	ldap "github.com/go-ldap/ldap/v3"
)

// TestAttributeNames: two descriptions of one attribute have one key (C6).
func TestAttributeNames(t *testing.T) {
	schema := parseAttributeTypes([]string{
		"( 2.5.4.3 NAME ( 'cn' 'commonName' ) DESC 'name ( x )' SUP name )",
		"( 2.5.4.9 NAME 'street' SYNTAX 1.3.6.1.4.1.1466.115.121.1.15{128} )",
		"( 1.2.840.113556.1.2.256 NAME 'streetAddress' SINGLE-VALUE )",
		"(1.2.3.4 NAME('badge' 'badgeName')SINGLE-VALUE)",
		"( 1.2.3.5 NAME 'rfc822Mailbox' )",
		"( 1.2.3.6 DESC 'no name' )", "( 1.2.3.7 NAME", "NAME 'x'", "", "( 1.2.3.8 NAME '' )",
	})
	for _, test := range []struct {
		name  string
		names *attributeNames
		a, b  string
		same  bool
	}{
		{"case", nil, "MAIL", "mail", true},
		{"RFC 4519", nil, "commonName", "cn", true},
		{"an OID of RFC 4519", nil, "2.5.4.11", "ou", true},
		{"two attributes", nil, "cn", "sn", false},
		{"streetAddress, which is two attributes at Active Directory", nil, "streetAddress", "street", false},
		{"options in another order", nil, "cn;lang-en;x-a", "CommonName;X-A;lang-EN", true},
		{"an option", nil, "cn;lang-en", "cn", false},
		{"a schema", schema, "badgeName", "badge", true},
		{"an OID of a schema", schema, "1.2.3.4", "BADGE", true},
		{"RFC 4519 in a schema", schema, "commonName", "CN", true},
		{"RFC 4519 beside a schema", schema, "userid", "uid", true},
		{"two attributes of a schema", schema, "streetAddress", "street", false},
		{"another definition than RFC 4524's", schema, "rfc822Mailbox", "mail", false},
		{"a definition without a name", schema, "1.2.3.6", "1.2.3.7", false},
	} {
		if a, b := test.names.key(test.a), test.names.key(test.b); (a == b) != test.same {
			t.Errorf("%s: %q has the key %q, %q has %q", test.name, test.a, a, test.b, b)
		}
	}
}

// TestAttributeUnderTwoNames: a value that a server sends under two names of an attribute
// is one value (C6).
func TestAttributeUnderTwoNames(t *testing.T) {
	e := newEntry(&ldap.Entry{DN: "uid=alice,dc=x", Attributes: []*ldap.EntryAttribute{
		{Name: "userid", ByteValues: [][]byte{[]byte("alice")}},
		{Name: "uid", ByteValues: [][]byte{[]byte("alice")}},
		{Name: "cn", ByteValues: [][]byte{[]byte("Alice"), []byte("A.")}},
		{Name: "commonName", ByteValues: [][]byte{[]byte("A."), []byte("Al")}},
	}}, nil)
	if got := e.texts("0.9.2342.19200300.100.1.1"); !slices.Equal(got, []string{"alice"}) {
		t.Errorf("uid = %q, want one alice", got)
	}
	if got := e.texts("cn"); !slices.Equal(got, []string{"Alice", "A.", "Al"}) {
		t.Errorf("cn = %q, want each value once", got)
	}
}
