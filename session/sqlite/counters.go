package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
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

	// bucketsAtOnce is how many buckets one question is about.
	bucketsAtOnce = 5
)

var marksQuery = "SELECT bucket, mark, until FROM counted WHERE bucket IN (?" + strings.Repeat(", ?", bucketsAtOnce-1) + ") AND until > ?"

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
func (f *finder) readMarks(buckets []providers.Mark, found [][]providers.Counted) error {
	var args [bucketsAtOnce + 1]driver.NamedValue
	for i := range bucketsAtOnce {
		args[i] = driver.NamedValue{Ordinal: i + 1, Value: buckets[min(i, len(buckets)-1)][:]}
	}
	args[bucketsAtOnce] = driver.NamedValue{Ordinal: bucketsAtOnce + 1, Value: time.Now().UnixMilli()}
	rows, err := f.marks.QueryContext(context.Background(), args[:]) // see find
	if err != nil {
		return err
	}
	for {
		values := f.dest[:3]
		switch err := rows.Next(values); {
		case err == io.EOF:
			return rows.Close()
		case err != nil:
			return errors.Join(err, rows.Close())
		}
		c := columns{values: values}
		m := providers.Counted{Until: c.time(2)}
		c.bytes(1, m.Mark[:])
		bucket, _ := values[0].([]byte)
		for i := range buckets { // one may be asked for twice
			if bytes.Equal(bucket, buckets[i][:]) {
				found[i] = append(found[i], m)
			}
		}
		if c.err != nil {
			return errors.Join(c.err, rows.Close())
		}
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
