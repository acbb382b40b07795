package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"
)

// AnswerStore keeps what providers answered.
type AnswerStore interface {
	// StoreAnswer writes what the provider answered to the holder of a lease, which
	// is given up. Sessions of the sign-in whose stamp [SignIn.Adopts] names get
	// the new one. The error is ErrNotFound when the lease is another's by now.
	StoreAnswer(ctx context.Context, s *AnswerUpdate) error
}

// maxUnsaved bounds the answers that wait for a store to come back.
const maxUnsaved = 1000

// answerWriter writes answers to the store, and is a write-behind buffer of
// those that the store could not take: a rotated token is nowhere else.
type answerWriter struct {
	store   AnswerStore
	clock   *clock
	log     *slog.Logger
	retries chan struct{} // has one when there is something unsaved

	mu      sync.Mutex
	unsaved map[int64]AnswerUpdate // by sign-in; at most maxUnsaved
}

func newAnswerWriter(store AnswerStore, clock *clock, log *slog.Logger) *answerWriter {
	return &answerWriter{store: store, clock: clock, log: log, retries: make(chan struct{}, 1), unsaved: make(map[int64]AnswerUpdate)}
}

// save keeps an answer. A store that fails is tried again, with a backoff, while
// the lease lasts; after that the answer waits until the store is back, and is
// kept unless another replica asked before.
func (a *answerWriter) save(ctx context.Context, s *AnswerUpdate) error {
	for wait := 50 * time.Millisecond; ; wait *= 2 {
		err := a.store.StoreAnswer(ctx, s)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, ErrNotFound):
			a.log.Warn("a provider's answer came after its lease had ended, and is dropped", "sign_in", s.SignIn)
			return nil
		}
		late := !a.clock.now().Add(wait).Before(s.Lease)
		if !late {
			select {
			case <-time.After(wait):
				continue
			case <-ctx.Done():
			}
		}
		kept := a.buffer(s)
		a.log.Error("a provider's answer could not be kept in the store", "sign_in", s.SignIn, "kept_in_memory", kept, "error", err)
		return unavailable(fmt.Errorf("keep a provider's answer: %w", err))
	}
}

// buffer keeps an answer in memory, and reports whether there was room.
func (a *answerWriter) buffer(s *AnswerUpdate) bool {
	a.mu.Lock()
	kept := len(a.unsaved) < maxUnsaved
	if kept {
		a.unsaved[s.SignIn] = *s
	}
	a.mu.Unlock()
	wake(a.retries)
	return kept
}

// retry keeps an answer that the store could not take before, and reports
// whether there was one.
func (a *answerWriter) retry(ctx context.Context, signIn int64) (bool, error) {
	a.mu.Lock()
	s, ok := a.unsaved[signIn]
	a.mu.Unlock()
	if !ok {
		return false, nil
	}
	switch err := a.store.StoreAnswer(ctx, &s); {
	case errors.Is(err, ErrNotFound):
		a.log.Warn("a provider's answer came too late, since another replica has asked, and is dropped", "sign_in", s.SignIn)
	case err != nil:
		return true, unavailable(fmt.Errorf("keep a provider's answer: %w", err))
	}
	a.mu.Lock()
	delete(a.unsaved, signIn)
	a.mu.Unlock()
	return true, nil
}

// retryAll keeps what the store could not take before, as soon as it is back:
// another replica that asks first would show the provider a token that was
// rotated away.
func (a *answerWriter) retryAll(ctx context.Context) error {
	a.mu.Lock()
	signIns := slices.Collect(maps.Keys(a.unsaved))
	a.mu.Unlock()
	for _, signIn := range signIns {
		if _, err := a.retry(ctx, signIn); err != nil {
			return err
		}
	}
	return nil
}

// flush tries to keep every answer one last time, after every other task has
// ended.
func (a *answerWriter) flush(ctx context.Context) error {
	var errs []error
	for signIn := range maps.Clone(a.unsaved) {
		if _, err := a.retry(ctx, signIn); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
