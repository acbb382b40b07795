package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"shorepass/providers"
	"shorepass/session"
)

var _ providers.CounterStore = (*Store)(nil)

const (
	// maxMarks is how many marks of a bucket are kept: those that end last.
	maxMarks = 64

	// maxCounted bounds what is counted. Beyond it what ends first is
	// forgotten, at the next sweep.
	maxCounted = 1_000_000

	// bucketsAtOnce is how many buckets one question is about: those of a
	// login and of its account.
	bucketsAtOnce = 8
)

// marksQuery looks into each bucket by itself: with an IN it would take twice as
// long, since SQLite makes a sorted table of the list first.
var marksQuery = func() string {
	looks := make([]string, bucketsAtOnce)
	for i := range looks {
		looks[i] = fmt.Sprintf("SELECT %d, mark, until FROM counted WHERE bucket = ?%d AND until > ?%d", i, i+1, bucketsAtOnce+1)
	}
	return strings.Join(looks, " UNION ALL ")
}()

// Marks returns what stands in buckets.
func (s *Store) Marks(ctx context.Context, buckets []providers.Mark) ([][]providers.Counted, error) {
	found := make([][]providers.Counted, len(buckets))
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	err := s.withFinder(ctx, func(f *finder) error {
		begin := 0
		for some := range slices.Chunk(buckets, bucketsAtOnce) {
			if err := f.readMarks(some, found[begin:]); err != nil {
				return fmt.Errorf("read what is counted: %w", err)
			}
			begin += len(some)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}

// readMarks reads what stands in up to bucketsAtOnce buckets.
func (f *finder) readMarks(buckets []providers.Mark, in [][]providers.Counted) error {
	if err := f.marks.ClearBindings(); err != nil { // what is not bound is NULL, which no bucket is
		return err
	}
	for i := range buckets {
		f.marks.BindBytes(i+1, buckets[i][:])
	}
	f.marks.BindInt64(bucketsAtOnce+1, time.Now().UnixMilli())
	c := found{stmt: f.marks}
	for {
		switch there, err := f.marks.Step(); {
		case err != nil:
			return err
		case !there:
			return errors.Join(c.err, f.marks.Reset())
		}
		i, m := c.number(0), providers.Counted{Until: session.FromMillis(c.number(2))}
		c.bytes(1, m.Mark[:])
		in[i] = append(in[i], m)
	}
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
			if _, err := tx.ExecContext(ctx, `DELETE FROM counted WHERE bucket = ?1 AND mark IN (
				SELECT mark FROM counted WHERE bucket = ?1 ORDER BY until DESC LIMIT -1 OFFSET ?2)`, c.Bucket[:], maxMarks); err != nil {
				return err
			}
		}
		return nil
	})
}

// Uncount takes a mark out of a bucket.
func (s *Store) Uncount(ctx context.Context, bucket, mark providers.Mark) error {
	return s.inTx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "DELETE FROM counted WHERE bucket = ? AND mark = ?", bucket[:], mark[:])
		return err
	})
}

// forgetCounted deletes marks that are over, and those that end first where
// there are too many.
func forgetCounted(ctx context.Context, tx *sql.Tx, t session.SweepTimes, limit int) (int, error) {
	before := session.Millis(t.Now)
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
