// Package ctxmutex is a mutex whose wait ends with a context, for locks that are held
// while a peer is asked.
package ctxmutex

import "context"

// Mutex is a mutex. Waiters get it in the order in which they came. Make it with [New].
type Mutex chan struct{}

// New returns an unlocked mutex.
func New() Mutex { return make(Mutex, 1) }

// Lock locks the mutex. The error is that of ctx, and then the mutex is not the caller's.
func (m Mutex) Lock(ctx context.Context) error {
	select {
	case m <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// TryLock locks the mutex if it is unlocked, and reports whether it was.
func (m Mutex) TryLock() bool {
	select {
	case m <- struct{}{}:
		return true
	default:
		return false
	}
}

// Unlock unlocks the mutex.
func (m Mutex) Unlock() { <-m }
