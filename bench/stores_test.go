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

// Numbers of sessions and people.
const (
	fewSessions  = 10
	manySessions = 1_000_000
	// manyPeople is far more than the identity cache holds, so nearly every
	// redemption is a cache miss: it reads the identity and decodes it.
	manyPeople = 100_000
)

// noRevalidation prevents revalidations during a benchmark.
const noRevalidation = `revalidate = "24h"`

// BenchmarkStores measures redemptions by the number of sessions and people in the
// store, each of a random session. The target is a p50 with a million sessions of at
// most 1.3 times that with ten.
func BenchmarkStores(b *testing.B) {
	binary := buildBinary(b)
	all := newDataset(b, manyPeople, manySessions)
	cases := []struct {
		name string
		contents
	}{
		{"10 sessions of 10 people", contents{all.firstSessions(fewSessions), 0}},
		{"10 sessions and 1,000,000 ended ones", contents{all.firstSessions(fewSessions), manySessions}},
		{"1,000,000 sessions of 10 people", contents{all.withPeople(fewSessions), 0}},
		{"1,000,000 sessions of 100,000 people", contents{all, 0}},
	}
	for _, kind := range []string{"sqlite", "postgres"} {
		b.Run(kind, func(b *testing.B) {
			open := openSQLite
			if kind == "postgres" {
				open = openPostgres(postgrestest.Start(b, "fsync=on"))
			}
			var servers []filledStore
			for _, s := range cases {
				servers = append(servers, open(b, binary, s.name, s.contents))
			}
			compareStores(b, "redemption, "+kind, servers)
			b.ReportMetric(0, "ns/op")
		})
	}
}

// filledStore is a server with a store that has been filled.
type filledStore struct {
	name string
	target
	tokens []string
	size   string // of the store on disk
}

// compareStores measures redemptions on each store and prints the table.
func compareStores(b *testing.B, title string, all []filledStore) {
	for _, s := range all {
		s.servers[0].pause()
	}
	printHeader(title, "p50 vs first")
	for _, c := range []int{1, 16} {
		var rows []variant
		for _, s := range all {
			rows = append(rows, variant{s.name, runResumed(s.servers, func(ctx context.Context, duration time.Duration) (metrics, error) {
				return load(ctx, s.target, randomRedemptions(s.tokens), c, duration)
			})})
		}
		results, err := compare(b.Context(), shortRuns, rows)
		if err != nil {
			b.Fatal(err)
		}
		printLatency(results)
	}
	for _, s := range all {
		fmt.Printf("%s: the store takes %s\n", s.name, s.size)
	}
}

// openSQLite fills a SQLite store and starts a server on it.
func openSQLite(b *testing.B, binary, name string, c contents) filledStore {
	dir := b.TempDir()
	file := filepath.Join(dir, "data", "sessions.db")
	text := serverConfig(b, dir, fmt.Sprintf("store = %q\n%s", "sqlite:"+file, noRevalidation), []string{"first"})
	seedStore(b, binary, dir, text)
	fillSQLite(b, file, c)
	info, err := os.Stat(file)
	if err != nil {
		b.Fatal(err)
	}
	return filledStore{name, target{servers: []*process{serve(b, binary, dir, text)}}, c.live.tokens, fmt.Sprintf("%d MiB", info.Size()>>20)}
}

// openPostgres fills a new database of the server and starts a server on it.
func openPostgres(server *postgrestest.Server) func(*testing.B, string, string, contents) filledStore {
	return func(b *testing.B, binary, name string, c contents) filledStore {
		dsn, dir := server.Database(b), b.TempDir()
		text := replicaConfig(b, dir, dsn, noRevalidation, []string{"first"})
		seedStore(b, binary, dir, text)
		fillPostgres(b, dsn, c)
		size := server.SQL(b, dsn, `SELECT pg_size_pretty(pg_database_size(current_database())) || ', of which '
			|| string_agg(relname || ' ' || pg_size_pretty(pg_total_relation_size(oid)), ', ' ORDER BY relname)
			FROM pg_class WHERE relname IN ('session', 'client', 'person', 'sign_in', 'identity')`)
		return filledStore{name, target{[]*process{serve(b, binary, dir, text)}, postgresProcesses(b, server)}, c.live.tokens, size}
	}
}

// seedStore makes a new store with the rows of one login, from which fillSQLite and
// fillPostgres copy values.
func seedStore(b *testing.B, binary, dir, config string) {
	b.Helper()
	s := serve(b, binary, dir, config)
	if _, err := s.login("first"); err != nil {
		b.Fatal(err)
	}
	s.stop()
}

// serverConfig returns a configuration with a session table, and people with twenty
// groups each.
func serverConfig(b *testing.B, dir, table string, people []string) string {
	b.Helper()
	groups := make(map[string]int)
	for _, name := range people {
		groups[name] = 20
	}
	tables, err := userTables(groups)
	if err != nil {
		b.Fatal(err)
	}
	return fmt.Sprintf(config, dir, "[session]\n"+table, tables)
}

// replicaConfig returns the configuration of the replicas on a database. Their root
// and sealing key are in dir, and are made by the first call.
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
	text := serverConfig(b, dir, fmt.Sprintf("store = %q\nseal_key = { file = %q }\n%s", dsn, seal, more), people)
	return strings.Replace(text, "[token]\n", fmt.Sprintf("[token]\nroot_certificate = %q\nroot_key = %q\n", certificate, key), 1)
}

// postgresProcesses returns a function that lists the processes of a PostgreSQL server:
// the postmaster and its children, one for each connection among them.
func postgresProcesses(b *testing.B, server *postgrestest.Server) func() ([]int, error) {
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
