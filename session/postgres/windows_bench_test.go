package postgres_test

import (
	"testing"

	"shorepass/session/postgres/postgrestest"
	"shorepass/session/storetest"
)

// BenchmarkThrottle measures what the throttle adds to a login by password, with a
// server on this machine that writes to disk.
func BenchmarkThrottle(b *testing.B) {
	server := postgrestest.Start(b, "fsync=on")
	storetest.BenchmarkThrottle(b, open(b, server.Database(b)))
}
