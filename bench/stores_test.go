package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"shorepass/registry"
	"shorepass/session"
	"shorepass/session/postgres/postgrestest"
)

// How many sessions and people there are.
const (
	few  = 10
	many = 1_000_000
	// crowded is so many people that who redeems is never somebody whom the
	// server remembers: each is read from the store and decoded.
	crowded = 100_000
)

// never keeps the provider from being asked while a benchmark runs.
const never = `revalidate = "24h"`

// BenchmarkStores measures redemptions with few and with many sessions in the
// store, through the binary, each of another session drawn at random. The p50
// with a million is to be at most 1.3 times that with ten.
func BenchmarkStores(b *testing.B) {
	binary := buildBinary(b)
	all := newCrowd(b, crowded, many)
	stocks := []struct {
		name string
		stock
	}{
		{"10 sessions of 10 people", stock{all.first(few), 0}},
		{"10 sessions beside 1,000,000 ended", stock{all.first(few), many}},
		{"1,000,000 sessions of 10 people", stock{all.among(few), 0}},
		{"1,000,000 sessions of 100,000 people", stock{all, 0}},
	}
	for _, kind := range []string{"sqlite", "postgres"} {
		b.Run(kind, func(b *testing.B) {
			open := openSQLite
			if kind == "postgres" {
				open = openPostgres(postgrestest.Start(b, "fsync=on"))
			}
			var servers []stocked
			for _, s := range stocks {
				servers = append(servers, open(b, binary, s.name, s.stock))
			}
			compareStores(b, "redemption, "+kind, servers)
			b.ReportMetric(0, "ns/op")
		})
	}
}

// stocked is a server on a store that was filled.
type stocked struct {
	name string
	target
	tokens []string
	size   string // of the store
}

// compareStores prints the table.
func compareStores(b *testing.B, title string, all []stocked) {
	for _, s := range all {
		s.servers[0].pause()
	}
	head(title, "p50 of first")
	for _, c := range []int{1, 16} {
		var rows []contestant
		for _, s := range all {
			rows = append(rows, contestant{s.name, alone(s.servers, func(ctx context.Context, span time.Duration) (figures, error) {
				return load(ctx, s.target, drawn(s.tokens), c, span)
			})})
		}
		results, err := compare(b.Context(), short, rows)
		if err != nil {
			b.Fatal(err)
		}
		byLatency(results)
	}
	for _, s := range all {
		fmt.Printf("%s: the store takes %s\n", s.name, s.size)
	}
}

// openSQLite fills a file and serves it.
func openSQLite(b *testing.B, binary, name string, s stock) stocked {
	dir := b.TempDir()
	file := filepath.Join(dir, "data", "sessions.db")
	text := configOf(b, dir, fmt.Sprintf("store = %q\n%s", "sqlite:"+file, never), []string{"first"})
	beginWith(b, binary, dir, text)
	fillSQLite(b, file, s)
	info, err := os.Stat(file)
	if err != nil {
		b.Fatal(err)
	}
	return stocked{name, target{servers: []*process{serve(b, binary, dir, text)}}, s.live.tokens, fmt.Sprintf("%d MiB", info.Size()>>20)}
}

// openPostgres fills a database of the server and serves it.
func openPostgres(server *postgrestest.Server) func(*testing.B, string, string, stock) stocked {
	return func(b *testing.B, binary, name string, s stock) stocked {
		dsn, dir := server.Database(b), b.TempDir()
		text := replicaConfig(b, dir, dsn, never, []string{"first"})
		beginWith(b, binary, dir, text)
		fillPostgres(b, dsn, s)
		size := server.SQL(b, dsn, `SELECT pg_size_pretty(pg_database_size(current_database())) || ', of which '
			|| string_agg(relname || ' ' || pg_size_pretty(pg_total_relation_size(oid)), ', ' ORDER BY relname)
			FROM pg_class WHERE relname IN ('session', 'client', 'person', 'sign_in', 'identity')`)
		return stocked{name, target{[]*process{serve(b, binary, dir, text)}, processesOf(b, server)}, s.live.tokens, size}
	}
}

// beginWith serves a new store for one login, which leaves a row to go by.
func beginWith(b *testing.B, binary, dir, config string) {
	b.Helper()
	s := serve(b, binary, dir, config)
	if _, err := s.login("first"); err != nil {
		b.Fatal(err)
	}
	s.stop()
}

// configOf is a configuration with a session table and people of twenty groups.
func configOf(b *testing.B, dir, table string, people []string) string {
	b.Helper()
	groups := make(map[string]int)
	for _, name := range people {
		groups[name] = 20
	}
	who, err := users(groups)
	if err != nil {
		b.Fatal(err)
	}
	return fmt.Sprintf(config, dir, "[session]\n"+table, who)
}

// replicaConfig is the configuration of any replica on a database, with the
// root and the sealing key that they share, made in dir where it has none.
func replicaConfig(b *testing.B, dir, dsn, more string, people []string) string {
	b.Helper()
	certificate, key, seal := filepath.Join(dir, "RootCA.crt"), filepath.Join(dir, "RootCA.key"), filepath.Join(dir, "seal.key")
	if _, err := os.Stat(seal); err != nil {
		if err := registry.CreateRoot(certificate, key); err != nil {
			b.Fatal(err)
		}
		if err := session.WriteSealKey(seal, session.NewSealKey()); err != nil {
			b.Fatal(err)
		}
	}
	text := configOf(b, dir, fmt.Sprintf("store = %q\nseal_key = { file = %q }\n%s", dsn, seal, more), people)
	return strings.Replace(text, "[token]\n", fmt.Sprintf("[token]\nroot_certificate = %q\nroot_key = %q\n", certificate, key), 1)
}

// processesOf tells the processes of a PostgreSQL: one for each connection, and
// those that write.
func processesOf(b *testing.B, server *postgrestest.Server) func() ([]int, error) {
	b.Helper()
	folder := server.SQL(b, server.DSN("postgres"), "SHOW data_directory")
	return func() ([]int, error) {
		text, err := os.ReadFile(filepath.Join(folder, "postmaster.pid"))
		if err != nil {
			return nil, err
		}
		first, _, _ := strings.Cut(string(text), "\n")
		pid, err := strconv.Atoi(first)
		if err != nil {
			return nil, err
		}
		children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
		if err != nil {
			return nil, err
		}
		all := []int{pid}
		for child := range strings.FieldsSeq(string(children)) {
			n, err := strconv.Atoi(child)
			if err != nil {
				return nil, err
			}
			all = append(all, n)
		}
		return all, nil
	}
}
