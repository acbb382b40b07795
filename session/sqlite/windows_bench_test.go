package sqlite_test

import (
	"path/filepath"
	"testing"

	"shorepass/session/sqlite"
	"shorepass/session/storetest"
)

// BenchmarkThrottle measures what the throttle adds to a login by password.
func BenchmarkThrottle(b *testing.B) {
	store, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "data", "shorepass.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	storetest.BenchmarkThrottle(b, store)
}
