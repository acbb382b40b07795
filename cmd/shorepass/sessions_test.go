package main

import (
	"strings"
	"testing"
	"time"
)

// TestSessionStates: the list shows of each session when it ends, why it is refused
// although it has not ended, or why it ended.
func TestSessionStates(t *testing.T) {
	at := time.Date(2026, 11, 26, 20, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		session sessionRow
		want    string
	}{
		{sessionRow{Expires: at}, "ends 2026-11-26 20:00Z"},
		{sessionRow{Expires: at, Reason: "account ended"}, "refused, ends soon: account ended"},
		{sessionRow{Expires: at, Reason: "revoked", By: "carol", Ended: at}, `ended 2026-11-26 20:00Z: revoked by "carol"`},
	} {
		var out strings.Builder
		if err := printSessions(&out, []sessionRow{test.session}); err != nil || !strings.HasSuffix(out.String(), "  "+test.want+"\n") {
			t.Errorf("%+v is printed as\n%s%v, want %q at the end", test.session, out.String(), err, test.want)
		}
	}
}
