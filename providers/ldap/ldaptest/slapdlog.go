package ldaptest

import (
	"fmt"
	"strings"
	"testing"

	ldap "github.com/go-ldap/ldap/v3"
)

// Binds counts the simple binds, successful or not, as an entry at or below a DN since
// the start. The DN must be in lower case, as in slapd's log.
func (s *Slapd) Binds(t testing.TB, base string) int {
	t.Helper()
	n := 0
	for _, line := range s.Log(t) {
		_, dn, found := strings.Cut(line, ` BIND dn="`)
		dn, rest, _ := strings.Cut(dn, `" `)
		if found && strings.HasPrefix(rest, "method=128") && (dn == base || strings.HasSuffix(dn, ","+base)) {
			n++
		}
	}
	return n
}

// Searches counts the searches with this base since the start.
func (s *Slapd) Searches(t testing.TB, base string) int {
	t.Helper()
	n := 0
	for _, line := range s.Log(t) {
		if strings.Contains(line, ` SRCH base="`+base+`" `) {
			n++
		}
	}
	return n
}

// Connections counts the connections that are open, and all since the start.
func (s *Slapd) Connections(t testing.TB) (open, ever int) {
	t.Helper()
	for _, line := range s.Log(t) {
		switch {
		case strings.Contains(line, " ACCEPT from "):
			open++
			ever++
		case strings.HasSuffix(line, " closed") || strings.Contains(line, " closed ("):
			open--
		}
	}
	return open, ever
}

// Log returns slapd's log of connections since the start, without those of the
// administrator.
func (s *Slapd) Log(t testing.TB) []string {
	t.Helper()
	marker := "uid=mark" + FreePort(t) + "," + s.Base
	_ = s.withConn(func(c *ldap.Conn) error { // once this request is logged, earlier ones are
		_, err := c.Search(&ldap.SearchRequest{BaseDN: marker, Scope: ldap.ScopeBaseObject, Filter: "(objectClass=*)"})
		return err
	})
	s.process.await(t, "slapd's output", func() error {
		if !strings.Contains(s.process.out.string(), marker) {
			return fmt.Errorf("no %s yet", marker)
		}
		return nil
	})
	all := strings.Split(s.process.out.string(), "\n")
	own := make(map[string]bool)
	for _, line := range all {
		if strings.Contains(line, `BIND dn="`+s.dn+`"`) {
			own[connection(line)] = true
		}
	}
	var lines []string
	for _, line := range all {
		if c := connection(line); c != "" && !own[c] {
			lines = append(lines, line)
		}
	}
	return lines
}

// connection returns the "conn=1000" of a line.
func connection(line string) string {
	for _, word := range strings.Fields(line) {
		if strings.HasPrefix(word, "conn=") {
			return word
		}
	}
	return ""
}
