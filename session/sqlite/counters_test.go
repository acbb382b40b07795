package sqlite_test

import (
	"path/filepath"
	"testing"
	"time"

	"shorepass/providers"
	"shorepass/session/sqlite"
)

// BenchmarkMarks reads what the throttle reads before a login.
func BenchmarkMarks(b *testing.B) {
	store, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "data", "shorepass.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	if err := store.Count(b.Context(), []providers.Count{{Bucket: providers.Mark{1}, Mark: providers.Mark{2}, For: time.Hour}}); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := store.Marks(b.Context(), []providers.Mark{{1}, {2}, {3}, {4}, {5}, {6}, {7}, {8}}); err != nil {
			b.Fatal(err)
		}
	}
}
