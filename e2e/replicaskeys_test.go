package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"shorepass/session/postgres/postgrestest"
)

// replicasSealKeys: a replica with another sealing key than the store's, or without
// one, does not start, and says what to do.
func replicasSealKeys(t *testing.T, pg *postgrestest.Server) {
	store := database(t, pg)
	r := newReplicas(t, store, options{})
	token := r[0].login(t, "alice", testUsers()["alice"].password)
	key := filepath.Join(t.TempDir(), "other.key")
	if out, err := exec.Command(binary, "keys", "init", "--seal-key", key).CombinedOutput(); err != nil {
		t.Fatalf("shorepass keys init: %v\n%s", err, out)
	}
	other := fmt.Sprintf("store = %q\nseal_key = { file = %q }\n", store, key)
	for _, tc := range []struct{ name, session, want string }{
		{"another key", other, "session.seal_key is not the sealing key that the sessions in the store were sealed with; all replicas must have the same"},
		{"no key", fmt.Sprintf("store = %q\n", store), "session.seal_key is missing: replicas share one, so it cannot be made here; make it once with: shorepass keys init --seal-key seal.key"},
	} {
		s := configureServer(t, options{session: tc.session})
		if said := s.mustNotStart(t, 20*time.Second); !strings.Contains(said, tc.want) {
			t.Errorf("with %s it says\n%s\nwant %q", tc.name, said, tc.want)
		}
		if got := s.cli(t, "", "sessions", "rekey"); got.ok || !strings.Contains(got.text, tc.want) {
			t.Errorf("shorepass sessions rekey with %s: %v\nwant %q", tc.name, got, tc.want)
		}
		if got := s.cli(t, "", "sessions", "list"); !got.ok || !strings.Contains(got.text, "alice") {
			t.Errorf("shorepass sessions list with %s: %v\nwant the session of alice", tc.name, got)
		}
	}
	r.checkAll(t, token, "200 pull,push")

	// To rotate keys a replica has both, the old one first.
	old, err := os.ReadFile(sealKeyOf(t, r[0]))
	must(t, err)
	added, err := os.ReadFile(key)
	must(t, err)
	must(t, os.WriteFile(key, append(old, added...), 0o600))
	s := configureServer(t, options{session: other})
	s.launch(t)
	s.healthy(t)
	append(r, s).checkAll(t, token, "200 pull,push")
}

// sealKeyOf returns the name of the file with the sealing key of a server.
func sealKeyOf(t *testing.T, s *server) string {
	t.Helper()
	text, err := os.ReadFile(s.config)
	must(t, err)
	_, after, _ := strings.Cut(string(text), `seal_key = { file = "`)
	file, _, found := strings.Cut(after, `"`)
	if !found {
		t.Fatal("the configuration names no sealing key")
	}
	return file
}

// restart is a period in which a replica was restarted.
type restart struct {
	replica     int
	began, over time.Time
}

// replicasRekeyed replaces the sealing key in the steps of docs/operations.md, while
// clients redeem in loops and the provider rotates their tokens.
func replicasRekeyed(t *testing.T, pg *postgrestest.Server) {
	o := newSSO(t)
	store := database(t, pg)
	// Grace bounds how long a session lives whose provider's refresh token cannot be
	// decrypted.
	r := newReplicas(t, store, options{providers: o.toml(), session: "revalidate = \"1s\"\ngrace = \"1s\""})
	var quiet []string // not redeemed until the end, so that only rekey re-encrypts them
	for i := range 6 {
		quiet = append(quiet, r[i%len(r)].login(t, "alice", o.alice.Password))
	}
	watched := map[string]func() []observation{
		"200 pull,push": r.watch(t, r[0].login(t, "alice", o.alice.Password)),
		"200 pull":      r.watch(t, r[1].login(t, "bob", o.bob.Password)),
	}
	ring, another := sealKeyOf(t, r[0]), filepath.Join(t.TempDir(), "another.key")
	if out, err := exec.Command(binary, "keys", "init", "--seal-key", another).CombinedOutput(); err != nil {
		t.Fatalf("shorepass keys init: %v\n%s", err, out)
	}
	before, err := os.ReadFile(ring)
	must(t, err)
	after, err := os.ReadFile(another)
	must(t, err)
	var restarts []restart
	rollOut := func(keys ...[]byte) {
		t.Helper()
		must(t, os.WriteFile(ring, slices.Concat(keys...), 0o600))
		for i, s := range r {
			down := restart{replica: i, began: time.Now()}
			s.stop(t)
			s.launch(t)
			s.healthy(t)
			down.over = time.Now()
			restarts = append(restarts, down)
			time.Sleep(1100 * time.Millisecond) // sign-ins become due, and the restarted replica stores rotated tokens
		}
	}
	rollOut(before, after)
	rollOut(after, before)
	if got := r[0].cli(t, "", "sessions", "rekey"); !got.ok {
		t.Fatalf("shorepass sessions rekey: %v", got)
	}
	rollOut(after)
	for want, stop := range watched {
		good := make([]int, len(r))
	next:
		for _, saw := range stop() {
			if saw.outcome == want {
				good[saw.replica]++
				continue
			}
			for _, down := range restarts {
				if saw.outcome == "no answer" && saw.replica == down.replica && saw.ended.After(down.began) && saw.began.Before(down.over) {
					continue next
				}
			}
			t.Errorf("%v while the sealing key was replaced, want %s", saw, want)
		}
		for i, n := range good {
			if n < 20 {
				t.Errorf("%d redemptions at replica %d were good, want 20 at least", n, i)
			}
		}
	}
	for _, token := range quiet {
		r.checkAll(t, token, "200 pull,push")
	}
	if alice, reused := o.LiveRefreshTokens("alice"), o.Requests("token:reused"); alice != len(quiet)+1 || reused != 0 {
		t.Errorf("the provider has %d valid refresh tokens of alice and saw %d twice, want %d and none", alice, reused, len(quiet)+1)
	}
	must(t, os.WriteFile(another, before, 0o600))
	s := configureServer(t, options{providers: o.toml(), session: fmt.Sprintf("store = %q\nseal_key = { file = %q }\n", store, another)})
	if said := s.mustNotStart(t, 20*time.Second); !strings.Contains(said, "is not the sealing key that the sessions in the store were sealed with") {
		t.Errorf("with the old key alone it says\n%s\nwant that it is another key", said)
	}
}

// replicasConcurrentStart starts three replicas at the same time on an empty database,
// which they migrate once, and then one on a newer schema.
func replicasConcurrentStart(t *testing.T, pg *postgrestest.Server) {
	var store string
	var r replicas
	for n := range 3 {
		store = database(t, pg)
		r = newReplicas(t, store, options{})
		token := r[n].login(t, "alice", testUsers()["alice"].password)
		r.checkAll(t, token, "200 pull,push")
		if versions := pg.SQL(t, store, "SELECT count(*), count(DISTINCT version_id) FROM shorepass_version"); !same(versions) {
			t.Errorf("migrations that ran, and distinct ones: %s, want each once", versions)
		}
	}
	pg.SQL(t, store, "INSERT INTO shorepass_version (version_id, is_applied) VALUES (99, true)")
	s := configureServer(t, options{session: fmt.Sprintf("store = %q\nseal_key = { file = %q }\n", store, sealKeyOf(t, r[0]))})
	const want = "its schema is version 99 and this program knows"
	if said := s.mustNotStart(t, 20*time.Second); !strings.Contains(said, want) || strings.Contains(said, "canary") {
		t.Errorf("on a newer schema it says\n%s\nwant %q, and no password", said, want)
	}
}

// same reports whether the two columns of a row are equal.
func same(row string) bool {
	a, b, found := strings.Cut(row, "|")
	return found && a == b
}
