package sqlite_test

import (
	"path/filepath"
	"testing"
	"time"

	"shorepass/session/sqlite"
	throttle "shorepass/throttle/counting"
)

// BenchmarkMarks reads what the throttle reads before a login.
func BenchmarkMarks(b *testing.B) {
	store, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "data", "shorepass.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	if err := store.Count(b.Context(), []throttle.Count{{Bucket: throttle.Mark{1}, Mark: throttle.Mark{2}, For: time.Hour}}); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := store.Marks(b.Context(), []throttle.Mark{{1}, {2}, {3}, {4}, {5}, {6}, {7}, {8}}); err != nil {
			b.Fatal(err)
		}
	}
}
