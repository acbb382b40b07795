package pages

import (
	"net/http"
	"testing"
)

// The pages that people see most, with all that the server does for them: a redemption from
// SQLite, the list, the template. They are to take less than 5 ms.
func BenchmarkPages(b *testing.B) {
	_, _, _, person := newTestPages(b, origin)
	person.signIn("sso", "code-alice")
	for _, path := range []string{"/login", "/me", "/login?provider=sso"} {
		b.Run(path, func(b *testing.B) {
			for b.Loop() {
				clearSignIns(person)
				if got := person.get(path); got.Status >= http.StatusBadRequest {
					b.Fatalf("status %d", got.Status)
				}
			}
		})
	}
}

// clearSignIns drops the cookies of sign-ins in progress.
func clearSignIns(b *browser) {
	for _, name := range b.signIns() {
		delete(b.cookies, name)
	}
}

// BenchmarkMe shows the logins of a person who has a thousand. It is to take less than 5 ms.
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
