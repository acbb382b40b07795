package ldaptest

import (
	"strconv"

	ldap "github.com/go-ldap/ldap/v3"
)

// seed adds people and groups while slapd runs, so that its overlays see them. A
// password is the uid with "pw". By uid:
//
//	alice    in devs, and through it in all and company; in ops, uniques, outside
//	bob      in all, and through it in company; in ops, and in two groups named same
//	carol    permanently locked
//	dave     must change the password
//	erin     expired in 1970
//	nameless has no mail, and no groups
//	twin     a uid of two entries
//	josé, o(brien, a*, CN=Doe\, J, dom\user, "#1, +x;<y>"  odd names
//
// Groups: devs ⊂ all ⊂ company; round-a and round-b are members of each other, and
// erin of round-a; ops is a posixGroup, uniques a groupOfUniqueNames; outside is under
// ou=elsewhere.
func (s *Slapd) seed(c *ldap.Conn, o SlapdOptions) error {
	steps := []func() error{
		func() error { return add(c, "cn=default,ou=policies,"+s.Base, passwordPolicy(o)) },
		func() error { return s.seedPeople(c) },
		func() error { return s.seedGroups(c) },
		func() error { return set(c, s.Person("carol"), "pwdAccountLockedTime", "000001010000Z") },
		func() error { return set(c, s.Person("dave"), "pwdReset", "TRUE") },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func passwordPolicy(o SlapdOptions) Attributes {
	return Attributes{
		"objectClass": {"pwdPolicy", "device"}, "cn": {"default"}, "pwdAttribute": {"userPassword"},
		"pwdLockout": {map[bool]string{true: "TRUE", false: "FALSE"}[o.Lockout > 0]}, "pwdMaxFailure": {strconv.Itoa(o.Lockout)},
		"pwdLockoutDuration": {"60"}, "pwdFailureCountInterval": {"60"}, "pwdMustChange": {"TRUE"},
	}
}

// OddNames are the uids of people that have special characters of filters or DNs.
var OddNames = [...]string{"josé", "o(brien", "a*", `CN=Doe\, J`, `dom\user`, "#1, +x;<y>"}

func (s *Slapd) seedPeople(c *ldap.Conn) error {
	for _, uid := range append([]string{"alice", "bob", "carol", "dave", "erin", "nameless"}, OddNames[:]...) {
		person := Attributes{
			"objectClass": {"inetOrgPerson"}, "uid": {uid}, "cn": {"The " + uid}, "sn": {uid},
			"mail": {"mail-" + strconv.Itoa(len(uid)) + "@example.org"}, "userPassword": {uid + "pw"},
		}
		switch uid {
		case "alice":
			person["mail"] = []string{"alice@example.org"}
			person["title"] = []string{"Captain", "Pilot"}
			person["objectClass"] = []string{"inetOrgPerson", "posixAccount"}
			person["uidNumber"], person["gidNumber"], person["homeDirectory"] = []string{"1001"}, []string{"2001"}, []string{"/home/alice"}
		case "erin":
			person["objectClass"] = []string{"inetOrgPerson", "shadowAccount"}
			person["shadowExpire"] = []string{"1"}
		case "nameless":
			delete(person, "mail")
		}
		if err := add(c, s.Person(uid), person); err != nil {
			return err
		}
	}
	for _, cn := range []string{"twin one", "twin two"} {
		twin := Attributes{"objectClass": {"inetOrgPerson"}, "uid": {"twin"}, "cn": {cn}, "sn": {cn}, "userPassword": {"twinpw"}}
		if err := add(c, "cn="+cn+","+s.People, twin); err != nil {
			return err
		}
	}
	return nil
}

func (s *Slapd) seedGroups(c *ldap.Conn) error {
	of := func(members ...string) Attributes {
		return Attributes{"objectClass": {"groupOfNames"}, "member": members}
	}
	alice, bob := s.Person("alice"), s.Person("bob")
	for _, g := range []struct {
		dn         string
		attributes Attributes
	}{
		{s.Group("devs"), of(alice)},
		{s.Group("all"), of(s.Group("devs"), bob)},
		{s.Group("company"), of(s.Group("all"))},
		{s.Group("round-a"), of(s.Person("erin"))},
		{s.Group("round-b"), of(s.Group("round-a"))},
		{s.Group("Odd, Names"), of(s.Person(OddNames[0]), s.Person(OddNames[1]), s.Person(OddNames[2]), s.Person(OddNames[3]), s.Person(OddNames[4]), s.Person(OddNames[5]))},
		{"ou=east," + s.Groups, Attributes{"objectClass": {"organizationalUnit"}}},
		{"ou=west," + s.Groups, Attributes{"objectClass": {"organizationalUnit"}}},
		{"cn=same,ou=east," + s.Groups, of(bob)},
		{"cn=Same,ou=west," + s.Groups, of(bob)},
		{"cn=outside,ou=elsewhere," + s.Base, of(alice)},
		{s.Group("uniques"), Attributes{"objectClass": {"groupOfUniqueNames"}, "uniqueMember": {alice}}},
		{s.Group("ops"), Attributes{"objectClass": {"posixGroup"}, "gidNumber": {"2001"}, "memberUid": {"alice", "bob"}}},
	} {
		if err := add(c, g.dn, g.attributes); err != nil {
			return err
		}
	}
	request := ldap.NewModifyRequest(s.Group("round-a"), nil)
	request.Add("member", []string{s.Group("round-b")})
	return c.Modify(request)
}
