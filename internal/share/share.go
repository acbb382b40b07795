// Package share is a semaphore that shares its slots fairly between keys, such
// as the accounts that log in.
//
// A key can hold a quarter of the slots, at least one. The queue is first in,
// first out within a key and round robin between keys, so that a thousand
// requests of one key delay another key's first request by one turn, even with
// a single slot. A key can have a quarter of the waiting requests, at least
// one.
//
//	slots := share.New(16, 1024)
//	release, err := slots.Acquire(ctx, "alice")
//	if err != nil {
//		return err
//	}
//	defer release()
//
// Memory is bounded by the number of slots and waiting requests: a key without
// either is deleted.
package share

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"sync"
)

// ErrBusy means that a request got no slot: the queue is full, in total or for
// the key, or the context ended first.
var ErrBusy = errors.New("no slot is free")

var errFull = errors.New("too many wait already")

// Semaphore is a counting semaphore with a bounded, fair queue. It is safe for
// concurrent use.
type Semaphore struct {
	slots, queue  int // bounds, of all keys
	heldPerKey    int // most slots of one key
	waitingPerKey int // most waiting requests of one key

	mu        sync.Mutex
	free      int                  // slots
	queueRoom int                  // how many more requests can wait
	keys      map[string]*keyState // that hold a slot or wait for one
	eligible  list.List            // of *keyState: the keys that wait and hold fewer than heldPerKey; the next one at the front
}

// keyState is the slots and the waiting requests of a key.
type keyState struct {
	key     string
	held    int
	waiters list.List     // of chan struct{}, each closed when its request gets a slot
	turn    *list.Element // the element in eligible, or nil
}

// New returns a semaphore with that many slots and room for that many waiting
// requests.
func New(slots, waiting int) *Semaphore {
	return &Semaphore{
		slots: slots, queue: waiting,
		heldPerKey: quarter(slots), waitingPerKey: quarter(waiting),
		free: slots, queueRoom: waiting, keys: make(map[string]*keyState),
	}
}

// Stats are gauges of a semaphore.
type Stats struct{ Held, Free, Waiting int }

// Stats returns how many slots are held and free, and how many requests wait.
func (s *Semaphore) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Stats{Held: s.slots - s.free, Free: s.free, Waiting: s.queue - s.queueRoom}
}

func quarter(of int) int { return max(1, of/4) }

// Acquire waits for a slot until ctx ends. The caller must call release once.
// The error wraps [ErrBusy], and the cause of ctx if that ended.
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

// enqueue appends a request to the queue of its key. The channel is closed when
// the request gets a slot.
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

// dispatch gives the free slots to the eligible keys in turn.
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

// reschedule adds a key to the round-robin list or removes it, by its slots and
// waiting requests, and deletes it if it has neither.
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

// cancel removes a waiting request whose context has ended, or releases the
// slot that it got just before.
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
