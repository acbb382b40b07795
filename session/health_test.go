package session

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// smallStore is a HealthStore with this much room for one value, in bytes.
type smallStore struct {
	room   int
	writes int
}

func (s *smallStore) Ping(context.Context) error { return nil }

func (s *smallStore) SetSetting(_ context.Context, _ string, value []byte) error {
	s.writes++
	if len(value) > s.room {
		return ErrFull
	}
	return nil
}

// TestHealthRecovers (F7): a store that was full is healthy within two seconds after
// there is room, without a login. As long as there is room for small rows alone it is not.
func TestHealthRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &smallStore{room: 1 << 20}
		h := &health{store: store, replica: "one"}
		healthy := func(want bool) {
			t.Helper()
			if err := h.check(t.Context()); (err == nil) != want {
				t.Errorf("check = %v, want healthy: %v", err, want)
			}
		}
		for range 100 {
			healthy(true)
		}
		if store.writes != 1 {
			t.Errorf("%d test writes at the same time, want 1", store.writes)
		}
		store.room = 100
		h.recordCreate(errors.Join(errors.New("a session"), ErrFull))
		for range 120 {
			healthy(false)
			time.Sleep(500 * time.Millisecond)
		}
		if store.writes > 62 {
			t.Errorf("%d test writes in a minute, want one a second at most", store.writes)
		}
		store.room = 1 << 20
		time.Sleep(healthRetryInterval)
		healthy(true)
		store.room = 0
		time.Sleep(healthWriteInterval)
		healthy(false)
		store.room = 1 << 20
		time.Sleep(healthRetryInterval)
		healthy(true)
		h.recordCreate(ErrFull)
		h.recordCreate(nil) // a login was stored meanwhile
		healthy(true)
	})
}
