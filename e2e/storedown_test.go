package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"shorepass/session/postgres/postgrestest"
)

// storeLimit bounds an answer while the store is down: half a second for the throttle,
// session.query_timeout, and some for a busy machine.
const storeLimit = 6 * time.Second

// TestStoreDown stops, kills and pauses PostgreSQL before replicas start and while they
// serve.
func TestStoreDown(t *testing.T) {
	t.Parallel()
	pg := postgrestest.Start(t)
	store := database(t, pg)
	r := newReplicas(t, store, options{})
	alice := testUsers()["alice"]
	token := r[0].login(t, "alice", alice.password)
	r.checkAll(t, token, "200 pull,push")

	pg.Stop(t)
	t.Run("at start", func(t *testing.T) {
		s := configureServer(t, options{session: fmt.Sprintf("store = %q\nseal_key = { file = %q }\n", store, sealKeyOf(t, r[0]))})
		s.launch(t) // which waits for the store
		s.process.await(t, 15*time.Second, func() error {
			if len(s.logLines("the store is unavailable; trying again", pg.Address(), "refused")) == 0 {
				return errors.New("no log line says that the store is away")
			}
			return checkOK(s.url + "/healthz")
		})
		if a := s.get(t, "service="+service, basic("alice", alice.password)); a.Status != http.StatusServiceUnavailable {
			t.Errorf("a login before the store was seen = %v, want 503", a)
		}
		if said := s.process.output(); strings.Contains(said, "canary") {
			t.Errorf("it prints the password of the store:\n%s", said)
		}
		if err := s.process.stop(); err != nil {
			t.Errorf("stopped while it waits: %v, want exit 0", err)
		}
		if got := s.cli(t, "", "sessions", "list"); got.ok || !strings.Contains(got.text, pg.Address()) {
			t.Errorf("shorepass sessions list: %v\nwant a failure that names %s", got, pg.Address())
		}
	})
	r.checkWithoutStore(t, "stopped", token)
	pg.StartAgain(t)
	r.awaitStore(t, token)

	stop := r.watch(t, token)
	pg.Kill()
	r.checkWithoutStore(t, "killed", token)
	pg.StartAgain(t)
	r.awaitStore(t, token)
	for _, saw := range stop() {
		if saw.outcome != "503" && saw.outcome != "200 pull,push" {
			t.Errorf("%v while the store was killed and came back, want 200 or 503", saw)
		}
	}

	pg.Pause()
	r.checkWithoutStore(t, "paused", token)
	pg.Resume()
	r.awaitStore(t, token)

	// PostgreSQL is killed during logins: every token that a client received stays
	// valid.
	var mu sync.Mutex // guards issued
	var issued []string
	var logins sync.WaitGroup
	for i := range 3 {
		logins.Go(func() {
			for range 8 {
				a := r[i].get(t, "offline_token=true&service="+service, basic("alice", alice.password))
				if a.Status == http.StatusOK && a.RefreshToken != "" {
					mu.Lock()
					issued = append(issued, a.RefreshToken)
					mu.Unlock()
				} else if a.Status != http.StatusServiceUnavailable {
					t.Errorf("a login while the store is killed = %v, want 200 or 503", a)
				}
			}
		})
	}
	eventually(t, 10*time.Second, func() error {
		mu.Lock()
		defer mu.Unlock()
		if len(issued) < 3 {
			return fmt.Errorf("%d logins, want 3", len(issued))
		}
		return nil
	})
	pg.Kill()
	logins.Wait()
	pg.StartAgain(t)
	r.awaitStore(t, token)
	for _, token := range issued {
		r.checkAll(t, token, "200 pull,push")
	}
	t.Logf("%d tokens of 24 logins were issued before the store was killed", len(issued))
}

// checkWithoutStore tests replicas while the store is down: logins by password
// succeed, requests that need the store are 503 within storeLimit, and /readyz names
// the store.
func (r replicas) checkWithoutStore(t *testing.T, how, token string) {
	t.Helper()
	house := testUsers()
	unavailable := func(what string, s *server, ask func() answer) {
		began := time.Now()
		a := ask()
		if took := time.Since(began); took > storeLimit {
			t.Errorf("%s while the store is %s took %v, want %v at most", what, how, took, storeLimit)
		}
		if a.Status != http.StatusServiceUnavailable {
			t.Errorf("%s while the store is %s = %v, want 503", what, how, a)
			return
		}
		checkError(t, a)
		for _, inner := range []string{"postgres", "127.0.0.1", "refused", "timeout"} {
			if strings.Contains(strings.ToLower(a.Raw), inner) {
				t.Errorf("the answer shows %q: %v", inner, a)
			}
		}
	}
	var asking sync.WaitGroup
	for _, s := range r {
		for range 8 { // more than there are connections
			asking.Go(func() {
				unavailable("a redemption", s, func() answer { return s.redeem(t, token, teamScope) })
			})
		}
		asking.Go(func() {
			unavailable("an offline login", s, func() answer {
				return s.get(t, "offline_token=true&service="+service, basic("bob", house["bob"].password))
			})
		})
		asking.Go(func() {
			for _, name := range []string{"root", "eve", "root"} {
				began := time.Now()
				a := s.get(t, "service="+service, basic(name, house[name].password))
				if took := time.Since(began); a.Status != http.StatusOK || took > storeLimit {
					t.Errorf("a login by password while the store is %s = %v after %v, want 200", how, a, took)
				}
			}
			a := s.get(t, "service="+service, basic("root", "not-the-password-of-root"))
			if a.Status != http.StatusUnauthorized {
				t.Errorf("a wrong password while the store is %s = %v, want 401", how, a)
			}
		})
		asking.Go(func() {
			body, err := get(s.url + "/readyz")
			if err != nil || !strings.Contains(string(body), `"store"`) {
				t.Errorf("/readyz while the store is %s: %s, %v, want 200 that names the store", how, body, err)
			}
			if _, err := get(s.url + "/readyz?all"); err == nil || !strings.Contains(err.Error(), "503") {
				t.Errorf("/readyz?all while the store is %s: %v, want 503", how, err)
			}
		})
	}
	asking.Wait()
}

// awaitStore waits until every replica has reconnected to the store.
func (r replicas) awaitStore(t *testing.T, token string) {
	t.Helper()
	for i, s := range r {
		eventually(t, 10*time.Second, func() error {
			if a := s.redeem(t, token, teamScope); a.Status != http.StatusOK {
				return fmt.Errorf("replica %d after the store is back: %v", i, a)
			}
			return nil
		})
		if _, err := get(s.url + "/readyz?all"); err != nil {
			t.Errorf("replica %d after the store is back: %v", i, err)
		}
	}
}
