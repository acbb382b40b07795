package postgres_test

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"shorepass/session"
	"shorepass/session/postgres"
	"shorepass/session/postgres/postgrestest"
)

// canary is the password in the URL, which no error may contain.
const canary = "c4nary"

// refuses tests that Open fails with an error that contains want and no password.
func refuses(t *testing.T, cfg session.Config, want string) {
	t.Helper()
	s, err := postgres.Open(t.Context(), cfg)
	if err == nil {
		s.Close()
	}
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("Open = %v, want %q in it", err, want)
	}
	if err != nil && strings.Contains(fmt.Sprintf("%v %+v", err, err), canary) {
		t.Errorf("Open = %v, which shows the password", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	server := postgrestest.Start(t)
	address := server.Address()
	t.Run("a malformed URL", func(t *testing.T) {
		for _, dsn := range []string{
			"postgres://shorepass:" + canary + "@host:port/db",
			"postgres://shorepass:" + canary + "%zz@host/db",
			"postgres://shorepass:" + canary + "@[::1/db",
			"postgres://shorepass:a/b" + canary + "@host/db",
			"postgres://shorepass:a?b" + canary + "@host/db",
			"postgres://shorepass:a#b" + canary + "@host:1:2/db",
			"postgres://shorepass@host/db?password=" + canary + "&connect_timeout=x",
			"postgres://shorepass@host/db?password=" + canary + "%zz",
			"postgres://shorepass:" + canary + "@host/db?sslmode=maybe",
		} {
			refuses(t, config(dsn), "session.store is not a URL of PostgreSQL")
		}
	})
	t.Run("a server that is down", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		must(t, err)
		must(t, l.Close())
		refuses(t, config("postgres://shorepass:"+canary+"@"+l.Addr().String()+"/db"), "connection refused")
	})
	t.Run("a server that does not answer", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		must(t, err)
		defer l.Close()
		cfg := config("postgres://shorepass:" + canary + "@" + l.Addr().String() + "/db")
		cfg.ConnectTimeout = 200 * time.Millisecond
		began := time.Now()
		refuses(t, cfg, "timeout")
		if took := time.Since(began); took > 30*time.Second {
			t.Errorf("it took %v", took)
		}
	})
	t.Run("a database that does not exist", func(t *testing.T) {
		refuses(t, config("postgres://postgres:"+canary+"@"+address+"/nothing"), "does not exist; create it with createdb")
	})
	t.Run("a user that does not exist", func(t *testing.T) {
		refuses(t, config("postgres://nobody:"+canary+"@"+address+"/postgres"), "does not let the user of session.store in")
	})
	t.Run("a user without rights", func(t *testing.T) {
		dsn := server.Database(t)
		server.SQL(t, dsn, "CREATE ROLE weak LOGIN; REVOKE CREATE ON SCHEMA public FROM PUBLIC")
		refuses(t, config(strings.Replace(dsn, "postgres@", "weak:"+canary+"@", 1)), "GRANT it CREATE on the schema")
	})
	t.Run("a newer schema", func(t *testing.T) {
		dsn := server.Database(t)
		must(t, open(t, dsn).Close())
		server.SQL(t, dsn, "INSERT INTO shorepass_version (version_id, is_applied) VALUES (99, true)")
		refuses(t, config(dsn), "its schema is version 99 and this program knows 3; start the newer program")
	})
	t.Run("a schema from before version 1", func(t *testing.T) {
		for version := range 2 {
			dsn := server.Database(t)
			must(t, open(t, dsn).Close())
			server.SQL(t, dsn, fmt.Sprintf("ALTER TABLE person RENAME user_name TO mark; INSERT INTO shorepass_version (version_id, is_applied) VALUES (%d, true)", version+1))
			refuses(t, config(dsn), "made before the first release")
			_, err := postgres.Inspect(t.Context(), config(dsn))
			if !errors.Is(err, session.ErrUnreleasedSchema) {
				t.Errorf("Inspect = %v, want %v", err, session.ErrUnreleasedSchema)
			}
		}
	})
	t.Run("a wrong password", func(t *testing.T) {
		dsn := server.Database(t)
		server.SQL(t, dsn, "CREATE ROLE strong LOGIN PASSWORD 'another'")
		server.RequirePassword(t, "strong")
		refuses(t, config(strings.Replace(dsn, "postgres@", "strong:"+canary+"@", 1)), "refuses the password of session.store")
	})
	t.Run("a standby", func(t *testing.T) {
		dsn := server.Database(t)
		server.SQL(t, dsn, "ALTER DATABASE "+dsn[strings.LastIndex(dsn, "/")+1:]+" SET default_transaction_read_only = on")
		refuses(t, config(dsn), "PostgreSQL is read-only: session.store leads to a standby")
	})
}

// TestConcurrentOpen: several replicas that start at the same time on a new database
// migrate it once.
func TestConcurrentOpen(t *testing.T) {
	t.Parallel()
	server := postgrestest.Start(t)
	dsn := server.Database(t)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			s, err := postgres.Open(t.Context(), config(dsn))
			if err != nil {
				t.Error(err)
				return
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if got := server.SQL(t, dsn, "SELECT count(*) FROM shorepass_version WHERE version_id = 1"); got != "1" {
		t.Errorf("the first migration ran %s times, want 1", got)
	}
}

// TestOpenAfterCrash: a replica that crashed while it migrated blocks the others only
// until its lease expires, for seconds.
func TestOpenAfterCrash(t *testing.T) {
	t.Parallel()
	server := postgrestest.Start(t)
	dsn := server.Database(t)
	server.SQL(t, dsn, `CREATE TABLE shorepass_version_lock (lock_id bigint NOT NULL PRIMARY KEY, locked boolean NOT NULL DEFAULT false,
		locked_at timestamptz NULL, locked_by text NULL, lease_expires_at timestamptz NULL, updated_at timestamptz NULL);
		INSERT INTO shorepass_version_lock VALUES (4097083626, true, now(), 'a crashed replica', now() + interval '3 seconds', now())`)
	began := time.Now()
	open(t, dsn)
	if took := time.Since(began); took < time.Second || took > time.Minute {
		t.Errorf("it took %v, want about the three seconds until the crashed replica's lease expires", took)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
