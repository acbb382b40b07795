package ldaptest

import (
	"strconv"

	ldap "github.com/go-ldap/ldap/v3"
)

// sambaSeed is part of the archive's name. A change of seed needs another.
const sambaSeed = "3"

// seed adds people and groups to a new domain. A password is the name with "-Pw1". By
// sAMAccountName, which is also the CN:
//
//	alice  UPN alice@ad.example.org, mail; in inner ⊂ middle ⊂ outer
//	bob    in none of our groups
//	carol  disabled
//	dave   must change the password
//	erin   expired
//	frank  primary group crew, which is in fleet; in middle, and so in outer
//	josé, o(brien, "Doe, J" (sAMAccountName doej)  odd names
//
// Everyone but frank has the primary group Domain Users.
func (s *Samba) seed(c *ldap.Conn) error {
	steps := []func(*ldap.Conn) error{s.seedDomain, s.seedPeople, s.seedGroups, s.seedStates}
	for _, step := range steps {
		if err := step(c); err != nil {
			return err
		}
	}
	return nil
}

// seedDomain allows any password and adds the organizational units.
func (s *Samba) seedDomain(c *ldap.Conn) error {
	request := ldap.NewModifyRequest(s.Base, nil)
	for name, value := range map[string]string{"pwdProperties": "0", "minPwdLength": "4", "pwdHistoryLength": "0", "minPwdAge": "0", "maxPwdAge": "-9223372036854775808"} {
		request.Replace(name, []string{value})
	}
	if err := c.Modify(request); err != nil {
		return err
	}
	for _, ou := range []string{"People", "Teams", "Services"} {
		if err := add(c, "OU="+ou+","+s.Base, Attributes{"objectClass": {"organizationalUnit"}, "ou": {ou}}); err != nil {
			return err
		}
	}
	return s.addPerson(c, s.BindDN, "svc", s.Password)
}

func (s *Samba) addPerson(c *ldap.Conn, dn, account, password string) error {
	person := Attributes{
		"objectClass": {"user"}, "sAMAccountName": {account}, "userPrincipalName": {account + "@ad.example.org"},
		"unicodePwd": {unicodePwd(password)}, "userAccountControl": {"512"},
	}
	if account == "alice" {
		person["mail"] = []string{"alice@example.org"}
	}
	return add(c, dn, person)
}

func (s *Samba) seedPeople(c *ldap.Conn) error {
	for _, name := range []string{"alice", "bob", "carol", "dave", "erin", "frank", "josé", "o(brien"} {
		if err := s.addPerson(c, s.Person(name), name, name+"-Pw1"); err != nil {
			return err
		}
	}
	return s.addPerson(c, s.Person("Doe, J"), "doej", "doej-Pw1")
}

func (s *Samba) seedGroups(c *ldap.Conn) error {
	for _, g := range []struct {
		name    string
		members []string
	}{
		{"inner", []string{s.Person("alice")}},
		{"middle", []string{s.Group("inner"), s.Person("frank")}},
		{"outer", []string{s.Group("middle")}},
		{"crew", []string{s.Person("frank")}},
		{"fleet", []string{s.Group("crew")}},
	} {
		// A global security group (groupType -2147483646) can have groups as members.
		if err := add(c, s.Group(g.name), Attributes{
			"objectClass": {"group"}, "sAMAccountName": {g.name}, "groupType": {"-2147483646"}, "member": g.members,
		}); err != nil {
			return err
		}
	}
	crew, err := c.Search(&ldap.SearchRequest{BaseDN: s.Group("crew"), Scope: ldap.ScopeBaseObject, Filter: "(objectClass=*)", Attributes: []string{"objectSid"}})
	if err != nil {
		return err
	}
	return set(c, s.Person("frank"), "primaryGroupID", strconv.FormatUint(relativeID(crew.Entries[0].GetRawAttributeValue("objectSid")), 10))
}

// relativeID returns the last part of a SID, which identifies it within its domain.
func relativeID(sid []byte) uint64 {
	var n uint64
	for i := range 4 {
		n |= uint64(sid[len(sid)-4+i]) << (8 * i)
	}
	return n
}

func (s *Samba) seedStates(c *ldap.Conn) error {
	for _, state := range []struct{ who, attribute, value string }{
		{"carol", "userAccountControl", "514"},
		{"dave", "pwdLastSet", "0"},
		{"erin", "accountExpires", "132000000000000000"}, // in 2019
	} {
		if err := set(c, s.Person(state.who), state.attribute, state.value); err != nil {
			return err
		}
	}
	return nil
}
