package sqlite

import (
	"context"
	"time"

	"zombiezen.com/go/sqlite"

	"shorepass/session"
)

// Breakers returns the rows of all circuit breakers.
func (s *Store) Breakers(ctx context.Context) (rows []session.Breaker, err error) {
	err = s.queryByKey(ctx, "SELECT provider, first_tripped, last_tripped, doubted_until FROM breaker", func(stmt *sqlite.Stmt) error {
		for {
			found, err := stmt.Step()
			if err != nil || !found {
				return err
			}
			at := func(column int) time.Time { return session.FromMillis(stmt.ColumnInt64(column)) }
			rows = append(rows, session.Breaker{Provider: stmt.ColumnText(0), FirstTripped: at(1), LastTripped: at(2), DoubtedUntil: at(3)})
		}
	})
	return rows, err
}

// SwapBreaker replaces old by row if old is unchanged (compare-and-swap).
func (s *Store) SwapBreaker(ctx context.Context, old, row session.Breaker) (swapped bool, err error) {
	first, last, until := session.Millis(row.FirstTripped), session.Millis(row.LastTripped), session.Millis(row.DoubtedUntil)
	err = s.write(ctx, func(conn *sqlite.Conn) error {
		var n int
		if old == (session.Breaker{Provider: row.Provider}) {
			n, err = execCount(conn, "INSERT INTO breaker (provider, first_tripped, last_tripped, doubted_until) VALUES (?, ?, ?, ?) ON CONFLICT (provider) DO NOTHING",
				row.Provider, first, last, until)
		} else {
			n, err = execCount(conn, "UPDATE breaker SET first_tripped = ?, last_tripped = ?, doubted_until = ? WHERE provider = ? AND first_tripped = ? AND last_tripped = ? AND doubted_until = ?",
				first, last, until, old.Provider, session.Millis(old.FirstTripped), session.Millis(old.LastTripped), session.Millis(old.DoubtedUntil))
		}
		swapped = n > 0
		return err
	})
	return swapped, err
}

// WriteTally stores the counts of a replica.
func (s *Store) WriteTally(ctx context.Context, provider, replica string, at time.Time, body []byte) error {
	return s.write(ctx, func(conn *sqlite.Conn) error {
		return exec(conn, "INSERT OR REPLACE INTO tally (provider, replica, written, body) VALUES (?, ?, ?, ?)", provider, replica, session.Millis(at), body)
	})
}

// Tallies returns the counts of the other replicas.
func (s *Store) Tallies(ctx context.Context, provider, replica string, since time.Time) (bodies [][]byte, err error) {
	err = s.read(ctx, func(conn *sqlite.Conn) error {
		return forEachRow(conn, "SELECT body FROM tally WHERE provider = ? AND replica <> ? AND written > ?", func(stmt *sqlite.Stmt) error {
			bodies = append(bodies, readBlob(stmt, 0))
			return nil
		}, provider, replica, session.Millis(since))
	})
	return bodies, err
}

// deleteOldTallies deletes counts that are older than any window of the circuit
// breaker.
func deleteOldTallies(conn *sqlite.Conn, t session.SweepTimes, limit int) (int, error) {
	return execCount(conn, "DELETE FROM tally WHERE (provider, replica) IN (SELECT provider, replica FROM tally WHERE written <= ? LIMIT ? + 0)",
		session.Millis(t.DeleteTallies), limit)
}
