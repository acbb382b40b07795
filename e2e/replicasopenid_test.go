package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"shorepass/providers/oidc/oidctest"
	"shorepass/session/postgres/postgrestest"
)

// replicasOpenIDKilled kills the OpenID provider while clients redeem in loops, and
// starts it again after grace. No session is lost, though each has a refresh token
// there that can be used once, and one that is used twice ends the session.
func replicasOpenIDKilled(t *testing.T, pg *postgrestest.Server) {
	const revalidate, grace = time.Second, 3 * time.Second
	o := newSSO(t)
	r := newReplicas(t, database(t, pg), options{providers: o.toml(), session: fmt.Sprintf("revalidate = %q\ngrace = %q", revalidate, grace)})
	var quiet []string // not redeemed until the end
	for i := range 6 {
		quiet = append(quiet, r[i%len(r)].login(t, "alice", o.alice.Password))
	}
	alice, bob := r[0].login(t, "alice", o.alice.Password), r[1].login(t, "bob", o.bob.Password)
	watched := map[string]func() []observation{"200 pull,push": r.watch(t, alice), "200 pull": r.watch(t, bob)}
	time.Sleep(2 * revalidate)
	o.Kill()
	down := time.Now()
	time.Sleep(revalidate + grace + 1300*time.Millisecond)
	checkError(t, r[2].redeem(t, alice, teamScope))
	starting := time.Now()
	o.StartAgain()
	back := time.Now()                    // the provider may have answered before
	const soon = revalidate + time.Second // a sign-in whose provider is down is asked about again after revalidate
	time.Sleep(soon + time.Second)
	for want, stop := range watched {
		seen := stop()
		checkGrace(t, seen, want, down, starting, revalidate, grace)
		last := make([]string, len(r))
		for _, saw := range seen {
			if saw.began.After(back) && saw.outcome != want && (saw.outcome != "503" || saw.began.After(back.Add(soon))) {
				t.Errorf("%v, %v after the provider was back, want %s", saw, saw.began.Sub(back), want)
			}
			last[saw.replica] = saw.outcome
		}
		for i, outcome := range last {
			if outcome != want {
				t.Errorf("replica %d answers %s in the end, want %s", i, outcome, want)
			}
		}
	}
	for _, token := range quiet {
		r.checkAll(t, token, "200 pull,push")
	}
	if n := o.Requests("token:reused"); n != 0 {
		t.Errorf("the provider saw %d refresh tokens a second time, want none", n)
	}
	if alice, bob := o.LiveRefreshTokens("alice"), o.LiveRefreshTokens("bob"); alice != len(quiet)+1 || bob != 1 {
		t.Errorf("the provider has %d valid refresh tokens of alice and %d of bob, want %d and 1", alice, bob, len(quiet)+1)
	}
}

// checkGrace tests the observations from when a provider is down until it is started
// again: for grace redemptions succeed, then they are 503 within five seconds, and
// never 401.
func checkGrace(t *testing.T, seen []observation, want string, down, starting time.Time, revalidate, grace time.Duration) {
	t.Helper()
	const slack = 700 * time.Millisecond // for a busy machine, and far less than grace
	// The provider vouched at most revalidate before it went down, and redemptions
	// succeed for revalidate and grace after that.
	first, last := down.Add(grace-slack), down.Add(revalidate+grace+slack)
	unavailable := 0
	for _, saw := range seen {
		if took := saw.ended.Sub(saw.began); took > 5*time.Second {
			t.Errorf("%v took %v", saw, took)
		}
		switch {
		case saw.ended.After(starting):
			continue
		case saw.outcome == "503" && saw.began.After(first):
			unavailable++
		case saw.outcome == want && saw.began.Before(last):
		default:
			t.Errorf("%v, %v after the provider died", saw, saw.began.Sub(down))
		}
	}
	if unavailable == 0 {
		t.Error("no redemption was 503 after grace")
	}
}

// replicasRevokeProviderTokens ends sessions of an OpenID provider: the current refresh
// token of each is revoked there once, by one replica.
func replicasRevokeProviderTokens(t *testing.T, pg *postgrestest.Server) {
	o := newSSO(t)
	carol := oidctest.User{Name: "carol", Password: secrets.newPassword("carol"), Subject: "c-3", Groups: []string{"admins"}}
	o.SetUser(carol)
	r := newReplicas(t, database(t, pg), options{providers: o.toml(), server: `operators = ["admins"]`, session: `revalidate = "1s"`})
	bob := r[0].login(t, "bob", o.bob.Password)
	for _, tc := range []struct {
		name string
		by   func(t *testing.T, token string) answer
		ends int // of two sessions
	}{
		{"by the bearer of the token", func(t *testing.T, token string) answer {
			return r[1].oauth(t, "/oauth/revoke", "", url.Values{"token": {token}})
		}, 1},
		{"by an operator", func(t *testing.T, _ string) answer {
			return r[2].oauth(t, "/oauth/revoke", basic("carol", carol.Password), url.Values{"user": {"alice"}, "provider": {"sso"}})
		}, 2},
		{"by the person", func(t *testing.T, _ string) answer {
			return r[0].oauth(t, "/oauth/revoke", basic("alice", o.alice.Password), url.Values{"user": {"alice"}})
		}, 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before := o.LiveRefreshTokens("alice")
			tokens := []string{r[0].login(t, "alice", o.alice.Password), r[1].login(t, "alice", o.alice.Password)}
			time.Sleep(1100 * time.Millisecond)
			for _, token := range append(tokens, bob) {
				r.checkAll(t, token, map[bool]string{true: "200 pull", false: "200 pull,push"}[token == bob])
			}
			if n := o.LiveRefreshTokens("alice"); n != before+2 {
				t.Fatalf("two logins made %d refresh tokens at the provider, want 2", n-before)
			}
			o.Reset()
			if a := tc.by(t, tokens[0]); a.Status != http.StatusOK {
				t.Fatalf("revoke = %v, want 200", a)
			}
			eventually(t, 5*time.Second, func() error {
				if n := o.LiveRefreshTokens("alice"); n != before+2-tc.ends {
					return fmt.Errorf("the provider still has %d valid refresh tokens of alice, want %d", n, before+2-tc.ends)
				}
				return nil
			})
			time.Sleep(1100 * time.Millisecond) // another replica could revoke the same token, and bob's sign-in becomes due
			if n := o.Requests("revocation"); n != tc.ends {
				t.Errorf("%d tokens were revoked at the provider, want %d", n, tc.ends)
			}
			r.checkAll(t, tokens[0], "401")
			r.checkAll(t, bob, "200 pull")
			for i, token := range tokens[tc.ends:] {
				r.checkAll(t, token, "200 pull,push")
				if a := r[i].oauth(t, "/oauth/revoke", "", url.Values{"token": {token}}); a.Status != http.StatusOK {
					t.Errorf("revoke = %v, want 200", a)
				}
			}
			if bobs, reused := o.LiveRefreshTokens("bob"), o.Requests("token:reused"); bobs != 1 || reused != 0 {
				t.Errorf("the provider has %d valid refresh tokens of bob and saw %d twice, want 1 and none", bobs, reused)
			}
			eventually(t, 5*time.Second, func() error {
				if n := o.LiveRefreshTokens("alice"); n != 0 {
					return fmt.Errorf("the provider still has %d valid refresh tokens of alice, want none", n)
				}
				return nil
			})
		})
	}
}
