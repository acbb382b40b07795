package pages

import (
	"net/http"
	"testing"
)

// BenchmarkMe shows the logins of a person who has a thousand, on SQLite. A page may take 5
// ms of server time.
func BenchmarkMe(b *testing.B) {
	s := newMeSite(b)
	web := s.signIn(member("alice"))
	for range 1000 {
		s.dockerLogin(member("alice"))
	}
	for b.Loop() {
		if r := web.do(http.MethodGet, "/me", nil); r.Status != http.StatusOK {
			b.Fatalf("status %d", r.Status)
		}
	}
}
