package e2e

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"shorepass/providers/ldap/ldaptest"
	"shorepass/providers/oidc/oidctest"
	"shorepass/session/postgres/postgrestest"
)

// walker is a client in a loop: it logs in, redeems what it was given and
// revokes some of it, at whichever replica answers, and notes what it sees.
type walker struct {
	user, password string
	rotates        bool // the provider rotates its token at each asking
	given          []*given
	done           *atomic.Int64 // how much all walkers have redeemed and revoked
	seen           map[string]int
	lost           int // of its tokens, to one that the provider rotated in the instant of a kill
	faults         []string
}

// given is a refresh token that a client was given, and what the client knows
// of it.
type given struct {
	token   string
	revoked bool // the revocation was answered
	unsure  bool // a revocation was not answered
	cut     bool // the last redemption that came to anything was not answered: the provider may have rotated its token for nobody
	lost    bool // it was refused after that
}

// walk goes on until stop is closed.
func (w *walker) walk(r replicas, stop <-chan struct{}) {
	for {
		s := r[rand.IntN(len(r))]
		switch n := rand.IntN(24); {
		case len(w.given) < 4 || len(w.given) < 16 && n == 0:
			w.login(s)
		case n <= 2 && len(w.given) > 3:
			w.revoke(s, w.given[rand.IntN(len(w.given)/3)]) // most of them live on
		default:
			w.redeem(s, w.any())
		}
		select {
		case <-stop:
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (w *walker) any() *given { return w.given[rand.IntN(len(w.given))] }

func (w *walker) ask(what string, r *http.Request) (answer, error) {
	a, err := attempt(r)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		w.seen["nobody there"]++
	case err != nil:
		w.seen[what+" cut off"]++
	default:
		w.seen[fmt.Sprint(what, " ", a.Status)]++
	}
	return a, err
}

func (w *walker) login(s *site) {
	r, err := http.NewRequest(http.MethodGet, s.url+"/jwt/auth?client_id=docker&offline_token=true&service="+service, nil)
	if err != nil {
		panic(err) // a URL of ours is always good
	}
	r.Header.Set("Authorization", basic(w.user, w.password))
	switch a, err := w.ask("login", r); {
	case err != nil || a.Status == http.StatusServiceUnavailable:
	case a.Status != http.StatusOK || a.RefreshToken == "":
		w.faults = append(w.faults, fmt.Sprintf("a login as %s = %v", w.user, a))
	default:
		w.given = append(w.given, &given{token: a.RefreshToken})
	}
}

func (w *walker) revoke(s *site, g *given) {
	if g.lost || g.revoked {
		return
	}
	r, err := http.NewRequest(http.MethodPost, s.url+"/oauth/revoke", strings.NewReader(url.Values{"token": {g.token}}.Encode()))
	if err != nil {
		panic(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	switch a, err := w.ask("revoke", r); {
	case err == nil && a.Status == http.StatusOK:
		g.revoked = true
		w.done.Add(1)
	case !errors.Is(err, syscall.ECONNREFUSED):
		g.unsure = true // some of it may have been done
	}
}

// redeem reports whether there was an answer that says what has become of the
// token.
func (w *walker) redeem(s *site, g *given) bool {
	a, err := w.ask("redeem", s.redemption(g.token))
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return false
	case err != nil:
		g.cut = true
		return false
	case a.Status == http.StatusServiceUnavailable:
		return false
	case a.Status == http.StatusOK && g.revoked:
		w.faults = append(w.faults, fmt.Sprintf("a revoked token of %s came back", w.user))
	case a.Status == http.StatusUnauthorized && (g.revoked || g.unsure || g.lost):
	case a.Status == http.StatusUnauthorized && g.cut && w.rotates:
		g.lost = true
		w.lost++
	case a.Status != http.StatusOK:
		w.faults = append(w.faults, fmt.Sprintf("a token that %s was given = %v", w.user, a))
	default:
		g.cut = false // it was not that one
		w.done.Add(1)
	}
	return true
}

// victim is what is killed and started again.
type victim struct {
	again func()
	asks  bool // it asks providers, and a token that was rotated in that instant dies with it
}

// crash kills and restarts victims, one after the other and often, while
// walkers walk, and then looks at what has become of every token that one of
// them was given.
func (r replicas) crash(t *testing.T, times int, walkers []*walker, victims ...victim) {
	stop, done := make(chan struct{}), new(atomic.Int64)
	var walking sync.WaitGroup
	for _, w := range walkers {
		w.seen, w.done = make(map[string]int), done
		walking.Go(func() { w.walk(r, stop) })
	}
	askers := 0 // that were killed
	for n := range times {
		enough := done.Load() + int64(5*len(walkers))
		eventually(t, 20*time.Second, func() error {
			if n := done.Load(); n < enough {
				return fmt.Errorf("clients redeemed and revoked %d times, want %d", n, enough)
			}
			return nil
		})
		time.Sleep(time.Duration(rand.IntN(300)) * time.Millisecond)
		v := victims[n%len(victims)]
		if v.again(); v.asks {
			askers++
		}
	}
	close(stop)
	walking.Wait()
	seen, tokens, revoked, lost := map[string]int{}, 0, 0, 0
	for _, w := range walkers {
		walking.Go(func() { w.settle(t, r) })
	}
	walking.Wait()
	for _, w := range walkers {
		for what, n := range w.seen {
			seen[what] += n
		}
		for _, g := range w.given {
			tokens++
			if g.revoked {
				revoked++
			}
		}
		for _, fault := range w.faults {
			t.Error(fault)
		}
		// It waits for one answer at a time, so that a kill can cost it one.
		if lost += w.lost; w.lost > askers {
			t.Errorf("%s lost %d tokens to %d kills of who asks the provider, want one for each at most", w.user, w.lost, askers)
		}
	}
	t.Logf("%d kills; %d tokens given, %d of them revoked, %d lost to one rotated in that instant; clients saw %v", times, tokens, revoked, lost, seen)
	if revoked == 0 {
		t.Error("no token was revoked")
	}
}

// settle redeems everything on every replica. A lease of who was killed holds
// for fifteen seconds.
func (w *walker) settle(t *testing.T, r replicas) {
	deadline := time.Now().Add(30 * time.Second)
	for _, g := range w.given {
		for i, s := range r {
			for !w.redeem(s, g) {
				if time.Now().After(deadline) {
					t.Errorf("replica %d still cannot tell about a token of %s", i, w.user)
					return
				}
				time.Sleep(100 * time.Millisecond)
			}
		}
	}
}

// victims kill each of the replicas, and start it again.
func (r replicas) victims(t *testing.T) []victim {
	var all []victim
	for _, s := range r {
		all = append(all, victim{asks: true, again: func() {
			s.kill()
			s.launch(t)
			s.healthy(t)
		}})
	}
	return all
}

// walkersOf are a directory and an OpenID provider that rotates, and those who
// log in there.
func walkersOf(t *testing.T) (toml string, d *ldaptest.Slapd, walkers []*walker) {
	d = ldaptest.StartSlapd(t, ldaptest.SlapdOptions{})
	for _, uid := range []string{"alice", "bob", "josé"} {
		walkers = append(walkers, &walker{user: uid, password: uid + "pw"})
	}
	var users []oidctest.User
	for _, name := range []string{"olga", "otto", "oskar"} {
		users = append(users, oidctest.User{Name: name, Password: secrets.password(name), Subject: "sub-" + name})
		walkers = append(walkers, &walker{user: name, password: users[len(users)-1].Password, rotates: true})
	}
	o := &sso{Server: oidctest.Start(t, oidctest.Options{Clients: []oidctest.Client{ssoClient}, Users: users})}
	o.Slow("token", 100*time.Millisecond) // after it has rotated
	return slapdTOML(d, "prefix = \"\"\n"+groupsIn(d.Groups, "")) + o.toml() + "prefix = \"sso:\"\n", d, walkers
}

// replicasKilled kills every replica several times, and the directory too.
func replicasKilled(t *testing.T, pg *postgrestest.Server) {
	toml, d, walkers := walkersOf(t)
	r := newReplicas(t, database(t, pg), options{providers: toml, rules: directoryRules, session: `revalidate = "1s"`})
	r.crash(t, 12, walkers, append(r.victims(t), victim{again: func() {
		d.Kill()
		d.Start(t)
	}})...)
}

// TestSQLiteKilled kills a server that is alone with its file.
func TestSQLiteKilled(t *testing.T) {
	t.Parallel()
	toml, _, walkers := walkersOf(t)
	r := replicas{newSite(t, options{providers: toml, rules: directoryRules, session: `revalidate = "1s"`})}
	r.crash(t, 6, walkers, r.victims(t)...)
}

// TestStoreKilled kills the PostgreSQL of three replicas. They keep what a
// provider rotated meanwhile until it is back, so that nothing at all is lost.
func TestStoreKilled(t *testing.T) {
	t.Parallel()
	pg := postgrestest.Start(t)
	toml, _, walkers := walkersOf(t)
	r := newReplicas(t, database(t, pg), options{providers: toml, rules: directoryRules, session: `revalidate = "1s"`})
	r.crash(t, 4, walkers, victim{again: func() {
		pg.Kill()
		pg.StartAgain(t)
	}})
}
