package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"regexp"
	"slices"
	"time"

	"shorepass/providers/ldap/ldaptest"
)

// build is a binary of shorepass to measure.
type build struct {
	name   string // "shorepass", or "before" and "now" where two are compared
	binary string
}

// manyConnections is the number of connections in all rows but one.
const manyConnections = 16

// report is the table of token requests and logins.
type report struct {
	dir    string // has a folder for each server
	builds []build
	only   *regexp.Regexp // selects workloads by name
	plan   schedule
}

// workload is a kind of request, sent over a number of connections. generators
// returns the requests for a server, because each server has tokens of its own.
type workload struct {
	name       string
	conns      int
	generators func(server int) func(conn int) generator
}

// runOn returns a run of the workload on one of the servers.
func (w workload) runOn(servers []*process, server int) runFunc {
	return func(ctx context.Context, duration time.Duration) (metrics, error) {
		return load(ctx, target{servers: servers[server : server+1]}, w.generators(server), w.conns, duration)
	}
}

func (r *report) measure(ctx context.Context) error {
	printHeader("request", "vs bare")
	if err := r.measureTokenRequests(ctx); err != nil {
		return fmt.Errorf("token requests: %w", err)
	}
	if !slices.ContainsFunc(ldapsWorkloads, r.matches) {
		return nil
	}
	if err := withSlapd(func(slapd *ldaptest.Slapd) error { return r.measureLDAPS(ctx, slapd) }); err != nil {
		return fmt.Errorf("LDAPS: %w", err)
	}
	return nil
}

func (r *report) matches(w workload) bool { return r.only.MatchString(w.name) }

// compareWorkloads makes paired runs of the baseline and of each workload on each
// server. It prints the results, each with its throughput relative to the baseline,
// and the ratios between two builds. It returns the results of the last build.
func (r *report) compareWorkloads(ctx context.Context, baseline variant, workloads []workload, servers []*process) ([]result, error) {
	all := []variant{baseline}
	for _, w := range workloads {
		for i, b := range r.builds {
			all = append(all, variant{w.name + ", " + b.name, w.runOn(servers, i)})
		}
	}
	results, err := compare(ctx, r.plan, all)
	if err != nil {
		return nil, err
	}
	fmt.Println()
	printThroughput(results[:1])
	var last []result
	for byBuild := range slices.Chunk(results[1:], len(r.builds)) {
		printThroughput(byBuild)
		if len(byBuild) == 2 {
			printRatios("  now / before", byBuild[1], byBuild[0])
		}
		last = append(last, byBuild[len(byBuild)-1])
	}
	return last, nil
}

// measureTokenRequests measures requests that are answered without a provider.
func (r *report) measureTokenRequests(ctx context.Context) error {
	people, err := userTables(map[string]int{"twenty": 20, "thousand": 1000})
	if err != nil {
		return err
	}
	servers, err := r.serve(ctx, func(home string) string {
		return fmt.Sprintf(config, home, fmt.Sprintf("[session]\nstore = \"sqlite:%s/data/sessions.db\"", home), people)
	})
	defer stopAll(servers)
	if err != nil {
		return err
	}
	if err := r.printMemory("after the start", servers); err != nil {
		return err
	}
	twenty, thousand := make([][]byte, len(servers)), make([][]byte, len(servers))
	for i, s := range servers {
		for name, request := range map[string]*[]byte{"twenty": &twenty[i], "thousand": &thousand[i]} {
			answer, err := s.login(name)
			if err != nil {
				return err
			}
			*request = redemption(answer.RefreshToken)
		}
	}
	perServer := func(requests [][]byte) func(server int) func(conn int) generator {
		return func(server int) func(int) generator { return repeated(requests[server%len(requests)]) }
	}
	for _, w := range []workload{
		{"anonymous", manyConnections, perServer([][]byte{anonymous()})},
		{"refresh token, one connection", 1, perServer(twenty)},
		{"refresh token", manyConnections, perServer(twenty)},
		{"refresh token, 1,000 groups", manyConnections, perServer(thousand)},
		{"cached password", manyConnections, perServer([][]byte{basic("twenty", password)})},
	} {
		if !r.matches(w) {
			continue
		}
		if err := r.measureAgainstBare(ctx, w, servers); err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
	}
	return nil
}

// measureAgainstBare measures a workload, with the bare handler as the baseline.
func (r *report) measureAgainstBare(ctx context.Context, w workload, servers []*process) error {
	bare, err := startBare(ctx, servers[0], w.generators(0)(0)())
	if err != nil {
		return err
	}
	defer bare.stop()
	_, err = r.compareWorkloads(ctx, variant{"bare net/http, ES256", w.runOn([]*process{bare}, 0)}, []workload{w}, servers)
	return err
}

// onEveryServer sends the same requests to every server.
func onEveryServer(newGenerator func(conn int) generator) func(server int) func(conn int) generator {
	return func(int) func(int) generator { return newGenerator }
}

// ldapsWorkloads are password logins over LDAPS, without the cache of right passwords.
var ldapsWorkloads = []workload{
	{"first login from an address", manyConnections, onEveryServer(firstLogins)},
	{"later logins", manyConnections, onEveryServer(laterLogins)},
}

func (r *report) measureLDAPS(ctx context.Context, slapd *ldaptest.Slapd) error {
	for _, groups := range []struct {
		by, config string
		search     bool
	}{{"memberOf", groupsByMemberOf, false}, {"search", groupsBySearch, true}} {
		servers, err := r.serve(ctx, func(home string) string { return ldapServerConfig(home, slapd, groups.config) })
		if err == nil {
			err = r.measureLogins(ctx, variant{"bare LDAPS, groups by " + groups.by, func(_ context.Context, duration time.Duration) (metrics, error) {
				return bareLogins(slapd, groups.search, manyConnections, duration)
			}}, servers)
		}
		stopAll(servers)
		if err != nil {
			return err
		}
	}
	return nil
}

// measureLogins measures LDAPS logins, with the bare ones as the baseline.
func (r *report) measureLogins(ctx context.Context, bare variant, servers []*process) error {
	results, err := r.compareWorkloads(ctx, bare, ldapsWorkloads, servers)
	if err != nil {
		return err
	}
	p99 := func(m metrics) float64 { return float64(m.P99) }
	fmt.Printf("%-41s %34.2f\n", "  p99, first logins / later logins", ratio(results[0], results[1], p99))
	return nil
}

// serve starts a server of every build, each with a folder and a configuration of its
// own. The caller must stop the returned servers, after an error too.
func (r *report) serve(ctx context.Context, configOf func(home string) string) (servers []*process, err error) {
	for _, b := range r.builds {
		home, err := os.MkdirTemp(r.dir, b.name+"-")
		if err != nil {
			return servers, err
		}
		s, err := startShorepass(ctx, b.binary, home, configOf(home))
		if err != nil {
			return servers, err
		}
		servers = append(servers, s)
	}
	return servers, nil
}

func stopAll(servers []*process) {
	for _, s := range servers {
		s.stop()
	}
}

// printMemory prints the resident set size (RSS) of each server.
func (r *report) printMemory(when string, servers []*process) error {
	for i, s := range servers {
		rss, err := processRSS(s.pid())
		if err != nil {
			return err
		}
		printRow(result{name: when + ", " + r.builds[i].name, metrics: metrics{RSS: rss}}, math.NaN())
	}
	return nil
}
