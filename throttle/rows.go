package throttle

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// The rows of an attempt.
const (
	nameRow = iota
	accountRow
	budgetRow
	proofRow
	paddingRow // written with the name's where no account's is
	rowCount
)

// rows are the rows of one attempt, as it read or wrote them last: in the shared
// store or, once that has not answered, in the memory of the process.
type rows struct {
	t       *Throttle
	local   bool
	keys    [rowCount]MAC // zero where the attempt has no such row
	current [rowCount]Row
	now     time.Time // the store's, when they were read
	readAt  time.Time
}

// clock returns the time by the store's clock.
func (r *rows) clock() time.Time { return r.now.Add(time.Since(r.readAt)) }

// used returns the keys of the rows that the attempt has.
func (r *rows) used() (keys []MAC) {
	for _, key := range r.keys {
		if key != (MAC{}) {
			keys = append(keys, key)
		}
	}
	return keys
}

// readWritten reads all rows after the pending writes of this process to them. The
// error is one of ctx.
func (r *rows) readWritten(ctx context.Context) error {
	if err := r.t.writes.wait(ctx, r.used()); err != nil {
		return err
	}
	return r.read(ctx)
}

// read reads all rows. The error is one of ctx.
func (r *rows) read(ctx context.Context) error {
	keys := r.used()
	if len(keys) == 0 { // a token from an unknown address
		r.now, r.readAt = time.Now(), time.Now()
		return nil
	}
	var found []Row
	var now time.Time
	err := r.do(ctx, storeRead, func(ctx context.Context, s Store) (err error) {
		found, now, err = s.ReadWindows(ctx, keys)
		return err
	})
	if err != nil {
		return err
	}
	r.now, r.readAt = now, time.Now()
	for i, key := range r.keys {
		if key != (MAC{}) {
			r.current[i], found = found[0], found[1:]
		}
	}
	return nil
}

// do calls the shared store or, once that does not answer, the memory of the process.
func (r *rows) do(ctx context.Context, op string, call func(context.Context, Store) error) error {
	if !r.local {
		err := r.t.store.do(ctx, op, call)
		if !errors.Is(err, errDown) {
			return err
		}
		r.local = true
	}
	return call(ctx, r.t.memory)
}

// update writes the rows by compare-and-swap: it calls change and swaps the rows, and
// where one of them has changed since it was read, it reads all again and retries. The
// error is that of change, or one of ctx.
func (r *rows) update(ctx context.Context, change func(now time.Time) ([]Change, error)) error {
	for tries := 0; ; tries++ {
		changes, err := change(r.clock())
		if err != nil || len(changes) == 0 {
			return err
		}
		if err := r.swap(ctx, changes); !errors.Is(err, ErrConflict) {
			return err
		}
		if err := backOff(ctx, tries); err != nil {
			return err
		}
		if err := r.read(ctx); err != nil {
			return err
		}
	}
}

// swap writes changes. Where the store stops answering the error is ErrConflict, since
// the rows were not read from the memory of the process.
func (r *rows) swap(ctx context.Context, changes []Change) error {
	local := r.local
	err := r.do(ctx, storeWrite, func(ctx context.Context, s Store) error {
		if r.local != local {
			return ErrConflict
		}
		return s.SwapWindows(ctx, changes)
	})
	if err != nil {
		return err
	}
	for _, c := range changes {
		for i, key := range r.keys {
			if key == c.Key {
				r.current[i] = c.Row
			}
			if i == proofRow && key == c.Key && !local {
				r.t.memory.put(c.Row) // proofs hold while the store does not answer
			}
		}
	}
	return nil
}

// change returns the change that gives a row a body and an expiry.
func (r *rows) change(row int, body []byte, expires time.Time) Change {
	if expires.IsZero() {
		expires = r.clock() // so that the next sweep deletes it
	}
	return Change{Old: r.current[row].Version, Row: Row{Key: r.keys[row], Version: newVersion(), Expires: expires.Truncate(time.Millisecond).UTC(), Body: body}}
}

// newVersion returns a version that no row has had before: 62 random bits. A counter
// would start again after a row was deleted.
func newVersion() int64 { return rand.Int64() | 1 }

// backOff waits before the next try to swap rows: not at all after the first two
// conflicts, then longer each time (exponential backoff with jitter).
func backOff(ctx context.Context, tries int) error {
	if tries < 2 {
		return ctx.Err()
	}
	wait := time.Millisecond << min(tries, 6)
	return sleep(ctx, wait/2+rand.N(wait/2))
}

func sleep(ctx context.Context, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
