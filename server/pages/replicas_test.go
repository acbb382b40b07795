package pages

import (
	"net/http"
	"strings"
	"testing"

	"shorepass/internal/secret"
	"shorepass/session"
)

// Replicas share nothing of a sign-in but the sealing keys: one that begins at a replica ends
// at another, with the consent asked for in between, and while a key is being replaced. Two
// without a common key end it with a page.
func TestSignInAcrossReplicas(t *testing.T) {
	s := newOpenIDSite(t, nil)
	old, next := session.NewSealKey().Reveal(), session.NewSealKey().Reveal()
	replica := func(t *testing.T, ring string) *Pages {
		t.Helper()
		chain := newRealChain(t, s.op.Issuer, s.clients)
		sessions := newTestSessions(t, chain, secret.New(ring))
		o := s.pages.Options
		o.Providers, o.Sessions, o.Admin = chain, sessions, sessions
		p, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	for _, c := range []struct {
		name       string
		one, other string // key rings
		good       bool
	}{
		{"one key", old, old, true},
		{"the new key is second here, and first there", old + " " + next, next + " " + old, true},
		{"the new key is first here, and unknown there", next + " " + old, old, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			one, other := replica(t, c.one), replica(t, c.other)
			b := newBrowser(t, one)
			b.now = s.now
			first := b.get("/login?provider=sso").Location
			b.pages = other
			got := b.get(s.person.SignIn(first).RequestURI())
			if !c.good {
				if got.Status != http.StatusBadRequest || !has(got, "cannot be finished") {
					t.Errorf("%d to %q\n%s", got.Status, got.Location, got.Body)
				}
				return
			}
			if !strings.Contains(got.Location, "prompt=consent") {
				t.Fatalf("the other replica answers %d to %q\n%s", got.Status, got.Location, got.Body)
			}
			b.pages = one
			got = b.get(s.person.SignIn(got.Location).RequestURI())
			if record := b.visit.Record; got.Location != "/me" || record.Identity == nil || record.Identity.User != "sso:alice" {
				t.Errorf("the first replica: %d to %q, %+v\n%s", got.Status, got.Location, record, got.Body)
			}
		})
	}
}
