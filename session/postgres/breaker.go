package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"shorepass/session"
)

// Breakers returns the rows of all circuit breakers.
func (s *Store) Breakers(ctx context.Context) (all []session.Breaker, err error) {
	err = s.read(ctx, 1, func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, "SELECT provider, first_tripped, last_tripped, doubted_until FROM breaker")
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, scanBreaker)
		return err
	})
	return all, err
}

func scanBreaker(row pgx.CollectableRow) (b session.Breaker, err error) {
	var first, last, until int64
	err = row.Scan((*text)(&b.Provider), &first, &last, &until)
	b.FirstTripped, b.LastTripped, b.DoubtedUntil = session.FromMillis(first), session.FromMillis(last), session.FromMillis(until)
	return b, err
}

// SwapBreaker replaces old by row if old is unchanged (compare-and-swap).
func (s *Store) SwapBreaker(ctx context.Context, old, row session.Breaker) (swapped bool, err error) {
	query := "INSERT INTO breaker (provider, first_tripped, last_tripped, doubted_until) VALUES ($1, $2, $3, $4) ON CONFLICT (provider) DO NOTHING"
	args := []any{text(row.Provider), session.Millis(row.FirstTripped), session.Millis(row.LastTripped), session.Millis(row.DoubtedUntil)}
	if old != (session.Breaker{Provider: row.Provider}) {
		query = "UPDATE breaker SET first_tripped = $2, last_tripped = $3, doubted_until = $4 WHERE provider = $1 AND first_tripped = $5 AND last_tripped = $6 AND doubted_until = $7"
		args = append(args, session.Millis(old.FirstTripped), session.Millis(old.LastTripped), session.Millis(old.DoubtedUntil))
	}
	err = s.write(ctx, 1, func(ctx context.Context) error {
		tag, err := s.pool.Exec(ctx, query, args...)
		swapped = err == nil && tag.RowsAffected() > 0
		return err
	})
	return swapped, err
}

// WriteTally stores the counts of a replica.
func (s *Store) WriteTally(ctx context.Context, provider, replica string, at time.Time, body []byte) error {
	return s.exec(ctx, `
		INSERT INTO tally (provider, replica, written, body) VALUES ($1, $2, $3, $4)
		ON CONFLICT (provider, replica) DO UPDATE SET written = excluded.written, body = excluded.body`, text(provider), replica, session.Millis(at), body)
}

// Tallies returns the counts of the other replicas.
func (s *Store) Tallies(ctx context.Context, provider, replica string, since time.Time) (bodies [][]byte, err error) {
	err = s.read(ctx, 1, func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, "SELECT body FROM tally WHERE provider = $1 AND replica <> $2 AND written > $3", text(provider), replica, session.Millis(since))
		if err != nil {
			return err
		}
		bodies, err = pgx.CollectRows(rows, pgx.RowTo[[]byte])
		return err
	})
	return bodies, err
}

// deleteOldTallies deletes counts that are older than any window of the circuit
// breaker.
func (s *Store) deleteOldTallies(ctx context.Context, t session.SweepTimes, limit int) (int, error) {
	return s.execCount(ctx, `
		WITH old AS MATERIALIZED (SELECT provider, replica FROM tally WHERE written <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED)
		DELETE FROM tally t USING old o WHERE t.provider = o.provider AND t.replica = o.replica`, session.Millis(t.DeleteTallies), limit)
}
