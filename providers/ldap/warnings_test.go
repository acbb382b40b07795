package ldap

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"shorepass/providers"
)

// TestWarnings: a warning is logged once an hour, and is a finding until then, both with
// the key that cures it (C14).
func TestWarnings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lines bytes.Buffer
		w := newWarnings()
		w.log = slog.New(slog.NewTextHandler(&lines, nil))
		for range 3 {
			w.add("groups.name", "a group without a name")
		}
		if n := strings.Count(lines.String(), `key=groups.name`); n != 1 {
			t.Errorf("the log has the warning %d times, want once: %s", n, &lines)
		}
		want := providers.Warningf("groups.name", "a group without a name")
		if found := w.findings(); len(found) != 1 || found[0] != want {
			t.Errorf("findings() = %v, want %v", found, want)
		}
		time.Sleep(warnInterval)
		if found := w.findings(); len(found) != 0 {
			t.Errorf("findings() after %s = %v, want none", warnInterval, found)
		}
	})
}
