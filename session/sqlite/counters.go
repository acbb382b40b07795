package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"shorepass/providers"
	"shorepass/session"
)

var _ providers.CounterStore = (*Store)(nil)

const (
	// maxMarks is how many marks of a bucket are read.
	maxMarks = 64

	// maxCounted bounds what is counted. Beyond it what ends first is
	// forgotten, at the next sweep.
	maxCounted = 1_000_000
)

// Marks returns what stands in buckets.
func (s *Store) Marks(ctx context.Context, buckets []providers.Mark) ([][]providers.Counted, error) {
	found := make([][]providers.Counted, len(buckets))
	now := time.Now().UnixMilli()
	for i := range buckets {
		rows, err := s.read.QueryContext(ctx, "SELECT mark, until FROM counted WHERE bucket = ? AND until > ? ORDER BY until DESC LIMIT ?", buckets[i][:], now, maxMarks)
		if err != nil {
			return nil, explain(err)
		}
		type raw struct {
			mark  []byte
			until int64
		}
		all, err := scan(rows, func(r *raw) []any { return []any{&r.mark, &r.until} })
		if err != nil {
			return nil, explain(err)
		}
		for _, r := range all {
			m := providers.Counted{Until: fromMillis(r.until)}
			copy(m.Mark[:], r.mark)
			found[i] = append(found[i], m)
		}
	}
	return found, nil
}

// Count puts marks into buckets.
func (s *Store) Count(ctx context.Context, counts []providers.Count) error {
	now := time.Now()
	return s.inTx(ctx, func(tx *sql.Tx) error {
		for i := range counts {
			c := &counts[i]
			if _, err := tx.ExecContext(ctx, `INSERT INTO counted (bucket, mark, until) VALUES (?, ?, ?)
				ON CONFLICT (bucket, mark) DO UPDATE SET until = max(until, excluded.until)`, c.Bucket[:], c.Mark[:], now.Add(c.For).UnixMilli()); err != nil {
				return err
			}
		}
		return nil
	})
}

// forgetCounted deletes marks that are over, and those that end first where
// there are too many.
func forgetCounted(ctx context.Context, tx *sql.Tx, t session.SweepTimes, limit int) (int, error) {
	before := toMillis(t.Now)
	if err := tx.QueryRowContext(ctx, "SELECT coalesce(max(until), ?1) FROM (SELECT until FROM counted ORDER BY until DESC LIMIT 1 OFFSET ?2) WHERE until > ?1",
		before, maxCounted).Scan(&before); err != nil {
		return 0, fmt.Errorf("count what is counted: %w", err)
	}
	result, err := tx.ExecContext(ctx, "DELETE FROM counted WHERE (bucket, mark) IN (SELECT bucket, mark FROM counted WHERE until <= ? ORDER BY until LIMIT ?)", before, limit)
	if err != nil {
		return 0, fmt.Errorf("forget what is counted: %w", err)
	}
	n, err := result.RowsAffected()
	return int(n), err
}
