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

// walker is a client on a random walk: it logs in, redeems its tokens and revokes some
// of them, each time at a random replica, and records the answers.
type walker struct {
	user, password string
	rotates        bool // the provider rotates its refresh token at each use
	tokens         []*issuedToken
	done           *atomic.Int64 // redemptions and revocations of all walkers
	seen           map[string]int
	lost           int // tokens that the provider rotated at the moment of a kill
	faults         []string
}

// issuedToken is a refresh token that a client received, and the client's view of its
// state.
type issuedToken struct {
	token   string
	revoked bool // the revocation was answered
	unsure  bool // a revocation got no answer
	cut     bool // the last redemption that reached a server got no answer: the provider may have rotated a token that no row has
	lost    bool // it was refused after that
}

// walk goes on until stop is closed.
func (w *walker) walk(r replicas, stop <-chan struct{}) {
	for {
		s := r[rand.IntN(len(r))]
		switch n := rand.IntN(24); {
		case len(w.tokens) < 4 || len(w.tokens) < 16 && n == 0:
			w.login(s)
		case n <= 2 && len(w.tokens) > 3:
			w.revoke(s, w.tokens[rand.IntN(len(w.tokens)/3)]) // most tokens stay unrevoked
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

func (w *walker) any() *issuedToken { return w.tokens[rand.IntN(len(w.tokens))] }

func (w *walker) ask(what string, r *http.Request) (answer, error) {
	a, err := attempt(r)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		w.seen["connection refused"]++
	case err != nil:
		w.seen[what+" cut off"]++
	default:
		w.seen[fmt.Sprint(what, " ", a.Status)]++
	}
	return a, err
}

func (w *walker) login(s *server) {
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
		w.tokens = append(w.tokens, &issuedToken{token: a.RefreshToken})
	}
}

func (w *walker) revoke(s *server, g *issuedToken) {
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
		g.unsure = true // the session may have ended
	}
}

// redeem reports whether the answer tells the state of the token.
func (w *walker) redeem(s *server, g *issuedToken) bool {
	a, err := w.ask("redeem", s.redemption(g.token))
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return false
	case err != nil:
		g.cut = true
		return false
	case a.Status == http.StatusServiceUnavailable:
		return false
	case a.accepted() && g.revoked:
		w.faults = append(w.faults, fmt.Sprintf("a revoked token of %s was redeemed", w.user))
	case a.Status == http.StatusUnauthorized && (g.revoked || g.unsure || g.lost):
	case a.Status == http.StatusUnauthorized && g.cut && w.rotates:
		g.lost = true
		w.lost++
	case !a.accepted():
		w.faults = append(w.faults, fmt.Sprintf("a token that %s received = %v", w.user, a))
	default:
		g.cut = false // the earlier redemption rotated no token
		w.done.Add(1)
	}
	return true
}

// victim is a process that is killed and restarted.
type victim struct {
	restart func()
	asks    bool // it asks providers, and a kill can lose a token that one has just rotated
}

// crash kills and restarts victims in turn while walkers walk, and then redeems every
// token of every walker.
func (r replicas) crash(t *testing.T, times int, walkers []*walker, victims ...victim) {
	stop, done := make(chan struct{}), new(atomic.Int64)
	var walking sync.WaitGroup
	for _, w := range walkers {
		w.seen, w.done = make(map[string]int), done
		walking.Go(func() { w.walk(r, stop) })
	}
	askers := 0 // kills of victims that ask providers
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
		if v.restart(); v.asks {
			askers++
		}
	}
	close(stop)
	walking.Wait()
	seen, tokens, revoked, lost := map[string]int{}, 0, 0, 0
	for _, w := range walkers {
		walking.Go(func() { w.redeemAll(t, r) })
	}
	walking.Wait()
	for _, w := range walkers {
		for what, n := range w.seen {
			seen[what] += n
		}
		for _, g := range w.tokens {
			tokens++
			if g.revoked {
				revoked++
			}
		}
		for _, fault := range w.faults {
			t.Error(fault)
		}
		// A walker has one request in flight, so that a kill loses one token at most.
		if lost += w.lost; w.lost > askers {
			t.Errorf("%s lost %d tokens to %d kills of replicas, want at most one for each", w.user, w.lost, askers)
		}
	}
	t.Logf("%d kills; %d tokens issued, %d of them revoked, %d lost at a rotation; clients saw %v", times, tokens, revoked, lost, seen)
	if revoked == 0 {
		t.Error("no token was revoked")
	}
}

// redeemAll redeems all tokens on every replica. It retries for thirty seconds, since
// the lease of a killed replica lasts for fifteen.
func (w *walker) redeemAll(t *testing.T, r replicas) {
	deadline := time.Now().Add(30 * time.Second)
	for _, g := range w.tokens {
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

// victims returns the replicas, each to be killed and restarted.
func (r replicas) victims(t *testing.T) []victim {
	var all []victim
	for _, s := range r {
		all = append(all, victim{asks: true, restart: func() {
			s.kill()
			s.launch(t)
			s.healthy(t)
		}})
	}
	return all
}

// startWalkers starts a directory and an OpenID provider that rotates refresh tokens.
// It returns their configuration, and walkers that log in there.
func startWalkers(t *testing.T) (toml string, d *ldaptest.Slapd, walkers []*walker) {
	d = ldaptest.StartSlapd(t, ldaptest.SlapdOptions{})
	for _, uid := range []string{"alice", "bob", "josé"} {
		walkers = append(walkers, &walker{user: uid, password: uid + "pw"})
	}
	var users []oidctest.User
	for _, name := range []string{"olga", "otto", "oskar"} {
		users = append(users, oidctest.User{Name: name, Password: secrets.newPassword(name), Subject: "sub-" + name})
		walkers = append(walkers, &walker{user: name, password: users[len(users)-1].Password, rotates: true})
	}
	o := &sso{Server: oidctest.Start(t, oidctest.Options{Clients: []oidctest.Client{ssoClient}, Users: users})}
	o.Slow("token", 100*time.Millisecond) // after it has rotated
	return slapdTOML(d, "prefix = \"\"\n"+groupsIn(d.Groups, "")) + o.toml() + "prefix = \"sso:\"\n", d, walkers
}

// replicasKilled kills and restarts every replica and the directory several times.
func replicasKilled(t *testing.T, pg *postgrestest.Server) {
	toml, d, walkers := startWalkers(t)
	r := newReplicas(t, database(t, pg), options{providers: toml, rules: directoryRules, session: `revalidate = "1s"`})
	r.crash(t, 12, walkers, append(r.victims(t), victim{restart: func() {
		d.Kill()
		d.Start(t)
	}})...)
}

// TestSQLiteKilled kills and restarts a server with a SQLite store.
func TestSQLiteKilled(t *testing.T) {
	t.Parallel()
	toml, _, walkers := startWalkers(t)
	r := replicas{newServer(t, options{providers: toml, rules: directoryRules, session: `revalidate = "1s"`})}
	r.crash(t, 6, walkers, r.victims(t)...)
}

// TestStoreKilled kills the PostgreSQL of three replicas. They buffer the tokens that a
// provider rotates until it is back, so that no token is lost.
func TestStoreKilled(t *testing.T) {
	t.Parallel()
	pg := postgrestest.Start(t)
	toml, _, walkers := startWalkers(t)
	r := newReplicas(t, database(t, pg), options{providers: toml, rules: directoryRules, session: `revalidate = "1s"`})
	r.crash(t, 4, walkers, victim{restart: func() {
		pg.Kill()
		pg.StartAgain(t)
	}})
}
