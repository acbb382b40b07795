package postgres_test

import (
	"fmt"
	"testing"
	"time"

	"shorepass/internal/secret"
	"shorepass/session"
	"shorepass/session/postgres/postgrestest"
)

// BenchmarkRedeem redeems a token of a person with 20 groups and with 1,000, in a
// database with few and with a million ended sessions, on a server on this machine.
func BenchmarkRedeem(b *testing.B) {
	server := postgrestest.Start(b, "fsync=on")
	for _, dead := range []int{10, 1_000_000} {
		if dead > 10 && testing.Short() {
			b.Skip("a million rows take a minute to write")
		}
		cfg := sealed(server.Database(b))
		s := replica(b, cfg, newSSO())
		tokens := map[int]secret.Text{20: {}, 1000: {}}
		for groups := range tokens {
			id := newSSO().login("corp", fmt.Sprint("of ", groups))
			id.Groups = nil
			for i := range groups {
				id.Groups = append(id.Groups, fmt.Sprintf("team-%04d", i))
			}
			tokens[groups] = issue(b, s, id)
			must(b, redeem(b.Context(), s, tokens[groups]))
		}
		fill(b, server, cfg.Store.Reveal(), dead)
		time.Sleep(100 * time.Millisecond) // until the first use is stored
		for _, groups := range []int{20, 1000} {
			b.Run(fmt.Sprintf("dead=%d/groups=%d", dead, groups), func(b *testing.B) {
				for b.Loop() {
					must(b, redeem(b.Context(), s, tokens[groups]))
				}
			})
		}
		b.Run(fmt.Sprintf("dead=%d/parallel", dead), func(b *testing.B) {
			b.SetParallelism(8)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := redeem(b.Context(), s, tokens[20]); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

// fill writes count sessions of one person that ended yesterday.
func fill(b *testing.B, server *postgrestest.Server, dsn string, count int) {
	b.Helper()
	yesterday := time.Now().Add(-24 * time.Hour).UnixMilli()
	server.SQL(b, dsn, fmt.Sprintf(`
		INSERT INTO session (hash, sign_in, person, kind, method, service, stamp, login_name, sid, acr, amr, auth_time, limits, created, expires, last_used, ended, reason)
		SELECT sha256(convert_to(i::text, 'UTF8')), (SELECT min(id) FROM sign_in), (SELECT min(id) FROM person), 'refresh', 'password', 'registry', '', 'alice', '', '', '', %[1]d, '', %[1]d, %[1]d, %[1]d, %[1]d, 'idle'
		FROM generate_series(1, %[2]d) i; ANALYZE; CHECKPOINT`, yesterday, count))
}

// BenchmarkIssue creates sessions, each durable before the client has its token.
func BenchmarkIssue(b *testing.B) {
	server := postgrestest.Start(b, "fsync=on")
	cfg := sealed(server.Database(b))
	cfg.PerPerson = 1_000_000
	p := newSSO()
	s := replica(b, cfg, p)
	for i := 0; b.Loop(); i++ {
		issue(b, s, p.login("corp", fmt.Sprint("alice ", i)))
	}
}

// BenchmarkUsed stores the last uses of 500 sessions, which is one batch.
func BenchmarkUsed(b *testing.B) {
	server := postgrestest.Start(b, "fsync=on")
	cfg := sealed(server.Database(b))
	s := replica(b, cfg, newSSO())
	issue(b, s, newSSO().login("corp", "alice"))
	fill(b, server, cfg.Store.Reveal(), 10_000)
	server.SQL(b, cfg.Store.Reveal(), "UPDATE session SET ended = 0, last_used = 0")
	store := open(b, cfg.Store.Reveal())
	listed, err := store.List(b.Context(), session.Selector{}, session.Hash{}, 500)
	must(b, err)
	at := time.Now()
	for b.Loop() {
		at = at.Add(time.Millisecond)
		uses := make([]session.LastUse, len(listed))
		for i := range listed {
			uses[i] = session.LastUse{Token: listed[i].Hash, At: at}
		}
		must(b, store.WriteLastUses(b.Context(), uses))
	}
}
