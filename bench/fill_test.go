package main

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// stock is what a store is filled with beside the one session of a login, of
// which the rows have what only the product can tell.
type stock struct {
	live *crowd
	dead int // sessions that ended yesterday, of the same people
}

// firstPerson is the row of a crowd's first person, far from what logins make.
const firstPerson = 1_000_000

// moments are the times in the rows, in milliseconds: everybody has just been
// vouched for, and redeemed five minutes ago, so that each first redemption is
// kept like any that comes every five minutes.
func moments() (now, used, yesterday, expires int64) {
	at := time.Now()
	return at.UnixMilli(), at.Add(-5 * time.Minute).UnixMilli(), at.Add(-24 * time.Hour).UnixMilli(), at.Add(90 * 24 * time.Hour).UnixMilli()
}

// fillSQLite writes past the store, in one transaction.
func fillSQLite(b *testing.B, file string, s stock) {
	b.Helper()
	db, err := sqlite.OpenConn(file, sqlite.OpenReadWrite)
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	exec := func(query string, args ...any) {
		b.Helper()
		if err := sqlitex.Execute(db, query, &sqlitex.ExecOptions{Args: args}); err != nil {
			b.Fatalf("%s: %v", query, err)
		}
	}
	exec("PRAGMA cache_size = -1000000")
	exec("BEGIN")
	now, used, yesterday, expires := moments()
	for i, p := range s.live.people {
		exec(`INSERT INTO person (id, provider, provider_id, subject, own, user_name, version, stamp, checked, asked, answer, gone, lease)
			SELECT ?1, provider, provider_id, ?2, '', ?2, ?3, stamp, ?4, ?4, 0, 0, 0 FROM person WHERE id = 1`, firstPerson+i, p.User, p.Version[:], now)
		exec("INSERT INTO facts (person, body) VALUES (?, ?)", firstPerson+i, p.Body)
	}
	hashes := make([]byte, 0, len(s.live.hashes)*32)
	for _, hash := range s.live.hashes {
		hashes = append(hashes, hash[:]...)
	}
	const insert = `
		WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?1)
		INSERT INTO session (hash, person, kind, method, service, provider_id, stamp, created, expires, used, ended, why, who) `
	exec(insert+`SELECT substr(?2, i * 32 + 1, 32), ?3 + i % ?4, 'refresh', 'password', 'registry', provider_id, stamp, ?5, ?6, ?7, 0, '', ?3 + i % ?4
		FROM n, person p WHERE p.id = 1`, len(s.live.hashes), hashes, firstPerson, len(s.live.people), yesterday, expires, used)
	if s.dead > 0 {
		exec(insert+`SELECT randomblob(32), ?2 + i % ?3, 'refresh', 'password', 'registry', provider_id, stamp, ?4, ?5, ?4, ?4, 'idle', ?2 + i % ?3
			FROM n, person p WHERE p.id = 1`, s.dead, firstPerson, len(s.live.people), yesterday, expires)
	}
	exec("INSERT INTO client (hash, address, id, agent) SELECT hash, '10.1.2.3', 'docker', 'docker/28.0' FROM session WHERE person >= ?", firstPerson)
	exec("COMMIT")
	exec("PRAGMA wal_checkpoint(TRUNCATE)")
}

// fillPostgres writes past the store, by COPY.
func fillPostgres(b *testing.B, dsn string, s stock) {
	b.Helper()
	db, err := pgx.Connect(b.Context(), dsn)
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close(context.WithoutCancel(b.Context()))
	exec := func(query string, args ...any) {
		b.Helper()
		if _, err := db.Exec(b.Context(), query, args...); err != nil {
			b.Fatalf("%s: %v", query, err)
		}
	}
	var providerID int64
	var stamp string
	if err := db.QueryRow(b.Context(), "SELECT provider_id, stamp FROM person LIMIT 1").Scan(&providerID, &stamp); err != nil {
		b.Fatal(err)
	}
	exec("SET session_replication_role = replica") // which checks no foreign keys
	now, used, yesterday, expires := moments()
	copyRows(b, db, "person", "id provider provider_id subject own user_name version stamp checked asked answer gone lease", len(s.live.people), func(i int) []any {
		p := &s.live.people[i]
		return []any{firstPerson + i, "local", providerID, p.User, "", p.User, p.Version[:], stamp, now, now, 0, 0, 0}
	})
	copyRows(b, db, "facts", "person body", len(s.live.people), func(i int) []any { return []any{firstPerson + i, s.live.people[i].Body} })
	copyRows(b, db, "session", "hash person kind method service provider_id stamp created expires used used_day who", len(s.live.hashes), func(i int) []any {
		person := firstPerson + s.live.owner(i)
		return []any{s.live.hashes[i][:], person, "refresh", "password", "registry", providerID, stamp, yesterday, expires, used, used / (24 * time.Hour).Milliseconds(), person}
	})
	exec(`INSERT INTO session (hash, person, kind, method, service, provider_id, stamp, created, expires, used, used_day, ended, why, who)
		SELECT sha256(convert_to('dead' || i, 'UTF8')), $2::bigint + i % $3, 'refresh', 'password', 'registry', p.provider_id, p.stamp, $4::bigint, $5::bigint,
			$4::bigint, $4::bigint / 86400000, $4::bigint, 'idle', $2::bigint + i % $3::bigint
		FROM generate_series(1, $1::bigint) AS i, person p WHERE p.id = 1`, s.dead, firstPerson, len(s.live.people), yesterday, expires)
	exec("INSERT INTO client (hash, address, id, agent) SELECT hash, '10.1.2.3', 'docker', 'docker/28.0' FROM session WHERE person >= $1", firstPerson)
	exec("VACUUM ANALYZE") // as the server does by itself after a while
	exec("CHECKPOINT")
}

func copyRows(b *testing.B, db *pgx.Conn, table, columns string, count int, row func(i int) []any) {
	b.Helper()
	source := pgx.CopyFromSlice(count, func(i int) ([]any, error) { return row(i), nil })
	if _, err := db.CopyFrom(b.Context(), pgx.Identifier{table}, strings.Fields(columns), source); err != nil {
		b.Fatal(fmt.Errorf("fill %s: %w", table, err))
	}
}
