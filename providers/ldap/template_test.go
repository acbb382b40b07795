package ldap

import (
	"strings"
	"testing"
	"unicode/utf8"

	ldap "github.com/go-ldap/ldap/v3"
)

func TestParseTemplate(t *testing.T) {
	for _, test := range []struct {
		text, login string
		filter      string
		wildcard    string
		problem     string
	}{
		{"(uid={login})", "alice", "(uid=alice)", "(uid=*)", ""},
		{"(uid={login})", "a*", `(uid=a\2a)`, "(uid=*)", ""},
		{"(uid={login})", "o(brien", `(uid=o\28brien)`, "(uid=*)", ""},
		{"(uid={login})", "josé", `(uid=jos\c3\a9)`, "(uid=*)", ""},
		{"(uid={login})", `CN=Doe\, J`, `(uid=CN=Doe\5c, J)`, "(uid=*)", ""},
		{"(uid={login})", "{user}", "(uid={user})", "(uid=*)", ""},
		{"(|(uid={login})(mail={login}@corp.example))", "x", "(|(uid=x)(mail=x@corp.example))", "(|(uid=*)(mail=*@corp.example))", ""},
		{`(cn=\7b{login}\7d)`, "x", `(cn=\7bx\7d)`, `(cn=\7b*\7d)`, ""},
		{"(uid={login)", "", "", "", "brace"},
		{"(uid=login})", "", "", "", "brace"},
		{"(uid={})", "", "", "", "{} is not a placeholder"},
		{"(uid={a b})", "", "", "", "{a b} is not a placeholder"},
		{"(uid={a{b}})", "", "", "", "is not a placeholder"},
	} {
		parsed, err := parseTemplate(test.text)
		if test.problem != "" {
			if err == nil || !strings.Contains(err.Error(), test.problem) {
				t.Errorf("parseTemplate(%q) = %v, want %q", test.text, err, test.problem)
			}
			continue
		}
		if err != nil {
			t.Errorf("parseTemplate(%q) = %v", test.text, err)
			continue
		}
		if got := parsed.filter(func(string) string { return test.login }); got != test.filter {
			t.Errorf("filter of %q for %q = %q, want %q", test.text, test.login, got, test.filter)
		}
		if got := parsed.wildcardFilter(); got != test.wildcard {
			t.Errorf("wildcardFilter of %q = %q, want %q", test.text, got, test.wildcard)
		}
	}
}

// FuzzFilter: a value never changes the structure of the filter.
func FuzzFilter(f *testing.F) {
	for _, seed := range []string{"alice", "*", ")(uid=*", `\2a`, `\`, "o(brien", "josé", "CN=Doe\\, J", "\x00", "#", " ", "\xff", "{login}"} {
		f.Add(seed)
	}
	template, err := parseTemplate("(&(objectClass=person)(uid={login}))")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, login string) {
		text := template.filter(func(string) string { return login })
		packet, err := ldap.CompileFilter(text)
		if err != nil {
			t.Fatalf("filter %q for %q: %v", text, login, err)
		}
		if packet.Tag != ldap.FilterAnd || len(packet.Children) != 2 {
			t.Fatalf("filter %q for %q has another structure", text, login)
		}
		is := packet.Children[1]
		if login == "" {
			return
		}
		if is.Tag != ldap.FilterEqualityMatch || is.Children[1].Data.String() != login {
			t.Fatalf("filter %q for %q asserts %q", text, login, is.Children[1].Data.String())
		}
	})
}

// FuzzDN: a value never changes the structure of the DN.
func FuzzDN(f *testing.F) {
	for _, seed := range []string{"alice", "x,ou=services", "x+cn=y", `\`, `\,`, "#41", " a ", "  ", `"x"`, "x;y", "<x>", "josé", "CN=Doe\\, J", "\x00", "x=y", "{user}", "\xe8"} {
		f.Add(seed)
	}
	template, err := parseTemplate("uid={user},ou=people,dc=corp,dc=example")
	if err != nil {
		f.Fatal(err)
	}
	parent, err := ldap.ParseDN("ou=people,dc=corp,dc=example")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, login string) {
		if login == "" || !utf8.ValidString(login) {
			return // Provider.Lookup refuses both
		}
		text := template.dn(func(string) string { return login })
		dn, err := ldap.ParseDN(text)
		if err != nil {
			return // Provider.lookupTemplate refuses it
		}
		if !isDescendant(parent, dn, scopeOne) || len(dn.RDNs[0].Attributes) != 1 || dn.RDNs[0].Attributes[0].Value != login {
			t.Fatalf("DN %q for %q is %v", text, login, dn)
		}
	})
}

func TestParentOfTemplate(t *testing.T) {
	for _, test := range []struct{ template, want string }{
		{"uid={user},ou=people,dc=corp,dc=example", "ou=people,dc=corp,dc=example"},
		{"cn={user},ou={login},dc=corp", "dc=corp"},
		{"uid={user}", ""},
		{"{user}", ""},
	} {
		if got := parentOfTemplate(test.template); got != test.want {
			t.Errorf("parentOfTemplate(%q) = %q, want %q", test.template, got, test.want)
		}
	}
}

// TestIsDescendant: DNs are compared by their RDNs.
func TestIsDescendant(t *testing.T) {
	base, err := ldap.ParseDN("OU=Groups, dc=corp,DC=example")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		dn, scope string
		want      bool
	}{
		{"cn=admins,ou=groups,dc=corp,dc=example", scopeSub, true},
		{"CN=Admins,OU=GROUPS,DC=Corp,DC=Example", scopeSub, true},
		{"cn=admins,ou=east,ou=groups,dc=corp,dc=example", scopeSub, true},
		{"cn=admins,ou=east,ou=groups,dc=corp,dc=example", scopeOne, false},
		{"cn=admins,ou=groups,dc=corp,dc=example", scopeOne, true},
		{"ou=groups,dc=corp,dc=example", scopeSub, false},
		{"cn=admins,ou=mygroups,dc=corp,dc=example", scopeSub, false},
		{`cn=admins\,ou=groups,dc=corp,dc=example`, scopeSub, false},
		{"cn=admins,ou=groups,dc=corp,dc=example,dc=evil", scopeSub, false},
		{"cn=admins,organizationalUnitName=groups,dc=corp,0.9.2342.19200300.100.1.25=example", scopeSub, true},
		{`cn=admins,ou= Groups\ ,dc=corp,dc=example`, scopeSub, true},
		{"cn=admins,ou=gro ups,dc=corp,dc=example", scopeSub, false},
		{"ou=GROUPS,dc=corp,dc=example", scopeSub, false},
		{"not a dn", scopeSub, false},
		{"", scopeSub, false},
	} {
		if got := isDescendantText(base, test.dn, test.scope); got != test.want {
			t.Errorf("isDescendantText(%q, %q) = %v, want %v", test.dn, test.scope, got, test.want)
		}
	}
}
