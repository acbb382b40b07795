package throttle

import (
	"context"
	"fmt"
	"sync"
)

const (
	// maxRunning is how many logins from one address run concurrently. The
	// budget of an address is read before a provider is asked and written
	// after, so that this is also by how many it can be overdrawn.
	maxRunning = 16

	// maxWaiting is how many more wait for their turn. Those beyond it get a
	// [RetryAfter], so that no single address takes all the room for logins.
	maxWaiting = 256
)

// addressQueues are semaphores, one for each address ([Config.addressKey]): they
// limit the logins from it that run concurrently, and queue the others in the
// order in which they came (FIFO). A login with a proof takes no part.
type addressQueues struct {
	mu     sync.Mutex
	queues map[string]*addressQueue // bounded by the logins that the caller runs concurrently
}

type addressQueue struct {
	running int
	waiting []chan struct{} // each closed when its turn has come
}

// tryEnter starts a login, and reports false where others have to go first.
func (q *addressQueues) tryEnter(address string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.start(address)
}

// start starts a login where there is room for it. q.mu is held.
func (q *addressQueues) start(address string) bool {
	own := q.queues[address]
	if own == nil {
		own = new(addressQueue)
		q.queues[address] = own
	}
	if own.running >= maxRunning {
		return false // and only then are there logins that wait
	}
	own.running++
	return true
}

// enter waits for the turn of a login. The error is a [RetryAfter] where too many
// wait, or wraps that of ctx.
func (q *addressQueues) enter(ctx context.Context, address string) error {
	turn, err := q.enqueue(address)
	if turn == nil {
		return err
	}
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
	}
	if !q.dequeue(address, turn) {
		q.leave(address) // the turn came at the same time
	}
	return fmt.Errorf("wait for other logins from the same address: %w", context.Cause(ctx))
}

// enqueue returns a channel that is closed when the turn has come. It is nil where
// the login need not wait, and where the error says that it may not.
func (q *addressQueues) enqueue(address string) (turn chan struct{}, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.start(address) {
		return nil, nil
	}
	own := q.queues[address]
	if len(own.waiting) >= maxWaiting {
		return nil, &RetryAfter{After: retrySoon, Limit: "address"}
	}
	turn = make(chan struct{})
	own.waiting = append(own.waiting, turn)
	return turn, nil
}

// dequeue removes a login that waits, and reports false where its turn has come.
func (q *addressQueues) dequeue(address string, turn chan struct{}) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	own := q.queues[address]
	for i, other := range own.waiting {
		if other == turn {
			own.waiting = append(own.waiting[:i], own.waiting[i+1:]...)
			return true
		}
	}
	return false
}

// leave ends a login that tryEnter or enter started, and starts the next one.
func (q *addressQueues) leave(address string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	own := q.queues[address]
	if len(own.waiting) > 0 {
		close(own.waiting[0]) // and running stays as it is
		own.waiting = own.waiting[1:]
		return
	}
	if own.running--; own.running == 0 {
		delete(q.queues, address)
	}
}
