package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// figures are what one run of load measured.
type figures struct {
	Connections int
	Requests    int
	PerSecond   float64
	P50, P99    time.Duration
	CPU         time.Duration // of the server, a request
	RSS         int64         // of the server after the run, bytes
}

// load sends requests over conns connections for the given time, each its own
// request again and again, waiting for the answer before it sends the next, and
// measures the server pid.
func load(ctx context.Context, addr string, request func(conn int) []byte, conns int, span time.Duration, pid int) (figures, error) {
	ctx, cancel := context.WithTimeout(ctx, span)
	defer cancel()
	before, err := cpuOf(pid)
	if err != nil {
		return figures{}, err
	}
	began := time.Now()
	took := make([][]time.Duration, conns)
	errs := make([]error, conns)
	var wg sync.WaitGroup
	for i := range conns {
		wg.Go(func() { took[i], errs[i] = hammer(ctx, addr, request(i)) })
	}
	wg.Wait()
	elapsed := time.Since(began)
	for _, err := range errs {
		if err != nil {
			return figures{}, err
		}
	}
	after, err := cpuOf(pid)
	if err != nil {
		return figures{}, err
	}
	rss, err := rssOf(pid)
	all := slices.Concat(took...)
	slices.Sort(all)
	if len(all) == 0 {
		return figures{}, fmt.Errorf("no request to %s was answered in %v", addr, span)
	}
	return figures{
		Connections: conns, Requests: len(all), PerSecond: float64(len(all)) / elapsed.Seconds(),
		P50: all[len(all)/2], P99: all[len(all)*99/100],
		CPU: (after - before) / time.Duration(len(all)), RSS: rss,
	}, err
}

// hammer sends request again and again over one connection. It parses as
// little of the answer as it can, since it shares the cores with the server.
func hammer(ctx context.Context, addr string, request []byte) ([]time.Duration, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	r := bufio.NewReaderSize(conn, 64<<10)
	var took []time.Duration
	for ctx.Err() == nil {
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

// cpuOf returns the user and system time of a process (proc(5), stat).
func cpuOf(pid int) (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	user, err := strconv.ParseInt(fields[11], 10, 64)
	if err != nil {
		return 0, err
	}
	system, err := strconv.ParseInt(fields[12], 10, 64)
	const tick = 10 * time.Millisecond // USER_HZ is 100 on every Linux that Go runs on
	return time.Duration(user+system) * tick, err
}

// rssOf returns the resident set of a process in bytes (proc(5), status).
func rssOf(pid int) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if value, found := strings.CutPrefix(line, "VmRSS:"); found {
			kib, err := strconv.ParseInt(strings.Fields(value)[0], 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("no VmRSS of process %d", pid)
}
