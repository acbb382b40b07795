package e2e

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"shorepass/session/postgres/postgrestest"
)

// replicas are servers that share a root, a sealing key and a store, as behind one
// load balancer.
type replicas []*server

// database creates a database on a PostgreSQL and returns its URL. The password in it
// is not needed, and no output may ever show it.
func database(t *testing.T, pg *postgrestest.Server) string {
	t.Helper()
	password := secrets.add("password of the store", "store-canary-password")
	return strings.Replace(pg.Database(t), "postgres://postgres@", "postgres://postgres:"+password+"@", 1)
}

// newReplicas starts three replicas at the same time on a store.
func newReplicas(t *testing.T, store string, o options) replicas {
	t.Helper()
	o.session += sharedStore(t, store)
	var all replicas
	for range 3 {
		s := configureServer(t, o)
		s.launch(t)
		all = append(all, s)
	}
	for _, s := range all {
		s.healthy(t)
	}
	return all
}

// sharedStore returns the keys of [session] for a database and a new sealing key.
func sharedStore(t *testing.T, database string) string {
	t.Helper()
	key := filepath.Join(t.TempDir(), "seal.key")
	if out, err := exec.Command(binary, "keys", "init", "--seal-key", key).CombinedOutput(); err != nil {
		t.Fatalf("shorepass keys init: %v\n%s", err, out)
	}
	return fmt.Sprintf("\nstore = %q\nconnections = 4\nseal_key = { file = %q }\n", database, key)
}

// configureServer writes the configuration of a server that is not started yet.
func configureServer(t *testing.T, o options) *server {
	t.Helper()
	s := &server{dir: t.TempDir(), port: freePort(t), root: rootCA}
	s.url = fmt.Sprintf("http://localhost:%d", s.port)
	s.config = filepath.Join(s.dir, "shorepass.toml")
	if o.providers == "" {
		o.providers = testUsers().toml()
	}
	if o.rules == "" {
		o.rules = testRules
	}
	s.writeConfig(t, o)
	return s
}

// launch starts the server without waiting for it.
func (s *server) launch(t *testing.T) {
	t.Helper()
	cmd := exec.Command(cmp.Or(s.program, binary), "serve", "--config", s.config)
	cmd.Dir = s.dir
	s.process = start(t, "shorepass", cmd)
	t.Cleanup(func() { s.stop(t) })
}

// healthy waits until the server answers.
func (s *server) healthy(t *testing.T) {
	t.Helper()
	s.awaitOpen(t)
}

// mustNotStart starts a server, tests that it ends with an error, and returns its
// output.
func (s *server) mustNotStart(t *testing.T, limit time.Duration) string {
	t.Helper()
	cmd := exec.Command(cmp.Or(s.program, binary), "serve", "--config", s.config)
	cmd.Dir = s.dir
	p := start(t, "shorepass", cmd)
	select {
	case <-p.done:
	case <-time.After(limit):
		t.Fatalf("shorepass serve still runs after %v, want it to end\n%s", limit, tail(p.output(), 10))
	}
	if p.err == nil {
		t.Errorf("shorepass serve ended with exit 0, want a failure\n%s", p.output())
	}
	return p.output()
}

// kill ends the server with SIGKILL, as a crash does.
func (s *server) kill() {
	s.process.cmd.Process.Kill()
	<-s.process.done
}

// eventually polls ready until it returns nil, or fails the test after limit.
func eventually(t *testing.T, limit time.Duration, ready func() error) {
	t.Helper()
	for deadline := time.Now().Add(limit); ; time.Sleep(20 * time.Millisecond) {
		err := ready()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %v: %v", limit, err)
		}
	}
}

// redemption returns the request that redeems a token for teamScope.
func (s *server) redemption(token string) *http.Request {
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}, "service": {service}, "client_id": {"e2e"}, "scope": {teamScope}}
	r, err := http.NewRequest(http.MethodPost, s.url+"/jwt/auth", strings.NewReader(form.Encode()))
	if err != nil {
		panic(err) // a URL of ours is always good
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

// accepted reports whether the credential is good: 403 says that its person has no
// rights on what was asked.
func (a answer) accepted() bool {
	return a.Status == http.StatusOK || a.Status == http.StatusForbidden
}

// outcome summarizes an answer: its status and, of a token, the granted actions.
func (a answer) outcome(t *testing.T) string {
	if a.Status != http.StatusOK {
		return fmt.Sprint(a.Status)
	}
	return strings.TrimSpace("200 " + strings.TrimPrefix(a.granted(t), "repository:team-alpha/x:"))
}

// observation is one answer that a client of watch got.
type observation struct {
	replica      int
	began, ended time.Time
	outcome      string
}

func (s observation) String() string {
	return fmt.Sprintf("%s by replica %d at %s", s.outcome, s.replica, s.began.Format("05.000"))
}

// watch redeems a token in a loop on each replica until the returned function is
// called. That returns the observations in the order of the requests.
func (r replicas) watch(t *testing.T, token string) func() []observation {
	var mu sync.Mutex // guards seen
	var seen []observation
	var clients sync.WaitGroup
	stop := make(chan struct{})
	for i, s := range r {
		clients.Go(func() {
			for {
				saw := observation{replica: i, began: time.Now(), outcome: "no answer"}
				if a, err := attempt(s.redemption(token)); err == nil {
					saw.outcome = a.outcome(t)
				}
				saw.ended = time.Now()
				mu.Lock()
				seen = append(seen, saw)
				mu.Unlock()
				select {
				case <-stop:
					return
				case <-time.After(25 * time.Millisecond):
				}
			}
		})
	}
	return func() []observation {
		close(stop)
		clients.Wait()
		return inOrder(seen)
	}
}

// converges calls do and tests that every replica then answers a redemption of the
// token with want: at the latest for requests that begin within after do, and for all
// that begin after the first such answer of any replica.
func (r replicas) converges(t *testing.T, token, want string, within time.Duration, do func()) {
	t.Helper()
	stop := r.watch(t, token)
	do()
	done := time.Now()
	time.Sleep(within + 400*time.Millisecond) // observe later answers too
	for i, s := range r {
		eventually(t, 10*time.Second, func() error {
			if a, err := attempt(s.redemption(token)); err != nil || a.outcome(t) != want {
				return fmt.Errorf("replica %d answers %v %v, want %s", i, a, err, want)
			}
			return nil
		})
	}
	first := time.Time{}
	seen := stop()
	for _, saw := range seen {
		switch {
		case saw.began.Before(done):
		case saw.outcome == want:
			if first.IsZero() || saw.ended.Before(first) {
				first = saw.ended
			}
		case saw.began.After(done.Add(within)):
			t.Errorf("%v, %v after the change, want %s", saw, saw.began.Sub(done), want)
		}
	}
	for _, saw := range seen {
		if saw.outcome != want && saw.began.After(done) && !first.IsZero() && saw.began.After(first) {
			t.Errorf("%v, %v after another replica had answered %s", saw, saw.began.Sub(first), want)
		}
	}
}

// checkAll tests that every replica answers a redemption of the token with want.
func (r replicas) checkAll(t *testing.T, token, want string) {
	t.Helper()
	for i, s := range r {
		a, err := attempt(s.redemption(token))
		if err != nil {
			t.Errorf("replica %d: %v", i, err)
		} else if got := a.outcome(t); got != want {
			t.Errorf("replica %d answers %s, want %s: %s", i, got, want, a.ErrorDescription)
		}
	}
}

// TestReplicas runs three replicas on one PostgreSQL.
func TestReplicas(t *testing.T) {
	t.Parallel()
	pg := postgrestest.Start(t)
	for _, part := range []struct {
		name string
		run  func(*testing.T, *postgrestest.Server)
	}{
		{"a provider's refresh token is used once for 200 redemptions", replicasRefreshOnce},
		{"a directory is searched once for fifty sessions of a person", replicasSearchOnce},
		{"a revocation is effective on all replicas", replicasRevoke},
		{"a change in a directory reaches all replicas", replicasLeavers},
		{"a change in Active Directory reaches all replicas", replicasSambaLeavers},
		{"a directory that is down is forgiven for grace", replicasProviderDown},
		{"a mass lockout opens the circuit breaker", replicasMassLockout},
		{"a lost read permission opens the circuit breaker", replicasLostRight},
		{"rejections of all passwords open the circuit breaker", replicasEverybodyRejected},
		{"changing all passwords opens no circuit breaker", replicasAllPasswordsChanged},
		{"an OpenID provider that is killed loses no session", replicasOpenIDKilled},
		{"a provider's refresh token is revoked once", replicasRevokeProviderTokens},
		{"kill -9 loses no token", replicasKilled},
		{"docker works through a load balancer", replicasBalanced},
		{"wrong passwords are counted across replicas", replicasWrongPasswords},
		{"a replica with another sealing key does not start", replicasSealKeys},
		{"a sealing key is replaced while replicas run", replicasRekeyed},
		{"replicas start at the same time on an empty database", replicasConcurrentStart},
	} {
		t.Run(part.name, func(t *testing.T) {
			t.Parallel()
			part.run(t, pg)
		})
	}
}
