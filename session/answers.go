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

// AnswerStore stores answers of providers.
type AnswerStore interface {
	// StoreAnswer writes the answer that the holder of a lease got, and
	// releases the lease. Sessions of the sign-in with a stamp that
	// [SignIn.Adopts] returns get the new stamp. The error is ErrNotFound if
	// the caller no longer holds the lease.
	StoreAnswer(ctx context.Context, s *AnswerUpdate) error
}

// maxUnsaved bounds the buffer of answers that could not be stored.
const maxUnsaved = 1000

// unsavedAnswer is an answer of a provider that is not in the store yet.
type unsavedAnswer struct {
	*AnswerUpdate
	provider string // for the log
}

// answerWriter writes answers to the store, with retry and backoff. What the
// store does not take within the lease goes into a write-behind buffer: a
// rotated refresh token exists nowhere else.
type answerWriter struct {
	store   AnswerStore
	clock   *clock
	log     *slog.Logger
	retries chan struct{} // signals that the buffer has an answer

	mu      sync.Mutex
	unsaved map[int64]unsavedAnswer // by sign-in; at most maxUnsaved
}

func newAnswerWriter(store AnswerStore, clock *clock, log *slog.Logger) *answerWriter {
	return &answerWriter{store: store, clock: clock, log: log, retries: make(chan struct{}, 1), unsaved: make(map[int64]unsavedAnswer)}
}

// save writes an answer of a provider, and retries with exponential backoff
// until the lease expires. After that the answer is buffered until the store is
// back, and is stored unless another replica has asked in the meantime.
func (a *answerWriter) save(ctx context.Context, provider string, s *AnswerUpdate) error {
	for wait := 50 * time.Millisecond; ; wait *= 2 {
		err := a.store.StoreAnswer(ctx, s)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, ErrNotFound):
			a.log.Warn("a provider's answer came after its lease had expired, and is dropped", "provider", provider, "sign_in", s.SignIn)
			return nil
		}
		late := !a.clock.now().Add(wait).Before(s.LeaseUntil)
		if !late {
			select {
			case <-time.After(wait):
				continue
			case <-ctx.Done():
			}
		}
		buffered := a.buffer(unsavedAnswer{s, provider})
		a.log.Error("a provider's answer could not be stored", "provider", provider, "sign_in", s.SignIn, "buffered", buffered, "error", err)
		return unavailable(fmt.Errorf("store a provider's answer: %w", err))
	}
}

// buffer puts an answer into the buffer, and reports whether there was room.
func (a *answerWriter) buffer(s unsavedAnswer) bool {
	a.mu.Lock()
	ok := len(a.unsaved) < maxUnsaved
	if ok {
		a.unsaved[s.SignIn] = s
	}
	a.mu.Unlock()
	wake(a.retries)
	return ok
}

// retry writes the buffered answer of a sign-in, and reports whether there was
// one.
func (a *answerWriter) retry(ctx context.Context, signIn int64) (bool, error) {
	a.mu.Lock()
	s, ok := a.unsaved[signIn]
	a.mu.Unlock()
	if !ok {
		return false, nil
	}
	switch err := a.store.StoreAnswer(ctx, s.AnswerUpdate); {
	case errors.Is(err, ErrNotFound):
		a.log.Warn("a provider's answer came too late, since another replica has asked, and is dropped", "provider", s.provider, "sign_in", s.SignIn)
	case err != nil:
		return true, unavailable(fmt.Errorf("store a provider's answer: %w", err))
	}
	a.mu.Lock()
	delete(a.unsaved, signIn)
	a.mu.Unlock()
	return true, nil
}

// retryAll writes the buffered answers as soon as the store is back. If another
// replica asked first, it would send the provider a refresh token that has been
// replaced.
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

// flush writes the buffered answers at shutdown, after every other task has
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
