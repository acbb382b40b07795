package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"shorepass/session/postgres/postgrestest"
)

// replicasSealKeys starts replicas with another sealing key than the first one
// has, and without any: they do not start, and say what to do.
func replicasSealKeys(t *testing.T, pg *postgrestest.Server) {
	store := database(t, pg)
	r := newReplicas(t, store, options{})
	token := r[0].login(t, "alice", theHouse()["alice"].password)
	key := filepath.Join(t.TempDir(), "other.key")
	if out, err := exec.Command(binary, "keys", "init", "--seal-key", key).CombinedOutput(); err != nil {
		t.Fatalf("shorepass keys init: %v\n%s", err, out)
	}
	other := fmt.Sprintf("store = %q\nseal_key = { file = %q }\n", store, key)
	for _, tc := range []struct{ name, session, want string }{
		{"another key", other, "session.seal_key is not the sealing key that the sessions in the store were sealed with; all replicas must have the same"},
		{"no key", fmt.Sprintf("store = %q\n", store), "session.seal_key is missing: replicas share one, so it cannot be made here; make it once with: shorepass keys init --seal-key seal.key"},
	} {
		s := placeSite(t, options{session: tc.session})
		if said := s.refuses(t, 20*time.Second); !strings.Contains(said, tc.want) {
			t.Errorf("with %s it says\n%s\nwant %q", tc.name, said, tc.want)
		}
		if got := s.cli(t, "", "sessions", "list"); got.ok || !strings.Contains(got.text, tc.want) {
			t.Errorf("shorepass sessions list with %s: %v\nwant %q", tc.name, got, tc.want)
		}
	}
	r.all(t, token, "200 pull,push")

	// A ring of both, the old one first, is how keys are rotated.
	old, err := os.ReadFile(sealKeyOf(t, r[0]))
	must(t, err)
	added, err := os.ReadFile(key)
	must(t, err)
	must(t, os.WriteFile(key, append(old, added...), 0o600))
	s := placeSite(t, options{session: other})
	s.launch(t)
	s.healthy(t)
	append(r, s).all(t, token, "200 pull,push")
}

// sealKeyOf is the file with the sealing key of a site.
func sealKeyOf(t *testing.T, s *site) string {
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

// replicasStartAtOnce starts three replicas at once on an empty database, and
// one whose program is older than the database.
func replicasStartAtOnce(t *testing.T, pg *postgrestest.Server) {
	var store string
	var r replicas
	for n := range 3 {
		store = database(t, pg)
		r = newReplicas(t, store, options{})
		token := r[n].login(t, "alice", theHouse()["alice"].password)
		r.all(t, token, "200 pull,push")
		if versions := pg.SQL(t, store, "SELECT count(*), count(DISTINCT version_id) FROM shorepass_version"); !same(versions) {
			t.Errorf("steps of the schema, and different ones: %s, want each once", versions)
		}
	}
	pg.SQL(t, store, "INSERT INTO shorepass_version (version_id, is_applied) VALUES (99, true)")
	s := placeSite(t, options{session: fmt.Sprintf("store = %q\nseal_key = { file = %q }\n", store, sealKeyOf(t, r[0]))})
	const want = "its schema is version 99 and this program knows"
	if said := s.refuses(t, 20*time.Second); !strings.Contains(said, want) || strings.Contains(said, "canary") {
		t.Errorf("on a newer schema it says\n%s\nwant %q, and no password", said, want)
	}
}

// same reports whether both columns of a row are the same.
func same(row string) bool {
	a, b, found := strings.Cut(row, "|")
	return found && a == b
}
