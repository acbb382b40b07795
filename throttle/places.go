package throttle

import (
	"context"
	"fmt"
	"sync"
)

const (
	// placeAtOnce is how many logins from one place are tried at once. The
	// budget of an address is read before a provider is asked and written
	// after, so that this is also by how many it can be overdrawn.
	placeAtOnce = 16

	// placeWaits is how many more wait for their turn. Those beyond it get a
	// [RetryAfter], so that no single place takes all the room for logins.
	placeWaits = 256
)

// places are semaphores, one for each place: they limit the logins from it at
// once, and queue the others in the order in which they came (FIFO). A login with
// a proof takes no part.
type places struct {
	mu       sync.Mutex
	underWay map[string]*place // bounded by the logins that the caller has under way at once
}

type place struct {
	inside  int
	waiting []chan struct{} // each closed when its turn has come
}

// tryEnter lets a login through unless others have to go first.
func (p *places) tryEnter(at string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.hasRoom(at)
}

// hasRoom lets a login through where that is possible. p.mu is held.
func (p *places) hasRoom(at string) bool {
	here := p.underWay[at]
	if here == nil {
		here = new(place)
		p.underWay[at] = here
	}
	if here.inside >= placeAtOnce {
		return false // and only then is there a queue
	}
	here.inside++
	return true
}

// enter waits for its turn. The error is a [RetryAfter] where too many wait.
func (p *places) enter(ctx context.Context, at string) error {
	turn, err := p.queue(at)
	if turn == nil {
		return err
	}
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
	}
	if !p.giveUp(at, turn) {
		p.leave(at) // the turn came at the same time
	}
	return fmt.Errorf("wait for other logins from the same address: %w", context.Cause(ctx))
}

// queue returns what is closed when the turn has come, or nil where that is at
// once or never.
func (p *places) queue(at string) (chan struct{}, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.hasRoom(at) {
		return nil, nil
	}
	here := p.underWay[at]
	if len(here.waiting) >= placeWaits {
		return nil, &RetryAfter{After: retrySoon, Limit: "address"}
	}
	turn := make(chan struct{})
	here.waiting = append(here.waiting, turn)
	return turn, nil
}

// giveUp reports whether turn had not come, and takes it out of those waiting.
func (p *places) giveUp(at string, turn chan struct{}) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	here := p.underWay[at]
	for i, other := range here.waiting {
		if other == turn {
			here.waiting = append(here.waiting[:i], here.waiting[i+1:]...)
			return true
		}
	}
	return false
}

// leave ends what tryEnter or enter began, and lets the next one through.
func (p *places) leave(at string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	here := p.underWay[at]
	if len(here.waiting) > 0 {
		close(here.waiting[0]) // it takes the slot over
		here.waiting = here.waiting[1:]
		return
	}
	if here.inside--; here.inside == 0 {
		delete(p.underWay, at)
	}
}
