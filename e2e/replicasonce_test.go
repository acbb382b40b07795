package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptrace"
	"slices"
	"sync"
	"testing"
	"time"

	"shorepass/providers/ldap/ldaptest"
	"shorepass/session/postgres/postgrestest"
)

// inOrder sorts observations by the time of the request.
func inOrder(seen []observation) []observation {
	slices.SortFunc(seen, func(a, b observation) int { return a.began.Compare(b.began) })
	return seen
}

// redeemAll redeems tokens concurrently, at the replicas in turn, and returns the
// answers. It calls sent once all requests have been sent.
func (r replicas) redeemAll(t *testing.T, tokens []string, sent func()) []answer {
	t.Helper()
	answers := make([]answer, len(tokens))
	var sending, clients sync.WaitGroup
	sending.Add(len(tokens))
	for i, token := range tokens {
		clients.Go(func() {
			once := sync.OnceFunc(sending.Done)
			defer once()
			ask := r[i%len(r)].redemption(token)
			trace := &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { once() }}
			a, err := attempt(ask.WithContext(httptrace.WithClientTrace(t.Context(), trace)))
			if err != nil {
				t.Errorf("redeem: %v", err)
			}
			answers[i] = a
		})
	}
	sending.Wait()
	sent()
	clients.Wait()
	return answers
}

// replicasRefreshOnce redeems one session of an OpenID provider 200 times concurrently:
// the provider, which rotates its refresh token and rejects reuse, is asked once, and
// no redemption is refused.
func replicasRefreshOnce(t *testing.T, pg *postgrestest.Server) {
	const revalidate = 3 * time.Second
	o := newSSO(t)
	store := database(t, pg)
	r := newReplicas(t, store, options{providers: o.toml(), session: fmt.Sprintf("revalidate = %q", revalidate)})
	token := r[0].login(t, "alice", o.alice.Password)
	checked := time.Now()
	o.Slow("token", 2*time.Second) // until all 200 requests have been sent
	for round := range 3 {
		time.Sleep(time.Until(checked.Add(revalidate + 50*time.Millisecond)))
		o.Reset()
		open := ""
		answers := r.redeemAll(t, slices.Repeat([]string{token}, 200), func() {
			eventually(t, 2*time.Second, func() error {
				if o.Requests("token:refresh_token") == 0 {
					return fmt.Errorf("no replica asks the provider")
				}
				return nil
			})
			open = pg.SQL(t, store, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start < now() - interval '500 ms'")
		})
		checked = time.Now()
		for _, a := range answers {
			if a.Status != http.StatusOK || a.RefreshToken != token || a.outcome(t) != "200 pull,push" {
				t.Errorf("round %d: %v, want 200 with the same token", round, a)
			}
		}
		if n := o.Requests("token:refresh_token"); n != 1 {
			t.Errorf("round %d: two hundred redemptions on three replicas asked the provider %d times, want once", round, n)
		}
		if open != "0" {
			t.Errorf("round %d: %s transactions are open while the provider is asked, want none", round, open)
		}
	}
}

// replicasSearchOnce redeems fifty sessions of one person, four times each and all
// concurrently: the directory is searched once.
func replicasSearchOnce(t *testing.T, pg *postgrestest.Server) {
	const revalidate = 8 * time.Second
	d := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{})
	r := newReplicas(t, database(t, pg), options{
		providers: slapdTOML(d, groupsIn(d.Groups, "")), rules: directoryRules, session: fmt.Sprintf("revalidate = %q", revalidate),
	})
	var mu sync.Mutex // guards tokens
	var tokens []string
	var logins sync.WaitGroup
	for i := range 5 {
		logins.Go(func() {
			for range 10 {
				token := r[i%len(r)].login(t, "alice", "alicepw")
				mu.Lock()
				tokens = append(tokens, token)
				mu.Unlock()
			}
		})
	}
	logins.Wait()
	time.Sleep(revalidate + 50*time.Millisecond)
	people, groups := d.Searches(t, d.People), d.Searches(t, d.Groups)
	for _, a := range r.redeemAll(t, slices.Repeat(tokens, 4), func() {}) {
		if got := a.outcome(t); got != "200 pull,push" {
			t.Errorf("redeem = %v, want %s", a, teamScope)
		}
	}
	people, groups = d.Searches(t, d.People)-people, d.Searches(t, d.Groups)-groups
	if people != 1 || groups != 1 {
		t.Errorf("fifty sessions of one person made %d searches for people and %d for groups, want 1 and 1", people, groups)
	}
}
