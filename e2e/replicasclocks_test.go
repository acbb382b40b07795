package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"shorepass/session/postgres/postgrestest"
)

// TestClocksApart: the database's clock differs by five minutes from that of the
// replicas and the registries. Sessions use the database's clock. Access tokens are
// valid by both, since the replicas do not know which one a registry has.
func TestClocksApart(t *testing.T) {
	t.Parallel()
	for _, ahead := range []time.Duration{5 * time.Minute, -5 * time.Minute} {
		t.Run(fmt.Sprintf("%+v", ahead), func(t *testing.T) {
			t.Parallel()
			pg := postgrestest.StartClockAhead(t, ahead)
			r := newReplicas(t, database(t, pg), options{session: "revalidate = \"1s\""})
			for _, s := range r {
				if said := s.process.output(); !strings.Contains(said, "this machine's clock differs from the store's") {
					t.Errorf("the log does not say that clocks differ:\n%s", tail(said, 5))
				}
			}
			for i, d := range distributions {
				s := r[i%len(r)]
				s.registry(t, d).seed(t, ociImage(t), "some/thing:1") // pushes, and checks the result
			}
			token := r[0].login(t, "alice", testUsers()["alice"].password)
			for range 3 {
				r.checkAll(t, token, "200 pull,push")
				time.Sleep(1100 * time.Millisecond) // the sign-in becomes due, and is revalidated under a lease
			}
			if a := r[1].oauth(t, "/oauth/revoke", "", url.Values{"token": {token}}); a.Status != http.StatusOK {
				t.Errorf("a revocation = %v, want 200", a)
			}
			r.checkAll(t, token, "401")
		})
	}
}
