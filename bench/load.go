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

// target is what is measured: servers, among which the connections are dealt
// out, and what answers behind them.
type target struct {
	servers []*process
	store   func() ([]int, error) // the processes of their store; nil if it has none of its own
}

// figures are what one run measured.
type figures struct {
	Connections int
	Requests    int
	PerSecond   float64
	P50, P99    time.Duration
	CPU         time.Duration // of the servers, a request
	Store       time.Duration // CPU of the store's own processes, a request
	RSS         int64         // of the largest server after the run, bytes
}

// load sends requests over conns connections for the given time, each waiting
// for the answer before it sends the next.
func load(ctx context.Context, t target, scripts func(conn int) script, conns int, span time.Duration) (figures, error) {
	ctx, cancel := context.WithTimeout(ctx, span)
	defer cancel()
	before, err := t.used()
	if err != nil {
		return figures{}, err
	}
	began := time.Now()
	took := make([][]time.Duration, conns)
	errs := make([]error, conns)
	var wg sync.WaitGroup
	for i := range conns {
		wg.Go(func() { took[i], errs[i] = hammer(ctx, t.servers[i%len(t.servers)].addr, scripts(i)) })
	}
	wg.Wait()
	elapsed := time.Since(began)
	for _, err := range errs {
		if err != nil {
			return figures{}, err
		}
	}
	after, err := t.used()
	if err != nil {
		return figures{}, err
	}
	f, err := newFigures(conns, slices.Concat(took...), elapsed, after.servers-before.servers)
	if err != nil {
		return figures{}, err
	}
	f.Store, f.RSS = (after.store-before.store)/time.Duration(f.Requests), after.rss
	return f, nil
}

// newFigures returns the figures of requests that took so long each.
func newFigures(conns int, took []time.Duration, elapsed, cpu time.Duration) (figures, error) {
	if len(took) == 0 {
		return figures{}, fmt.Errorf("no request was answered in %v", elapsed)
	}
	slices.Sort(took)
	return figures{
		Connections: conns, Requests: len(took), PerSecond: float64(len(took)) / elapsed.Seconds(),
		P50: took[len(took)/2], P99: took[len(took)*99/100], CPU: cpu / time.Duration(len(took)),
	}, nil
}

// hammer sends the requests of a script over one connection. It parses as
// little of the answers as it can, since it shares the cores with the server.
func hammer(ctx context.Context, addr string, next script) ([]time.Duration, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	r := bufio.NewReaderSize(conn, 64<<10)
	var took []time.Duration
	for ctx.Err() == nil {
		request := next()
		began := time.Now()
		if _, err := conn.Write(request); err != nil {
			return nil, err
		}
		if err := readAnswer(r); err != nil {
			return nil, err
		}
		took = append(took, time.Since(began))
	}
	return took, nil
}

// readAnswer reads one answer, which must be 200.
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
