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
	in     turns
}

// request is one kind of request and what sends it to each server.
type request struct {
	name    string
	conns   int
	scripts func(server int) func(conn int) script
}

// to sends the request to one of the servers.
func (r request) to(servers []*process, server int) measure {
	return func(ctx context.Context, span time.Duration) (figures, error) {
		return load(ctx, target{servers: servers[server : server+1]}, r.scripts(server), r.conns, span)
	}
}

func (r *report) measure(ctx context.Context) error {
	head("request", "of bare")
	if err := r.measureTokens(ctx); err != nil {
		return fmt.Errorf("token requests: %w", err)
	}
	if !slices.ContainsFunc(ldapsRequests, r.matches) {
		return nil
	}
	if err := withSlapd(func(slapd *ldaptest.Slapd) error { return r.measureLDAPS(ctx, slapd) }); err != nil {
		return fmt.Errorf("LDAPS: %w", err)
	}
	return nil
}

func (r *report) matches(q request) bool { return r.only.MatchString(q.name) }

// measureRequests measures requests to each server and the limit in turns, and
// prints them: each with the ratio of its requests a second to the limit's and, of
// two builds, the ratios between them. It returns the results of the last build.
func (r *report) measureRequests(ctx context.Context, limit contestant, requests []request, servers []*process) ([]result, error) {
	all := []contestant{limit}
	for _, q := range requests {
		for i, b := range r.builds {
			all = append(all, contestant{q.name + ", " + b.name, q.to(servers, i)})
		}
	}
	results, err := compare(ctx, r.in, all)
	if err != nil {
		return nil, err
	}
	fmt.Println()
	byThroughput(results[:1])
	var last []result
	for of := range slices.Chunk(results[1:], len(r.builds)) {
		byThroughput(of)
		if len(of) == 2 {
			printRatios("  now / before", of[1], of[0])
		}
		last = append(last, of[len(of)-1])
	}
	return last, nil
}

// measureTokens measures requests about which no provider is asked.
func (r *report) measureTokens(ctx context.Context) error {
	people, err := users(map[string]int{"twenty": 20, "thousand": 1000})
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
	each := func(requests [][]byte) func(server int) func(conn int) script {
		return func(server int) func(int) script { return same(requests[server%len(requests)]) }
	}
	for _, q := range []request{
		{"anonymous", manyConnections, each([][]byte{anonymous()})},
		{"refresh token, one connection", 1, each(few)},
		{"refresh token", manyConnections, each(few)},
		{"refresh token, 1,000 groups", manyConnections, each(many)},
		{"cached password", manyConnections, each([][]byte{basic("twenty", password)})},
	} {
		if !r.matches(q) {
			continue
		}
		if err := r.measureBeside(ctx, q, servers); err != nil {
			return fmt.Errorf("%s: %w", q.name, err)
		}
	}
	return nil
}

// measureBeside measures a request beside the bare handler.
func (r *report) measureBeside(ctx context.Context, q request, servers []*process) error {
	bare, err := startBare(ctx, servers[0], q.scripts(0)(0)())
	if err != nil {
		return err
	}
	defer bare.stop()
	_, err = r.measureRequests(ctx, contestant{"bare net/http, ES256", q.to([]*process{bare}, 0)}, []request{q}, servers)
	return err
}

func everywhere(scripts func(conn int) script) func(server int) func(conn int) script {
	return func(int) func(int) script { return scripts }
}

// ldapsRequests are logins that no cache answers.
var ldapsRequests = []request{
	{"first login from an address", manyConnections, everywhere(firstLogins)},
	{"later logins", manyConnections, everywhere(laterLogins)},
}

func (r *report) measureLDAPS(ctx context.Context, slapd *ldaptest.Slapd) error {
	for _, groups := range []struct {
		by, config string
		search     bool
	}{{"memberOf", groupsByMemberOf, false}, {"search", groupsBySearch, true}} {
		servers, err := r.serve(ctx, func(home string) string { return configOfLDAP(home, slapd, groups.config) })
		if err == nil {
			err = r.measureLogins(ctx, contestant{"bare LDAPS, groups by " + groups.by, func(_ context.Context, span time.Duration) (figures, error) {
				return bareLogins(slapd, groups.search, manyConnections, span)
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
func (r *report) measureLogins(ctx context.Context, bare contestant, servers []*process) error {
	results, err := r.measureRequests(ctx, bare, ldapsRequests, servers)
	if err != nil {
		return err
	}
	p99 := func(f figures) float64 { return float64(f.P99) }
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
		rss, err := rssOf(s.pid())
		if err != nil {
			return err
		}
		printRow(result{name: when + ", " + r.builds[i].name, figures: figures{RSS: rss}}, math.NaN())
	}
	return nil
}
