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

	// connsPerReplica is the number of connections to each replica.
	connsPerReplica = 16

	// So many people that nearly every redemption of the revalidating replica, with
	// revalidate = "1s", is due for a revalidation.
	replicaPeople   = 20_000
	replicaSessions = 300_000
)

// wholePeriods is a schedule of runs of whole periods of [process.limitCPU].
var wholePeriods = schedule{rounds: 7, duration: 10 * quotaPeriod}

// BenchmarkReplicas compares the throughput of three replicas on one PostgreSQL with
// that of one, and measures the cost of a revalidation. The target is 2.4 times the
// throughput of one replica, where there are enough cores.
//
// Replicas, PostgreSQL and the load generator share this machine's cores, and one
// replica saturates two cores. Therefore the second table limits each replica to a
// share of a core, small enough for all to fit. Its ratio is the factor by which
// replicas on machines of their own scale until PostgreSQL is saturated; PostgreSQL's
// CPU per request tells when that is.
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
		printHeader(title, "vs first")
		results, err := compare(b.Context(), plan, rows)
		if err != nil {
			b.Fatal(err)
		}
		printThroughput(results)
		return results
	}
	cores := runtime.NumCPU()
	whole := scale(fmt.Sprintf("replicas, %d cores shared by all", cores), shortRuns,
		row("one replica", 0, three[0]), row("one replica, revalidating each time", 0, revalidatingServer), row("three replicas", 0, three...))
	share := min(1, float64(cores)/10)
	limited := scale(fmt.Sprintf("replicas, each limited to %.2f of a core", share), wholePeriods,
		row("one replica", share, three[0]), row("three replicas", share, three...))

	one := whole[0]
	fmt.Printf("%d cores: three replicas have %.2f times the throughput of one; limited to %.2f of a core each, %.2f times\n", cores, whole[2].throughput, share, limited[1].throughput)
	fmt.Printf("a core of PostgreSQL is saturated at %.0f redemptions a second, the throughput of %.1f cores of replicas\n",
		float64(time.Second)/float64(one.Store), float64(one.CPU)/float64(one.Store))
	b.ReportMetric(limited[1].throughput, "scale")
	b.ReportMetric(0, "ns/op")
}
