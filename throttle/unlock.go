package throttle

import (
	"context"
	"errors"
	"fmt"
)

// scanPage is how many rows Unlock reads in one query.
const scanPage = 5000

// Unlock empties the window of a login name ([Guess.Name]) and the account windows
// that have an entry made under it, and returns how many it emptied. Refusals that
// other processes cache expire within 30 seconds.
//
// It scans all windows: an index of names would cost every login a write.
func (t *Throttle) Unlock(ctx context.Context, name string) (int, error) {
	key := t.hasher.MAC("name", name)
	t.refusals.forget(func(r refusal) bool { return r.name == key })
	if _, err := unlock(ctx, t.memory, key); err != nil {
		return 0, err
	}
	return unlock(ctx, t.store.store, key)
}

func unlock(ctx context.Context, s Store, name MAC) (emptied int, err error) {
	for after := (MAC{}); ; {
		page, err := s.ScanWindows(ctx, after, scanPage)
		if err != nil {
			return emptied, fmt.Errorf("read the windows: %w", err)
		}
		for _, row := range page {
			if !hasEntryOf(row, name) {
				continue
			}
			wasLive, err := empty(ctx, s, row.Key, name)
			if err != nil {
				return emptied, fmt.Errorf("empty a window: %w", err)
			}
			if wasLive {
				emptied++
			}
		}
		if len(page) < scanPage {
			return emptied, nil
		}
		after = page[len(page)-1].Key
	}
}

// hasEntryOf reports whether a row is a window with an entry of a login name.
func hasEntryOf(row Row, name MAC) bool {
	if len(row.Body) == 0 || row.Body[0] != windowBody {
		return false
	}
	w, err := decodeWindow(row.Body)
	if err != nil {
		return false
	}
	for i := range w.entries {
		if w.entries[i].name == name {
			return true
		}
	}
	return false
}

// empty empties a window that has an entry of a login name, and reports whether
// it had not expired.
func empty(ctx context.Context, s Store, key, name MAC) (bool, error) {
	for tries := 0; ; tries++ {
		found, now, err := s.ReadWindows(ctx, []MAC{key})
		if err != nil {
			return false, err
		}
		row := found[0]
		if !hasEntryOf(row, name) {
			return false, nil
		}
		err = s.SwapWindows(ctx, []Change{{Old: row.Version, Row: Row{Key: key, Version: newVersion(), Expires: now}}})
		switch {
		case err == nil:
			return now.Before(row.Expires), nil
		case !errors.Is(err, ErrConflict):
			return false, err
		}
		if err := backOff(ctx, tries); err != nil {
			return false, err
		}
	}
}
