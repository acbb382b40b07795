package session_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"shorepass/session"
	"shorepass/session/sqlite"
)

// TestRefusalIsLogged: the reason of a refusal at a revalidation is in the log, once,
// since the requests that are refused afterwards do not know it.
func TestRefusalIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newCluster(t, 0, session.Config{})
		defer s.close()
		var log bytes.Buffer
		store, err := sqlite.Open(t.Context(), s.file)
		must(t, err)
		sessions, err := session.New(t.Context(), session.Config{}.WithDefaults(), store, s.providers, slog.New(slog.NewTextHandler(&log, nil)))
		must(t, err)
		s.replicas = append(s.replicas, sessions)
		token := s.issue("sso", "alice")
		for _, locked := range []bool{true, false, true} {
			s.providers.change("alice", func(a *account) { a.locked = locked })
			for range 3 {
				time.Sleep(10 * time.Minute)
				if _, err := sessions.Redeem(t.Context(), token, service, laptop, session.KindRefresh); errors.Is(err, session.ErrRefused) != locked {
					t.Fatalf("Redeem = %v, want refused: %v", err, locked)
				}
			}
		}
		if got := strings.Count(log.String(), "refuses a person"); got != 2 || strings.Count(log.String(), "locked: ") != 2 || strings.Contains(log.String(), "alice token") {
			t.Errorf("%d lines about two refusals, want 2 with the reason and no token:\n%s", got, log.String())
		}
	})
}
