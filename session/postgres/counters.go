package postgres

import (
	"bytes"
	"context"
	"slices"
	"time"

	"shorepass/providers"
	"shorepass/session"
)

var _ providers.CounterStore = (*Store)(nil)

const (
	// maxMarks is how many marks of a bucket are read.
	maxMarks = 64

	// maxCounted bounds what is counted by all replicas. Beyond it what ends
	// first is forgotten, at the next sweep.
	maxCounted = 1_000_000
)

// Marks returns what stands in buckets. The server says how long each mark
// still stays, so that nobody's clock matters.
func (s *Store) Marks(ctx context.Context, buckets []providers.Mark) (found [][]providers.Counted, err error) {
	wanted := make([][]byte, len(buckets))
	for i := range buckets {
		wanted[i] = buckets[i][:]
	}
	err = s.read(ctx, 1, func(ctx context.Context) error {
		found = make([][]providers.Counted, len(buckets))
		rows, err := s.pool.Query(ctx, `
			SELECT b.place, c.mark, c.until - n.now
			FROM (SELECT `+serverNow+` AS now) n
			CROSS JOIN unnest($1::bytea[]) WITH ORDINALITY AS b (bucket, place)
			CROSS JOIN LATERAL (
				SELECT mark, until FROM counted WHERE counted.bucket = b.bucket AND counted.until > n.now ORDER BY until DESC LIMIT $2
			) c`, wanted, maxMarks)
		if err != nil {
			return err
		}
		defer rows.Close()
		now := time.Now()
		for rows.Next() {
			var place, left int64
			var mark []byte
			if err := rows.Scan(&place, &mark, &left); err != nil {
				return err
			}
			m := providers.Counted{Until: now.Add(time.Duration(left) * time.Millisecond)}
			copy(m.Mark[:], mark)
			found[place-1] = append(found[place-1], m)
		}
		return rows.Err()
	})
	return found, err
}

// Count puts marks into buckets, in one statement and in an order that all
// replicas keep to, so that they never wait for each other in a circle.
func (s *Store) Count(ctx context.Context, counts []providers.Count) error {
	counts = slices.Clone(counts)
	slices.SortFunc(counts, func(a, b providers.Count) int {
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
	return s.exec(ctx, `
		INSERT INTO counted (bucket, mark, until)
		SELECT n.bucket, n.mark, n.lasts + `+serverNow+` FROM unnest($1::bytea[], $2::bytea[], $3::bigint[]) AS n (bucket, mark, lasts)
		ON CONFLICT (bucket, mark) DO UPDATE SET until = greatest(counted.until, excluded.until)`, buckets, marks, lasts)
}

// forgetCounted deletes marks that are over, and those that end first where
// there are too many.
func (s *Store) forgetCounted(ctx context.Context, t session.SweepTimes, limit int) (int, error) {
	before := toMillis(t.Now)
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
