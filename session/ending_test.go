package session_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"shorepass/session"
)

// TestEnding says which endings are never taken back, and which take the place
// of others.
func TestEnding(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	refusals := []session.Reason{session.ReasonEnded, session.ReasonStamp, session.ReasonGone}
	for _, tc := range []struct {
		why      session.Reason
		final    bool
		replaces []session.Reason
	}{
		{session.ReasonRevoked, true, refusals},
		{session.ReasonPerPerson, true, nil},
		{session.ReasonEnded, false, nil},
		{session.ReasonStamp, false, nil},
		{session.ReasonGone, false, nil},
		{session.ReasonExpired, false, nil},
		{session.ReasonIdle, false, nil},
		{session.ReasonUnused, false, nil},
	} {
		want := session.Ending{Why: tc.why, By: "alice", At: at, Final: tc.final, Replaces: tc.replaces}
		if diff := cmp.Diff(want, tc.why.Ending("alice", at)); diff != "" {
			t.Errorf("Ending of %q (-want +got):\n%s", tc.why, diff)
		}
	}
}
