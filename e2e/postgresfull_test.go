package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"shorepass/session/postgres/postgrestest"
)

// TestPostgresFull fills the disk of PostgreSQL's tables: existing sessions are redeemed,
// and new ones are created again once there is room.
func TestPostgresFull(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t, "64m")
	must(t, os.Chmod(filepath.Dir(disk), 0o711)) // PostgreSQL runs as another user, who must be able to enter
	pg := postgrestest.Start(t)
	alice := testUsers()["alice"]
	r := newReplicas(t, pg.DatabaseOn(t, disk), options{})
	offline := func(s *server) answer {
		return s.get(t, "offline_token=true&service="+service, basic("alice", alice.password))
	}
	issued := []string{r[0].login(t, "alice", alice.password)}
	empty := fillDisk(t, disk)
	for i := 0; ; i++ { // the pages still have room
		a := offline(r[i%len(r)])
		if a.Status != http.StatusOK {
			break
		}
		if issued = append(issued, a.RefreshToken); i == 2000 {
			t.Fatalf("%d offline logins succeeded on a full disk", i)
		}
	}
	for i, s := range r {
		if a := s.get(t, "service="+service, basic("alice", alice.password)); a.Status != http.StatusOK {
			t.Errorf("a login by password at replica %d = %v, want 200", i, a)
		}
		began := time.Now()
		a := offline(s)
		if took := time.Since(began); a.Status != http.StatusServiceUnavailable || took > storeLimit {
			t.Errorf("an offline login at replica %d = %v after %v, want 503", i, a, took)
			continue
		}
		checkError(t, a)
		if strings.Contains(a.Raw, "disk") {
			t.Errorf("the answer shows the disk: %v", a)
		}
		if said := s.process.output(); !strings.Contains(said, "the disk of PostgreSQL is full; nothing was lost, make room") {
			t.Errorf("the log of replica %d does not say that the disk is full:\n%s", i, tail(said, 5))
		}
		if body, err := get(s.url + "/readyz"); err != nil || !strings.Contains(string(body), "store") {
			t.Errorf("/readyz of replica %d = %s, %v, want 200 that names the store", i, body, err)
		}
		if _, err := get(s.url + "/readyz?all"); err == nil || !strings.Contains(err.Error(), "503") {
			t.Errorf("/readyz?all of replica %d: %v, want 503", i, err)
		}
	}
	for _, token := range issued {
		r.checkAll(t, token, "200 pull,push")
	}
	empty()
	for i, s := range r {
		if a := offline(s); a.Status != http.StatusOK {
			t.Errorf("an offline login at replica %d once there is room = %v, want 200", i, a)
		} else {
			issued = append(issued, a.RefreshToken)
		}
		eventually(t, 6*time.Second, func() error { return checkOK(s.url + "/readyz?all") })
	}
	for _, token := range issued {
		r.checkAll(t, token, "200 pull,push")
	}
	t.Logf("%d offline logins succeeded on the full disk", len(issued)-1-len(r))
}
