package postgres

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"shorepass/session"
	throttle "shorepass/throttle/counting"
)

var _ throttle.CounterStore = (*Store)(nil)

const (
	// maxMarks is how many marks of a bucket are kept: those that end last.
	maxMarks = 64

	// maxCounted bounds what is counted by all replicas. Beyond it what ends
	// first is forgotten, at the next sweep.
	maxCounted = 1_000_000
)

// Marks returns what stands in buckets. The server says how long each mark
// still stays, so that nobody's clock matters.
func (s *Store) Marks(ctx context.Context, buckets []throttle.Mark) (found [][]throttle.Counted, err error) {
	wanted := make([][]byte, len(buckets))
	for i := range buckets {
		wanted[i] = buckets[i][:]
	}
	err = s.read(ctx, 1, func(ctx context.Context) error {
		found = make([][]throttle.Counted, len(buckets))
		rows, err := s.pool.Query(ctx, "SELECT c.bucket, c.mark, c.until - n.now FROM (SELECT "+serverNow+` AS now) n
			JOIN counted c ON c.until > n.now WHERE c.bucket = ANY($1)`, wanted)
		if err != nil {
			return err
		}
		defer rows.Close()
		now := time.Now()
		for rows.Next() {
			var left int64
			var bucket, mark []byte
			if err := rows.Scan(&bucket, &mark, &left); err != nil {
				return err
			}
			m := throttle.Counted{Until: now.Add(time.Duration(left) * time.Millisecond)}
			copy(m.Mark[:], mark)
			for i := range wanted { // one may be asked for twice
				if bytes.Equal(bucket, wanted[i]) {
					found[i] = append(found[i], m)
				}
			}
		}
		return rows.Err()
	})
	return found, err
}

// Count puts marks into buckets, all or none of them, in an order that all
// replicas keep to, so that they never wait for each other in a circle.
func (s *Store) Count(ctx context.Context, counts []throttle.Count) error {
	counts = slices.Clone(counts)
	slices.SortFunc(counts, func(a, b throttle.Count) int {
		if c := bytes.Compare(a.Bucket[:], b.Bucket[:]); c != 0 {
			return c
		}
		return bytes.Compare(a.Mark[:], b.Mark[:])
	})
	var buckets, marks [][]byte
	var lasts []int64
	for i := range counts {
		c := &counts[i]
		last := len(marks) - 1
		if last >= 0 && c.Bucket == counts[i-1].Bucket && c.Mark == counts[i-1].Mark {
			lasts[last] = max(lasts[last], c.For.Milliseconds()) // one statement changes a row once
			continue
		}
		buckets, marks, lasts = append(buckets, c.Bucket[:]), append(marks, c.Mark[:]), append(lasts, c.For.Milliseconds())
	}
	return s.write(ctx, 1, func(ctx context.Context) error {
		b := new(pgx.Batch)
		b.Queue(`
			INSERT INTO counted (bucket, mark, until)
			SELECT n.bucket, n.mark, n.lasts + `+serverNow+` FROM unnest($1::bytea[], $2::bytea[], $3::bigint[]) AS n (bucket, mark, lasts)
			ON CONFLICT (bucket, mark) DO UPDATE SET until = greatest(counted.until, excluded.until)`, buckets, marks, lasts)
		b.Queue(`
			DELETE FROM counted c USING (
				SELECT bucket, mark, row_number() OVER (PARTITION BY bucket ORDER BY until DESC) AS place FROM counted WHERE bucket = ANY($1)
			) o WHERE o.place > $2 AND c.bucket = o.bucket AND c.mark = o.mark`, buckets, maxMarks)
		return s.pool.SendBatch(ctx, b).Close()
	})
}

// Uncount takes a mark out of a bucket.
func (s *Store) Uncount(ctx context.Context, bucket, mark throttle.Mark) error {
	return s.exec(ctx, "DELETE FROM counted WHERE bucket = $1 AND mark = $2", bucket[:], mark[:])
}

// forgetCounted deletes marks that are over, and those that end first where
// there are too many.
func (s *Store) forgetCounted(ctx context.Context, t session.SweepTimes, limit int) (int, error) {
	before := session.Millis(t.Now)
	err := s.read(ctx, slow, func(ctx context.Context) error {
		return s.pool.QueryRow(ctx, "SELECT coalesce(max(until), $1) FROM (SELECT until FROM counted ORDER BY until DESC OFFSET $2 LIMIT 1) beyond WHERE until > $1",
			before, maxCounted).Scan(&before)
	})
	if err != nil {
		return 0, err
	}
	return s.deleted(ctx, `
		WITH chosen AS MATERIALIZED (
			SELECT bucket, mark FROM counted WHERE until <= $1 ORDER BY until LIMIT $2 FOR UPDATE SKIP LOCKED
		)
		DELETE FROM counted c USING chosen o WHERE c.bucket = o.bucket AND c.mark = o.mark`, before, limit)
}
