package main

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"shorepass/session/postgres/postgrestest"
)

const (
	replicas = 3

	// perReplica is how many connections ask each replica at once.
	perReplica = 16

	// So many people that hardly anybody comes twice in a second, after which
	// the provider is asked again.
	replicaPeople   = 20_000
	replicaSessions = 300_000
)

// periods are turns of whole periods of [process.hold].
var periods = turns{rounds: 7, span: 10 * quotaPeriod}

// BenchmarkReplicas measures three replicas on one PostgreSQL beside one, and
// what it costs when a redemption has to ask the provider again. Three are to
// do at least 2.4 times the requests of one where cores allow.
//
// Replicas, PostgreSQL and load share this machine's cores, so that two cores
// are full with one replica. Therefore the second table holds each replica to
// a share of a core that leaves room for all of them: that is the factor by
// which replicas on machines of their own scale, until PostgreSQL is full,
// which the CPU that a request takes in it tells.
func BenchmarkReplicas(b *testing.B) {
	binary := buildBinary(b)
	server := postgrestest.Start(b, "fsync=on")
	dsn, dir := server.Database(b), b.TempDir()
	asks := replicaConfig(b, dir, dsn, `revalidate = "1s"`, append(names(replicaPeople), "first"))
	beginWith(b, binary, dir, asks)
	all := newCrowd(b, replicaPeople, replicaSessions)
	fillPostgres(b, dsn, stock{all, 0})

	store := processesOf(b, server)
	asking := serve(b, binary, b.TempDir(), asks)
	text := replicaConfig(b, dir, dsn, never, []string{"first"})
	var three []*process
	for range replicas {
		three = append(three, serve(b, binary, dir, text))
	}
	for _, s := range append(three, asking) {
		s.pause()
	}
	row := func(name string, share float64, servers ...*process) contestant {
		return contestant{name, alone(servers, func(ctx context.Context, span time.Duration) (figures, error) {
			if share > 0 {
				for _, s := range servers {
					defer s.hold(share)()
				}
			}
			return load(ctx, target{servers, store}, drawn(all.tokens), perReplica*len(servers), span)
		})}
	}
	scale := func(title string, in turns, rows ...contestant) []result {
		head(title, "of first")
		results, err := compare(b.Context(), in, rows)
		if err != nil {
			b.Fatal(err)
		}
		byThroughput(results)
		return results
	}
	cores := runtime.NumCPU()
	whole := scale(fmt.Sprintf("replicas, %d cores for everything", cores), short,
		row("one replica", 0, three[0]), row("one, the provider asked at each", 0, asking), row("three replicas", 0, three...))
	share := min(1, float64(cores)/10)
	held := scale(fmt.Sprintf("replicas, each held to %.2f of a core", share), periods,
		row("one replica", share, three[0]), row("three replicas", share, three...))

	one := whole[0]
	fmt.Printf("%d cores: three replicas do %.2f times the requests of one; held to %.2f of a core each, %.2f times\n", cores, whole[2].throughput, share, held[1].throughput)
	fmt.Printf("a core of PostgreSQL is full at %.0f redemptions a second, which is what %.1f cores of replicas do\n",
		float64(time.Second)/float64(one.Store), float64(one.CPU)/float64(one.Store))
	b.ReportMetric(held[1].throughput, "scale")
	b.ReportMetric(0, "ns/op")
}
