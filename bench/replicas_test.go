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

	// connsPerReplica is how many connections ask each replica at once.
	connsPerReplica = 16

	// So many people that hardly anybody comes twice in a second, after which
	// the provider is asked again.
	replicaPeople   = 20_000
	replicaSessions = 300_000
)

// periods are turns of whole periods of [process.hold].
var wholePeriods = schedule{rounds: 7, duration: 10 * quotaPeriod}

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
	revalidating := replicaConfig(b, dir, dsn, `revalidate = "1s"`, append(userNames(replicaPeople), "first"))
	seedStore(b, binary, dir, revalidating)
	all := newDataset(b, replicaPeople, replicaSessions)
	fillPostgres(b, dsn, contents{all, 0})

	store := postgresProcesses(b, server)
	revalidatingServer := serve(b, binary, b.TempDir(), revalidating)
	text := replicaConfig(b, dir, dsn, noRevalidation, []string{"first"})
	var three []*process
	for range replicas {
		three = append(three, serve(b, binary, dir, text))
	}
	for _, s := range append(three, revalidatingServer) {
		s.pause()
	}
	row := func(name string, share float64, servers ...*process) variant {
		return variant{name, runResumed(servers, func(ctx context.Context, duration time.Duration) (metrics, error) {
			if share > 0 {
				for _, s := range servers {
					defer s.limitCPU(share)()
				}
			}
			return load(ctx, target{servers, store}, randomRedemptions(all.tokens), connsPerReplica*len(servers), duration)
		})}
	}
	scale := func(title string, plan schedule, rows ...variant) []result {
		printHeader(title, "of first")
		results, err := compare(b.Context(), plan, rows)
		if err != nil {
			b.Fatal(err)
		}
		printThroughput(results)
		return results
	}
	cores := runtime.NumCPU()
	whole := scale(fmt.Sprintf("replicas, %d cores for everything", cores), shortRuns,
		row("one replica", 0, three[0]), row("one, the provider asked at each", 0, revalidatingServer), row("three replicas", 0, three...))
	share := min(1, float64(cores)/10)
	limited := scale(fmt.Sprintf("replicas, each limited to %.2f of a core", share), wholePeriods,
		row("one replica", share, three[0]), row("three replicas", share, three...))

	one := whole[0]
	fmt.Printf("%d cores: three replicas do %.2f times the requests of one; limited to %.2f of a core each, %.2f times\n", cores, whole[2].throughput, share, limited[1].throughput)
	fmt.Printf("a core of PostgreSQL is full at %.0f redemptions a second, which is what %.1f cores of replicas do\n",
		float64(time.Second)/float64(one.Store), float64(one.CPU)/float64(one.Store))
	b.ReportMetric(limited[1].throughput, "scale")
	b.ReportMetric(0, "ns/op")
}
