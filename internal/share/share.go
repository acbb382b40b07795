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
	held    int // of places, by one key at most
	waiting int // by one key at most

	mu       sync.Mutex
	free     int              // places
	room     int              // for more that wait
	keys     map[string]*user // that hold a place or wait for one
	eligible list.List        // of *user: that wait and hold fewer places than they may; the next at the front
}

// user is what one key holds and waits for.
type user struct {
	key     string
	held    int
	waiters list.List     // of chan struct{}, each closed when it is given a place
	turn    *list.Element // in eligible, or nil
}

// New returns a semaphore of so many places, for which so many may wait.
func New(places, waiting int) *Semaphore {
	return &Semaphore{
		held: quarter(places), waiting: quarter(waiting),
		free: places, room: waiting, keys: make(map[string]*user),
	}
}

func quarter(of int) int { return max(1, of/4) }

// Acquire waits for a place until ctx ends. The caller gives it back with
// release, once. The error wraps [ErrBusy], and says why ctx ended if that was it.
func (s *Semaphore) Acquire(ctx context.Context, key string) (release func(), err error) {
	if ctx.Err() != nil {
		return nil, fmt.Errorf("%w: %w", ErrBusy, context.Cause(ctx))
	}
	place, waiter, err := s.enqueue(key)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBusy, err)
	}
	select {
	case <-place:
		return func() { s.release(key) }, nil
	case <-ctx.Done():
		s.leave(key, place, waiter)
		return nil, fmt.Errorf("%w in time: %w", ErrBusy, context.Cause(ctx))
	}
}

// enqueue puts a request behind those of its key, and returns the channel that
// is closed once it has a place.
func (s *Semaphore) enqueue(key string) (place chan struct{}, waiter *list.Element, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.keys[key]
	if u == nil {
		u = &user{key: key}
		s.keys[key] = u
	}
	if atOnce := s.free > 0 && u.held < s.held; !atOnce && (s.room == 0 || u.waiters.Len() == s.waiting) {
		s.settle(u)
		return nil, nil, errFull
	}
	place = make(chan struct{})
	waiter = u.waiters.PushBack(place)
	s.room--
	s.settle(u)
	s.dispatch()
	return place, waiter, nil
}

// dispatch gives the free places away, to each key in turn.
func (s *Semaphore) dispatch() {
	for s.free > 0 && s.eligible.Len() > 0 {
		u := s.eligible.Remove(s.eligible.Front()).(*user)
		u.turn = nil
		place := u.waiters.Remove(u.waiters.Front()).(chan struct{})
		s.room++
		s.free--
		u.held++
		close(place)
		s.settle(u)
	}
}

// settle puts a key into the round, takes it out, or forgets it, as what it
// holds and waits for demands.
func (s *Semaphore) settle(u *user) {
	eligible := u.waiters.Len() > 0 && u.held < s.held
	switch {
	case eligible && u.turn == nil:
		u.turn = s.eligible.PushBack(u)
	case !eligible && u.turn != nil:
		s.eligible.Remove(u.turn)
		u.turn = nil
	}
	if u.held == 0 && u.waiters.Len() == 0 {
		delete(s.keys, u.key)
	}
}

func (s *Semaphore) release(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.keys[key]
	u.held--
	s.free++
	s.settle(u)
	s.dispatch()
}

// leave withdraws a request whose context has ended. One that was given a place
// in that instant gives it back.
func (s *Semaphore) leave(key string, place chan struct{}, waiter *list.Element) {
	s.mu.Lock()
	select {
	case <-place:
		s.mu.Unlock()
		s.release(key)
		return
	default:
	}
	defer s.mu.Unlock()
	u := s.keys[key]
	u.waiters.Remove(waiter)
	s.room++
	s.settle(u)
}
