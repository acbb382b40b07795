package sqlite_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	zombiezen "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"shorepass/internal/secret"
	"shorepass/providers"
	"shorepass/session"
	"shorepass/session/sqlite"
)

// vouching is a provider that no test asks: the sessions are too new for it.
type vouching struct{}

func (vouching) Revalidate(context.Context, *providers.Identity) (*providers.Identity, error) {
	panic("the provider was asked within the first five minutes")
}
func (vouching) Fingerprint(string) string                                     { return "ldap dc=corp entryUUID" }
func (vouching) PerSignIn(string) bool                                         { return false }
func (vouching) Forget(func(*providers.Identity) bool)                         {}
func (vouching) RevokeRefreshToken(context.Context, string, secret.Text) error { return nil }
func (vouching) Reauthenticate(string) time.Duration                           { return 0 }
func (vouching) RevokeWhen(string) providers.RevokeWhen                        { return providers.RevokeSignIn }

// BenchmarkRedeem redeems a token of a person with 20 groups and with 1,000, in a
// file with few and with a million ended sessions.
func BenchmarkRedeem(b *testing.B) {
	for _, dead := range []int{10, 1_000_000} {
		for _, groups := range []int{20, 1000} {
			b.Run(fmt.Sprintf("dead=%d/groups=%d", dead, groups), func(b *testing.B) {
				if dead > 10 && testing.Short() {
					b.Skip("a million rows take a minute to write")
				}
				benchmarkRedeem(b, dead, groups)
			})
		}
	}
}

func benchmarkRedeem(b *testing.B, dead, groups int) {
	file := filepath.Join(b.TempDir(), "data", "shorepass.db")
	store, err := sqlite.Open(b.Context(), file)
	if err != nil {
		b.Fatal(err)
	}
	s, err := session.New(b.Context(), session.Config{}.WithDefaults(), store, vouching{}, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	id := &providers.Identity{Provider: "corp", Fingerprint: vouching{}.Fingerprint("corp"), Subject: "7f3c6a2e-0001", User: "alice", Method: providers.MethodPassword, Stamp: "20260101120000Z", Claims: map[string]any{"mail": "alice@corp.example"}}
	for i := range groups {
		id.Groups = append(id.Groups, fmt.Sprintf("team-%04d", i))
	}
	token, _, err := s.Issue(b.Context(), id, "registry", session.Client{ID: "docker"})
	if err != nil {
		b.Fatal(err)
	}
	fill(b, file, dead)
	redeem := func(ctx context.Context) {
		if _, err := s.Redeem(ctx, token, "registry", session.Client{ID: "docker"}, session.KindRefresh); err != nil {
			b.Error(err)
		}
	}
	redeem(b.Context())
	time.Sleep(100 * time.Millisecond) // until the first use is stored
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			redeem(ctx)
		}
	})
}

// BenchmarkListPerson lists a person with 1,000 live refresh tokens and 1,000 ended ones.
func BenchmarkListPerson(b *testing.B) {
	file := filepath.Join(b.TempDir(), "data", "shorepass.db")
	store, err := sqlite.Open(b.Context(), file)
	if err != nil {
		b.Fatal(err)
	}
	s, err := session.New(b.Context(), session.Config{PerPerson: 3000}.WithDefaults(), store, vouching{}, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	id := &providers.Identity{Provider: "corp", Fingerprint: vouching{}.Fingerprint("corp"), Subject: "7f3c6a2e-0001", User: "alice", Method: providers.MethodPassword}
	for i := range 100 {
		id.Groups = append(id.Groups, fmt.Sprintf("team-%04d", i))
	}
	for _, end := range []bool{true, false} {
		for range 1000 {
			if _, _, err := s.Issue(b.Context(), id, "registry", session.Client{ID: "docker"}); err != nil {
				b.Fatal(err)
			}
		}
		if end {
			if n, err := s.Admin().Revoke(b.Context(), session.Selector{User: "alice"}, "test"); n != 1000 || err != nil {
				b.Fatal(n, err)
			}
		}
	}
	for b.Loop() {
		listed, err := s.Admin().ListPerson(b.Context(), "corp", "7f3c6a2e-0001")
		if err != nil || listed.LiveCount != 1000 {
			b.Fatal(listed, err)
		}
		listed.New(listed.Live[0].ID)
	}
}

// fill writes count sessions that ended yesterday, of three persons, through a
// connection of its own.
func fill(b *testing.B, file string, count int) {
	b.Helper()
	conn, err := zombiezen.OpenConn(file, zombiezen.OpenReadWrite)
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	exec := func(statement string, args ...any) {
		b.Helper()
		if err := sqlitex.ExecuteTransient(conn, statement, &sqlitex.ExecOptions{Args: args}); err != nil {
			b.Fatal(err)
		}
	}
	exec("PRAGMA cache_size = -500000")
	exec(`INSERT INTO person (provider, subject, user_name, last_seen) VALUES ('corp', '2', '2', 0), ('corp', '3', '3', 0)`)
	exec(`INSERT INTO session (hash, sign_in, person, kind, method, service, stamp, login_name, sid, acr, amr, auth_time, limits, created, expires, last_used, ended, reason)
		WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
		SELECT randomblob(32), 1, 1 + i % 3, 'refresh', 'password', 'registry', '', '', '', '', '', ?2, '', ?2, ?2, ?2, ?2, 'idle' FROM n`,
		count, time.Now().Add(-24*time.Hour).UnixMilli())
	exec("PRAGMA wal_checkpoint(TRUNCATE)")
}
