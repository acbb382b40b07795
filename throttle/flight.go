package throttle

import (
	"context"
	"fmt"
	"sync"
)

// flights are the single-flight of equal passwords at one account within this
// process, under however many names they come. One that is proved lets the
// others go on at once; until then they wait, since a wrong password is asked
// about once. Between processes the lease of an entry does the same.
type flights struct {
	mu       sync.Mutex
	underWay map[flightKey]*flight // bounded by the logins that the caller has under way
}

type flightKey struct{ account, secret MAC }

// flight is a password under way at an account. Its fields are guarded by
// flights.mu.
type flight struct {
	key   flightKey
	refs  int           // attempts that are part of it
	asked bool          // a provider was asked, by one of them or for another process
	right bool          // it was proved: attempts that come now need not wait
	done  chan struct{} // closed once it was proved, or is over
}

// join returns the flight of a password, of which the attempt is a part from then
// on. Joined says that an equal one was proved; waited, that a provider was asked
// about an equal one meanwhile, which was not.
func (f *flights) join(ctx context.Context, key flightKey) (part *flight, joined, waited bool, err error) {
	for {
		part, right, wait := f.tryJoin(key, joined)
		if !wait {
			return part, right, waited, nil
		}
		select {
		case <-part.done:
		case <-ctx.Done():
			return nil, false, false, fmt.Errorf("wait for the same login: %w", context.Cause(ctx))
		}
		joined = part.right            // does not change once done is closed
		waited = !joined && part.asked // nor does this, unless others join a flight that was proved
	}
}

// tryJoin makes an attempt a part of a flight, unless it must wait. proved says
// that an equal password was proved a moment ago, right the same of the flight.
func (f *flights) tryJoin(key flightKey, proved bool) (part *flight, right, wait bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	part = f.underWay[key]
	if part != nil && !part.right && !proved {
		return part, false, true
	}
	if part == nil {
		part = &flight{key: key, done: make(chan struct{})}
		f.underWay[key] = part
	}
	if proved {
		part.prove()
	}
	part.refs++
	return part, part.right, false
}

// prove wakes all that wait. flights.mu is held.
func (p *flight) prove() {
	if !p.right {
		p.right = true
		close(p.done)
	}
}

// proved notes that the password was proved.
func (f *flights) proved(part *flight) {
	f.mu.Lock()
	defer f.mu.Unlock()
	part.prove()
}

// asked notes that a provider is asked about the password, or was by another
// process while the flight waited.
func (f *flights) asked(part *flight) {
	f.mu.Lock()
	defer f.mu.Unlock()
	part.asked = true
}

// leave ends an attempt's part of a flight.
func (f *flights) leave(part *flight) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if part.refs--; part.refs > 0 {
		return
	}
	if !part.right {
		close(part.done)
	}
	delete(f.underWay, part.key)
}
