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

// build is a binary of shorepass that the report measures.
type build struct {
	name   string // "shorepass" or, beside another one, "before" and "now"
	binary string
}

// manyConnections is how many connections send requests in all rows but one.
const manyConnections = 16

// report is the table of requests.
type report struct {
	dir    string // for the files of the servers
	builds []build
	only   *regexp.Regexp // of the names of requests
	plan   schedule
}

// request is one kind of request and what sends it to each server.
type workload struct {
	name       string
	conns      int
	generators func(server int) func(conn int) generator
}

// to sends the request to one of the servers.
func (w workload) runOn(servers []*process, server int) runFunc {
	return func(ctx context.Context, duration time.Duration) (metrics, error) {
		return load(ctx, target{servers: servers[server : server+1]}, w.generators(server), w.conns, duration)
	}
}

func (r *report) measure(ctx context.Context) error {
	printHeader("request", "of bare")
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

// compareWorkloads measures requests to each server and the limit in turns, and
// prints them: each with the ratio of its requests a second to the limit's and, of
// two builds, the ratios between them. It returns the results of the last build.
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
	for of := range slices.Chunk(results[1:], len(r.builds)) {
		printThroughput(of)
		if len(of) == 2 {
			printRatios("  now / before", of[1], of[0])
		}
		last = append(last, of[len(of)-1])
	}
	return last, nil
}

// measureTokenRequests measures requests about which no provider is asked.
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
	few, many := make([][]byte, len(servers)), make([][]byte, len(servers))
	for i, s := range servers {
		for name, request := range map[string]*[]byte{"twenty": &few[i], "thousand": &many[i]} {
			answer, err := s.login(name)
			if err != nil {
				return err
			}
			*request = redemption(answer.RefreshToken)
		}
	}
	each := func(requests [][]byte) func(server int) func(conn int) generator {
		return func(server int) func(int) generator { return repeated(requests[server%len(requests)]) }
	}
	for _, w := range []workload{
		{"anonymous", manyConnections, each([][]byte{anonymous()})},
		{"refresh token, one connection", 1, each(few)},
		{"refresh token", manyConnections, each(few)},
		{"refresh token, 1,000 groups", manyConnections, each(many)},
		{"cached password", manyConnections, each([][]byte{basic("twenty", password)})},
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

// measureAgainstBare measures a request beside the bare handler.
func (r *report) measureAgainstBare(ctx context.Context, w workload, servers []*process) error {
	bare, err := startBare(ctx, servers[0], w.generators(0)(0)())
	if err != nil {
		return err
	}
	defer bare.stop()
	_, err = r.compareWorkloads(ctx, variant{"bare net/http, ES256", w.runOn([]*process{bare}, 0)}, []workload{w}, servers)
	return err
}

func onEveryServer(newGenerator func(conn int) generator) func(server int) func(conn int) generator {
	return func(int) func(int) generator { return newGenerator }
}

// ldapsWorkloads are logins that no cache answers.
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

// measureLogins measures logins beside the bare ones.
func (r *report) measureLogins(ctx context.Context, bare variant, servers []*process) error {
	results, err := r.compareWorkloads(ctx, bare, ldapsWorkloads, servers)
	if err != nil {
		return err
	}
	p99 := func(m metrics) float64 { return float64(m.P99) }
	fmt.Printf("  p99 of first logins / of later ones %37.2f\n", ratio(results[0], results[1], p99))
	return nil
}

// serve starts every build, each with a folder and a configuration of its own. The
// caller stops those that were started, after an error too.
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

// printMemory prints the resident set of each server.
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
