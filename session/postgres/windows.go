package postgres

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"shorepass/session"
	"shorepass/throttle"
)

var _ throttle.Store = (*Store)(nil)

// ReadWindows implements [throttle.Store]. Its time is the server's.
func (s *Store) ReadWindows(ctx context.Context, keys []throttle.MAC) (found []throttle.Row, now time.Time, err error) {
	wanted := make([][]byte, len(keys))
	for i := range keys {
		wanted[i] = keys[i][:]
	}
	err = s.read(ctx, 1, func(ctx context.Context) error {
		found = make([]throttle.Row, len(keys))
		for i, key := range keys {
			found[i].Key = key
		}
		rows, err := s.pool.Query(ctx, "SELECT n.now, t.key, t.version, t.expires, t.body FROM (SELECT "+serverNow+` AS now) n
			LEFT JOIN throttle t ON t.key = ANY($1)`, wanted)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var ms int64
			var key, body []byte
			var version, expires *int64 // NULL if no key has a row
			if err := rows.Scan(&ms, &key, &version, &expires, &body); err != nil {
				return err
			}
			now = session.FromMillis(ms)
			for i := range wanted {
				if version != nil && bytes.Equal(key, wanted[i]) {
					found[i].Version, found[i].Expires, found[i].Body = *version, session.FromMillis(*expires), body
				}
			}
		}
		return rows.Err()
	})
	return found, now, err
}

// beginWindows begins a transaction whose commit does not wait for the disk.
const beginWindows = beginQuery + "; SET LOCAL synchronous_commit = off"

// SwapWindows implements [throttle.Store]. It writes the rows in the order of their
// keys, so that replicas cannot deadlock.
func (s *Store) SwapWindows(ctx context.Context, changes []throttle.Change) error {
	changes = slices.Clone(changes)
	slices.SortFunc(changes, func(a, b throttle.Change) int { return bytes.Compare(a.Key[:], b.Key[:]) })
	return s.inTxWith(ctx, 1, beginWindows, func(ctx context.Context, tx pgx.Tx) error {
		b := new(pgx.Batch)
		for i := range changes {
			queueSwap(b, &changes[i])
		}
		return readSwapResults(tx.SendBatch(ctx, b), len(changes))
	})
}

func queueSwap(b *pgx.Batch, c *throttle.Change) {
	args := []any{c.Key[:], c.Version, session.Millis(c.Expires), append([]byte{}, c.Body...)} // never NULL
	if c.Old == 0 {
		b.Queue("INSERT INTO throttle (key, version, expires, body) VALUES ($1, $2, $3, $4) ON CONFLICT (key) DO NOTHING", args...)
		return
	}
	b.Queue("UPDATE throttle SET version = $2, expires = $3, body = $4 WHERE key = $1 AND version = $5", append(args, c.Old)...)
}

// readSwapResults returns throttle.ErrConflict if a change wrote no row, since its
// version was another.
func readSwapResults(results pgx.BatchResults, count int) (err error) {
	defer func() {
		if closed := results.Close(); err == nil {
			err = closed
		}
	}()
	for range count {
		tag, err := results.Exec()
		if err != nil {
			return fmt.Errorf("write the throttle: %w", err)
		}
		if tag.RowsAffected() == 0 {
			return throttle.ErrConflict
		}
	}
	return nil
}

// ScanWindows implements [throttle.Store].
func (s *Store) ScanWindows(ctx context.Context, after throttle.MAC, limit int) (found []throttle.Row, err error) {
	err = s.read(ctx, slowFactor, func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, "SELECT key, version, expires, body FROM throttle WHERE key > $1 AND length(body) > 0 ORDER BY key LIMIT $2", after[:], limit)
		if err != nil {
			return err
		}
		found, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (r throttle.Row, err error) {
			var key []byte
			var expires int64
			err = row.Scan(&key, &r.Version, &expires, &r.Body)
			copy(r.Key[:], key)
			r.Expires = session.FromMillis(expires)
			return r, err
		})
		return err
	})
	return found, err
}

// deleteExpiredWindows deletes expired rows of the throttle, and of more than
// session.MaxWindows those that expire first.
func (s *Store) deleteExpiredWindows(ctx context.Context, t session.SweepTimes, limit int) (int, error) {
	before := session.Millis(t.Now)
	err := s.read(ctx, slowFactor, func(ctx context.Context) error {
		return s.pool.QueryRow(ctx, "SELECT coalesce(max(expires), $1) FROM (SELECT expires FROM throttle ORDER BY expires DESC OFFSET $2 LIMIT 1) beyond WHERE expires > $1",
			before, session.MaxWindows).Scan(&before)
	})
	if err != nil {
		return 0, err
	}
	return s.execCount(ctx, `
		DELETE FROM throttle WHERE key = ANY(ARRAY(
			SELECT key FROM throttle WHERE expires <= $1 ORDER BY expires LIMIT $2 FOR UPDATE SKIP LOCKED)) AND expires <= $1`, before, limit)
}
