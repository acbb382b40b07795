// Package share is a semaphore whose places are shared fairly between keys, such
// as the accounts that log in.
//
// One key holds at most a quarter of the places, and at least one. Waiting is
// first in, first out within a key and round robin between keys, so that the
// thousand requests of one key delay another key's first by one turn, where
// there is a single place too. One key is at most a quarter of those that wait.
//
//	places := share.New(16, 1024)
//	release, err := places.Acquire(ctx, "alice")
//	if err != nil {
//		return err
//	}
//	defer release()
//
// Memory is bounded by places and waiters: a key that holds nothing and waits for
// nothing is forgotten.
package share

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"sync"
)

// ErrBusy says that a request got no place: too many wait already, in all or under
// its key, or its context ended before.
var ErrBusy = errors.New("no place is free")

var errFull = errors.New("too many wait already")

// Semaphore is a number of places. It is safe for concurrent use.
type Semaphore struct {
	heldPerKey    int // of slots, by one key at most
	waitingPerKey int // by one key at most

	mu        sync.Mutex
	free      int                  // places
	queueRoom int                  // for more that wait
	keys      map[string]*keyState // that hold a place or wait for one
	eligible  list.List            // of *user: that wait and hold fewer places than they may; the next at the front
}

// user is what one key holds and waits for.
type keyState struct {
	key     string
	held    int
	waiters list.List     // of chan struct{}, each closed when it is given a place
	turn    *list.Element // in eligible, or nil
}

// New returns a semaphore of so many places, for which so many may wait.
func New(slots, waiting int) *Semaphore {
	return &Semaphore{
		heldPerKey: quarter(slots), waitingPerKey: quarter(waiting),
		free: slots, queueRoom: waiting, keys: make(map[string]*keyState),
	}
}

func quarter(of int) int { return max(1, of/4) }

// Acquire waits for a place until ctx ends. The caller gives it back with
// release, once. The error wraps [ErrBusy], and says why ctx ended if that was it.
func (s *Semaphore) Acquire(ctx context.Context, key string) (release func(), err error) {
	if ctx.Err() != nil {
		return nil, fmt.Errorf("%w: %w", ErrBusy, context.Cause(ctx))
	}
	slot, waiter, err := s.enqueue(key)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBusy, err)
	}
	select {
	case <-slot:
		return func() { s.release(key) }, nil
	case <-ctx.Done():
		s.cancel(key, slot, waiter)
		return nil, fmt.Errorf("%w in time: %w", ErrBusy, context.Cause(ctx))
	}
}

// enqueue puts a request behind those of its key, and returns the channel that
// is closed once it has a place.
func (s *Semaphore) enqueue(key string) (slot chan struct{}, waiter *list.Element, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.keys[key]
	if k == nil {
		k = &keyState{key: key}
		s.keys[key] = k
	}
	if immediate := s.free > 0 && k.held < s.heldPerKey; !immediate && (s.queueRoom == 0 || k.waiters.Len() == s.waitingPerKey) {
		s.reschedule(k)
		return nil, nil, errFull
	}
	slot = make(chan struct{})
	waiter = k.waiters.PushBack(slot)
	s.queueRoom--
	s.reschedule(k)
	s.dispatch()
	return slot, waiter, nil
}

// dispatch gives the free places away, to each key in turn.
func (s *Semaphore) dispatch() {
	for s.free > 0 && s.eligible.Len() > 0 {
		k := s.eligible.Remove(s.eligible.Front()).(*keyState)
		k.turn = nil
		slot := k.waiters.Remove(k.waiters.Front()).(chan struct{})
		s.queueRoom++
		s.free--
		k.held++
		close(slot)
		s.reschedule(k)
	}
}

// settle puts a key into the round, takes it out, or forgets it, as what it
// holds and waits for demands.
func (s *Semaphore) reschedule(k *keyState) {
	eligible := k.waiters.Len() > 0 && k.held < s.heldPerKey
	switch {
	case eligible && k.turn == nil:
		k.turn = s.eligible.PushBack(k)
	case !eligible && k.turn != nil:
		s.eligible.Remove(k.turn)
		k.turn = nil
	}
	if k.held == 0 && k.waiters.Len() == 0 {
		delete(s.keys, k.key)
	}
}

func (s *Semaphore) release(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.keys[key]
	k.held--
	s.free++
	s.reschedule(k)
	s.dispatch()
}

// leave withdraws a request whose context has ended. One that was given a place
// in that instant gives it back.
func (s *Semaphore) cancel(key string, slot chan struct{}, waiter *list.Element) {
	s.mu.Lock()
	select {
	case <-slot:
		s.mu.Unlock()
		s.release(key)
		return
	default:
	}
	defer s.mu.Unlock()
	k := s.keys[key]
	k.waiters.Remove(waiter)
	s.queueRoom++
	s.reschedule(k)
}
