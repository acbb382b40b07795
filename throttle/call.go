package throttle

import (
	"context"
	"fmt"
	"sync"
)

// calls are the single-flight of equal passwords at one account within this
// process, under however many names they come. A wrong password is sent once, so
// that equal ones wait while the first is being proved; once it was proved they
// need no longer wait, and are sent concurrently. Between processes the lease of an
// entry does the same.
type calls struct {
	mu    sync.Mutex
	calls map[callKey]*call // bounded by the logins that the caller runs concurrently
}

type callKey struct{ account, secret MAC }

// call is a password that attempts are having proved at an account. Its fields
// are guarded by calls.mu.
type call struct {
	key    callKey
	refs   int           // attempts in it
	asked  bool          // a provider was asked, by one of them or for another process
	proved bool          // attempts that join now need not wait
	done   chan struct{} // closed when the password was proved, else when the last attempt leaves
}

// join adds an attempt to the call of its password. Where an equal password is
// being proved, join waits for the answer first: equalProved says that it was right,
// waited that a provider was asked about it and did not prove it. The caller leaves
// the call.
func (c *calls) join(ctx context.Context, key callKey) (own *call, equalProved, waited bool, err error) {
	for {
		own, proved, wait := c.tryJoin(key, equalProved)
		if !wait {
			return own, proved, waited, nil
		}
		select {
		case <-own.done:
		case <-ctx.Done():
			return nil, false, false, fmt.Errorf("wait for the same login: %w", context.Cause(ctx))
		}
		equalProved = own.proved           // final once done is closed
		waited = !equalProved && own.asked // final too: no attempt joins a call that ended unproved
	}
}

// tryJoin adds an attempt to the call of key, or returns the call to wait for.
// equalProved says that an equal password was proved in a call before.
func (c *calls) tryJoin(key callKey, equalProved bool) (own *call, proved, wait bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	own = c.calls[key]
	if own != nil && !own.proved && !equalProved {
		return own, false, true
	}
	if own == nil {
		own = &call{key: key, done: make(chan struct{})}
		c.calls[key] = own
	}
	if equalProved {
		own.setProved()
	}
	own.refs++
	return own, own.proved, false
}

// setProved wakes the attempts that wait. calls.mu is held.
func (c *call) setProved() {
	if !c.proved {
		c.proved = true
		close(c.done)
	}
}

// setProved records that the password of a call was proved.
func (c *calls) setProved(own *call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	own.setProved()
}

// setAsked records that a provider is asked about the password of a call, or was
// by another process while the call waited.
func (c *calls) setAsked(own *call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	own.asked = true
}

// leave removes an attempt from its call.
func (c *calls) leave(own *call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if own.refs--; own.refs > 0 {
		return
	}
	if !own.proved {
		close(own.done)
	}
	delete(c.calls, own.key)
}
