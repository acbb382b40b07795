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

// contents is what a store is filled with, in addition to the session that seedStore
// made. The rows copy from that session what only the product can compute.
type contents struct {
	live  *dataset
	ended int // sessions that ended yesterday, of the same people
}

// firstPersonID is the id of a dataset's first row in person and in sign_in, far above
// the ids that logins make.
const firstPersonID = 1_000_000

// timestamps returns the times in the rows, in milliseconds. The provider vouched for
// everyone just now, and every session was used five minutes ago, so that the first
// redemption of each is written as in production.
func timestamps() (now, used, yesterday, expires int64) {
	at := time.Now()
	return at.UnixMilli(), at.Add(-5 * time.Minute).UnixMilli(), at.Add(-24 * time.Hour).UnixMilli(), at.Add(90 * 24 * time.Hour).UnixMilli()
}

// fillSQLite inserts rows in one transaction, without package sqlite.
func fillSQLite(b *testing.B, file string, c contents) {
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
	now, used, yesterday, expires := timestamps()
	for i, p := range c.live.people {
		exec("INSERT INTO person (id, provider, subject, user_name, last_seen) SELECT ?1, provider, ?2, ?2, ?3 FROM person WHERE id = 1", firstPersonID+i, p.User, now)
		exec(`INSERT INTO sign_in (id, person, provider_id, login_id, identity_version, stamp, token_version, last_vouched, last_asked, last_answer, gone_since, pending_since, pending_reason, lease_until)
			SELECT ?1, ?1, provider_id, '', ?2, stamp, 0, ?3, ?3, 0, 0, 0, '', 0 FROM sign_in WHERE id = 1`, firstPersonID+i, p.Version[:], now)
		exec("INSERT INTO identity (sign_in, body) VALUES (?, ?)", firstPersonID+i, p.Body)
	}
	hashes := make([]byte, 0, len(c.live.hashes)*32)
	for _, hash := range c.live.hashes {
		hashes = append(hashes, hash[:]...)
	}
	const insert = `
		WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?1)
		INSERT INTO session (hash, sign_in, person, kind, method, service, stamp, login_name, sid, acr, amr, auth_time, limits, created, expires, last_used, ended, reason) `
	exec(insert+`SELECT substr(?2, i * 32 + 1, 32), ?3 + i % ?4, ?3 + i % ?4, 'refresh', 'password', 'registry', stamp, '', '', '', '', ?5, '', ?5, ?6, ?7, 0, ''
		FROM n, sign_in WHERE id = 1`, len(c.live.hashes), hashes, firstPersonID, len(c.live.people), yesterday, expires, used)
	if c.ended > 0 {
		exec(insert+`SELECT randomblob(32), ?2 + i % ?3, ?2 + i % ?3, 'refresh', 'password', 'registry', stamp, '', '', '', '', ?4, '', ?4, ?5, ?4, ?4, 'idle'
			FROM n, sign_in WHERE id = 1`, c.ended, firstPersonID, len(c.live.people), yesterday, expires)
	}
	exec("INSERT INTO client (hash, address, id, agent) SELECT hash, '10.1.2.3', 'docker', 'docker/28.0' FROM session WHERE person >= ?", firstPersonID)
	exec("COMMIT")
	exec("PRAGMA wal_checkpoint(TRUNCATE)")
}

// fillPostgres inserts rows by COPY, without package postgres.
func fillPostgres(b *testing.B, dsn string, c contents) {
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
	if err := db.QueryRow(b.Context(), "SELECT provider_id, stamp FROM sign_in LIMIT 1").Scan(&providerID, &stamp); err != nil {
		b.Fatal(err)
	}
	exec("SET session_replication_role = replica") // checks no foreign keys
	now, used, yesterday, expires := timestamps()
	copyRows(b, db, "person", "id provider subject user_name last_seen", len(c.live.people), func(i int) []any {
		p := &c.live.people[i]
		return []any{firstPersonID + i, "local", p.User, p.User, now}
	})
	copyRows(b, db, "sign_in", "id person provider_id login_id identity_version stamp token_version last_vouched last_asked last_answer gone_since pending_since pending_reason lease_until", len(c.live.people), func(i int) []any {
		return []any{firstPersonID + i, firstPersonID + i, providerID, "", c.live.people[i].Version[:], stamp, 0, now, now, 0, 0, 0, "", 0}
	})
	copyRows(b, db, "identity", "sign_in body", len(c.live.people), func(i int) []any { return []any{firstPersonID + i, c.live.people[i].Body} })
	const columns = "hash sign_in person kind method service stamp login_name sid acr amr auth_time limits created expires last_used last_used_day"
	copyRows(b, db, "session", columns, len(c.live.hashes), func(i int) []any {
		person := firstPersonID + c.live.owner(i)
		return []any{c.live.hashes[i][:], person, person, "refresh", "password", "registry", stamp, "", "", "", "", yesterday, "", yesterday, expires, used, used / (24 * time.Hour).Milliseconds()}
	})
	exec(`INSERT INTO session (`+strings.ReplaceAll(columns, " ", ", ")+`, ended, reason)
		SELECT sha256(convert_to('dead' || i, 'UTF8')), $2::bigint + i % $3, $2::bigint + i % $3, 'refresh', 'password', 'registry', stamp, '', '', '', '', $4::bigint, '',
			$4::bigint, $5::bigint, $4::bigint, $4::bigint / 86400000, $4::bigint, 'idle'
		FROM generate_series(1, $1::bigint) AS i, sign_in WHERE id = 1`, c.ended, firstPersonID, len(c.live.people), yesterday, expires)
	exec("INSERT INTO client (hash, address, id, agent) SELECT hash, '10.1.2.3', 'docker', 'docker/28.0' FROM session WHERE person >= $1", firstPersonID)
	exec("VACUUM ANALYZE") // as autovacuum does after a while
	exec("CHECKPOINT")
}

func copyRows(b *testing.B, db *pgx.Conn, table, columns string, count int, row func(i int) []any) {
	b.Helper()
	source := pgx.CopyFromSlice(count, func(i int) ([]any, error) { return row(i), nil })
	if _, err := db.CopyFrom(b.Context(), pgx.Identifier{table}, strings.Fields(columns), source); err != nil {
		b.Fatal(fmt.Errorf("fill %s: %w", table, err))
	}
}
