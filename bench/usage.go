package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// usage is the CPU time and memory that the processes of a target have used.
type usage struct {
	servers, store time.Duration // CPU time
	rss            int64         // of the largest server, bytes
}

func (t target) readUsage() (usage, error) {
	var u usage
	for _, s := range t.servers {
		cpu, err := processCPU(s.pid())
		if err != nil {
			return u, err
		}
		rss, err := processRSS(s.pid())
		if err != nil {
			return u, err
		}
		u.servers, u.rss = u.servers+cpu, max(u.rss, rss)
	}
	if t.store == nil {
		return u, nil
	}
	pids, err := t.store()
	for _, pid := range pids {
		// A process that has ended since t.store listed it used little CPU.
		if cpu, err := processCPU(pid); err == nil {
			u.store += cpu
		}
	}
	return u, err
}

// processCPU returns the user and system time of a process from its CPU clock, which
// is exact; proc(5) rounds it to hundredths of a second.
func processCPU(pid int) (time.Duration, error) {
	const sched = 2                         // CPUCLOCK_SCHED: all of its threads
	clock := int32(^uint32(pid)<<3 | sched) // clock_getcpuclockid(3)
	var now unix.Timespec
	if err := unix.ClockGettime(clock, &now); err != nil {
		return 0, fmt.Errorf("CPU of process %d: %w", pid, err)
	}
	return time.Duration(now.Nano()), nil
}

// processRSS returns the resident set size of a process in bytes (proc(5), status).
func processRSS(pid int) (int64, error) {
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
