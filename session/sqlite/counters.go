package sqlite

import (
	"context"
	"fmt"
	"strings"
	"time"

	"zombiezen.com/go/sqlite"

	"shorepass/session"
	throttle "shorepass/throttle/counting"
)

var _ throttle.CounterStore = (*Store)(nil)

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
func (s *Store) Marks(ctx context.Context, buckets []throttle.Mark) ([][]throttle.Counted, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	counted := make([][]throttle.Counted, len(buckets))
	for begin := 0; begin < len(buckets); begin += bucketsAtOnce {
		some := buckets[begin:min(begin+bucketsAtOnce, len(buckets))]
		if err := s.lookUp(ctx, marksQuery, func(stmt *sqlite.Stmt) error { return readMarks(stmt, some, counted[begin:]) }); err != nil {
			return nil, fmt.Errorf("read what is counted: %w", err)
		}
	}
	return counted, nil
}

// readMarks reads what stands in up to bucketsAtOnce buckets.
func readMarks(stmt *sqlite.Stmt, buckets []throttle.Mark, into [][]throttle.Counted) error {
	for i := range bucketsAtOnce {
		if i < len(buckets) {
			stmt.BindBytes(i+1, buckets[i][:])
		} else {
			stmt.BindNull(i + 1) // matches no bucket
		}
	}
	stmt.BindInt64(bucketsAtOnce+1, time.Now().UnixMilli())
	for {
		found, err := stmt.Step()
		if err != nil || !found {
			return err
		}
		i, c := stmt.ColumnInt(0), throttle.Counted{Until: session.FromMillis(stmt.ColumnInt64(2))}
		if err := readBytes(stmt, 1, c.Mark[:]); err != nil {
			return err
		}
		into[i] = append(into[i], c)
	}
}

// Count puts marks into buckets.
func (s *Store) Count(ctx context.Context, counts []throttle.Count) error {
	now := time.Now()
	return s.write(ctx, func(conn *sqlite.Conn) error {
		for i := range counts {
			c := &counts[i]
			if err := exec(conn, `INSERT INTO counted (bucket, mark, until) VALUES (?, ?, ?)
				ON CONFLICT (bucket, mark) DO UPDATE SET until = max(until, excluded.until)`, c.Bucket[:], c.Mark[:], now.Add(c.For).UnixMilli()); err != nil {
				return err
			}
			if err := exec(conn, `DELETE FROM counted WHERE bucket = ?1 AND mark IN (
				SELECT mark FROM counted WHERE bucket = ?1 ORDER BY until DESC LIMIT -1 OFFSET ?2)`, c.Bucket[:], maxMarks); err != nil {
				return err
			}
		}
		return nil
	})
}

// Uncount takes a mark out of a bucket.
func (s *Store) Uncount(ctx context.Context, bucket, mark throttle.Mark) error {
	return s.write(ctx, func(conn *sqlite.Conn) error {
		return exec(conn, "DELETE FROM counted WHERE bucket = ? AND mark = ?", bucket[:], mark[:])
	})
}

// forgetCounted deletes marks that are over, and those that end first where
// there are too many.
func forgetCounted(conn *sqlite.Conn, t session.SweepTimes, limit int) (int, error) {
	now := session.Millis(t.Now)
	before, _, err := queryInt(conn, "SELECT coalesce(max(until), ?1) FROM (SELECT until FROM counted ORDER BY until DESC LIMIT 1 OFFSET ?2) WHERE until > ?1", now, maxCounted)
	if err != nil {
		return 0, fmt.Errorf("count what is counted: %w", err)
	}
	n, err := execCount(conn, "DELETE FROM counted WHERE (bucket, mark) IN (SELECT bucket, mark FROM counted WHERE until <= ? ORDER BY until LIMIT ?)", before, limit)
	if err != nil {
		return 0, fmt.Errorf("forget what is counted: %w", err)
	}
	return n, nil
}
