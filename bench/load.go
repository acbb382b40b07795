package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// target is what a run measures: servers, over which the connections are spread, and
// the processes of their store.
type target struct {
	servers []*process
	store   func() ([]int, error) // returns process ids; nil for a store in the server's process
}

// metrics are the measurements of one run.
type metrics struct {
	Connections int
	Requests    int
	PerSecond   float64
	P50, P99    time.Duration
	CPU         time.Duration // of the servers, per request
	Store       time.Duration // CPU of the store's processes, per request
	RSS         int64         // of the largest server after the run, bytes
}

// load measures a target under closed-loop load: each of conns connections sends its
// next request when the previous one is answered.
func load(ctx context.Context, t target, newGenerator func(conn int) generator, conns int, duration time.Duration) (metrics, error) {
	ctx, cancel := context.WithTimeout(ctx, duration)
	defer cancel()
	before, err := t.readUsage()
	if err != nil {
		return metrics{}, err
	}
	began := time.Now()
	latencies := make([][]time.Duration, conns)
	errs := make([]error, conns)
	var wg sync.WaitGroup
	for i := range conns {
		wg.Go(func() { latencies[i], errs[i] = sendRequests(ctx, t.servers[i%len(t.servers)].addr, newGenerator(i)) })
	}
	wg.Wait()
	elapsed := time.Since(began)
	for _, err := range errs {
		if err != nil {
			return metrics{}, err
		}
	}
	after, err := t.readUsage()
	if err != nil {
		return metrics{}, err
	}
	m, err := newMetrics(conns, slices.Concat(latencies...), elapsed, after.servers-before.servers)
	if err != nil {
		return metrics{}, err
	}
	m.Store, m.RSS = (after.store-before.store)/time.Duration(m.Requests), after.rss
	return m, nil
}

// newMetrics computes throughput, percentiles and CPU per request of one run.
func newMetrics(conns int, latencies []time.Duration, elapsed, cpu time.Duration) (metrics, error) {
	if len(latencies) == 0 {
		return metrics{}, fmt.Errorf("no request was answered in %v", elapsed)
	}
	slices.Sort(latencies)
	return metrics{
		Connections: conns, Requests: len(latencies), PerSecond: float64(len(latencies)) / elapsed.Seconds(),
		P50: latencies[len(latencies)/2], P99: latencies[len(latencies)*99/100], CPU: cpu / time.Duration(len(latencies)),
	}, nil
}

// sendRequests sends requests over one connection until ctx is done, and returns their
// latencies. It parses little of the answers, because it shares the cores with the
// server.
func sendRequests(ctx context.Context, addr string, next generator) ([]time.Duration, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	r := bufio.NewReaderSize(conn, 64<<10)
	var latencies []time.Duration
	for ctx.Err() == nil {
		request := next()
		began := time.Now()
		if _, err := conn.Write(request); err != nil {
			return nil, err
		}
		if err := readAnswer(r); err != nil {
			return nil, err
		}
		latencies = append(latencies, time.Since(began))
	}
	return latencies, nil
}

// readAnswer reads one answer. Any status but 200 is an error.
func readAnswer(r *bufio.Reader) error {
	status, err := r.ReadSlice('\n')
	if err != nil {
		return err
	}
	ok := bytes.HasPrefix(status, []byte("HTTP/1.1 200"))
	first := string(bytes.TrimSpace(status))
	length := -1
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			break
		}
		if name, value, found := bytes.Cut(line, []byte(": ")); found && strings.EqualFold(string(name), "Content-Length") {
			if length, err = strconv.Atoi(string(value)); err != nil {
				return err
			}
		}
	}
	if length < 0 {
		return fmt.Errorf("%s: an answer without a length", first)
	}
	if ok {
		_, err = r.Discard(length)
		return err
	}
	body, err := io.ReadAll(io.LimitReader(r, int64(length)))
	return fmt.Errorf("%s: %s (%v)", first, body, err)
}
