package session

import (
	"context"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"time"
)

// CountStore counts sessions, and shares the result between replicas.
type CountStore interface {
	Settings

	// CountSessions returns the number of live sessions by kind. Its cost grows with
	// their number, and no request waits for it.
	CountSessions(ctx context.Context) (map[Kind]int, error)

	// SetSetting is as in [HealthStore].
	SetSetting(ctx context.Context, name string, value []byte) error
}

// sessionCountName is the setting that holds the last count, of any replica.
const sessionCountName = "session_count"

// sessionCount is the number of live sessions at a time.
type sessionCount struct {
	At   time.Time    `json:"at"` // by the store's clock
	Live map[Kind]int `json:"live"`
}

// counter counts live sessions, once in sweepInterval over all replicas however many
// there are: the first whose sweep finds the last count too old counts, and the others
// read its result. Two that sweep at the same moment may both count.
type counter struct {
	store CountStore
	clock *clock
	last  atomic.Pointer[sessionCount] // nil before the first one
}

// maxCountAge is the age from which on a count is too old. It is less than
// sweepInterval, so that the replica that counts goes on to do so.
const maxCountAge = sweepInterval - 30*time.Second

// count reads the last count, or counts anew.
func (c *counter) count(ctx context.Context) error {
	now := c.clock.now()
	body, err := c.store.Setting(ctx, sessionCountName, nil)
	if err != nil {
		return fmt.Errorf("read the number of sessions: %w", err)
	}
	var found sessionCount
	if json.Unmarshal(body, &found) == nil && now.Sub(found.At).Abs() < maxCountAge {
		c.last.Store(&found)
		return nil
	}
	found = sessionCount{At: now}
	if found.Live, err = c.store.CountSessions(ctx); err != nil {
		return fmt.Errorf("count the sessions: %w", err)
	}
	if body, err = json.Marshal(found); err != nil {
		return err
	}
	c.last.Store(&found)
	if err := c.store.SetSetting(ctx, sessionCountName, body); err != nil {
		return fmt.Errorf("store the number of sessions: %w", err)
	}
	return nil
}
