// Package latency is a histogram of durations and a counter of failures for each of a
// fixed set of operations, such as the requests to a directory. Packages that ask
// another machine record into one; the caller exports the snapshot.
//
//	requests := latency.New("search", "bind")
//	began := time.Now()
//	err := search()
//	requests.Record("search", began, err != nil)
//
// A recorded operation costs a look-up in a small map and three atomic additions, and
// takes no lock.
package latency

import (
	"fmt"
	"sync/atomic"
	"time"
)

// Bounds are the upper bounds of the buckets of every histogram. They are few, since
// each is a time series for each operation. They tell a cached answer from one of the
// same rack, from a slow one, and from a timeout: a server of a provider has 3 s, and
// all providers together 10 s.
var Bounds = [...]time.Duration{
	time.Millisecond, 5 * time.Millisecond, 25 * time.Millisecond, 100 * time.Millisecond,
	500 * time.Millisecond, time.Second, 3 * time.Second, 10 * time.Second,
}

// Recorder records operations by name. It is safe for concurrent use.
type Recorder struct {
	operations map[string]*operation // constant after New
}

type operation struct {
	buckets  [len(Bounds) + 1]atomic.Uint64 // the last one is beyond all bounds
	sum      atomic.Int64                   // of the durations, in nanoseconds
	failures atomic.Uint64
}

// New returns a recorder of the operations with these names.
func New(names ...string) *Recorder {
	r := &Recorder{operations: make(map[string]*operation, len(names))}
	for _, name := range names {
		r.operations[name] = new(operation)
	}
	return r
}

// Record records an operation that began at a time and ends now. The name must be one
// of New.
func (r *Recorder) Record(name string, began time.Time, failed bool) {
	r.record(name, time.Since(began), failed)
}

func (r *Recorder) record(name string, took time.Duration, failed bool) {
	o := r.operations[name]
	if o == nil {
		panic(fmt.Sprintf("latency: the operation %q is none of the recorder's", name))
	}
	i := 0
	for i < len(Bounds) && took > Bounds[i] {
		i++
	}
	o.buckets[i].Add(1)
	o.sum.Add(int64(took))
	if failed {
		o.failures.Add(1)
	}
}

// Stats is a snapshot of one operation.
type Stats struct {
	Count      uint64              // of operations, failed ones included
	Sum        time.Duration       // of their durations
	Cumulative [len(Bounds)]uint64 // how many took at most the bound of that index
	Failures   uint64
}

// Stats returns a snapshot of each operation by its name, of those that never happened
// too.
func (r *Recorder) Stats() map[string]Stats {
	all := make(map[string]Stats, len(r.operations))
	for name, o := range r.operations {
		all[name] = o.stats()
	}
	return all
}

func (o *operation) stats() Stats {
	s := Stats{Sum: time.Duration(o.sum.Load()), Failures: o.failures.Load()}
	for i := range o.buckets {
		s.Count += o.buckets[i].Load()
		if i < len(Bounds) {
			s.Cumulative[i] = s.Count
		}
	}
	return s
}
