package sqlite

import (
	"context"
	"fmt"
	"strings"
	"time"

	"zombiezen.com/go/sqlite"

	"shorepass/session"
	"shorepass/throttle"
)

var _ throttle.Store = (*Store)(nil)

// windowsPerQuery is how many rows one query reads. An attempt needs no more.
const windowsPerQuery = 4

// windowsQuery has a SELECT per key: for an IN list SQLite would first build a sorted
// table.
var windowsQuery = func() string {
	selects := make([]string, windowsPerQuery)
	for i := range selects {
		selects[i] = fmt.Sprintf("SELECT %d, version, expires, body FROM throttle WHERE key = ?%d", i, i+1)
	}
	return strings.Join(selects, " UNION ALL ")
}()

// ReadWindows implements [throttle.Store].
func (s *Store) ReadWindows(ctx context.Context, keys []throttle.MAC) ([]throttle.Row, time.Time, error) {
	if err := ctx.Err(); err != nil {
		return nil, time.Time{}, err
	}
	rows := make([]throttle.Row, len(keys))
	for begin := 0; begin < len(keys); begin += windowsPerQuery {
		end := min(begin+windowsPerQuery, len(keys))
		err := s.queryByKey(ctx, windowsQuery, func(stmt *sqlite.Stmt) error { return readWindows(stmt, keys[begin:end], rows[begin:end]) })
		if err != nil {
			return nil, time.Time{}, fmt.Errorf("read the throttle: %w", err)
		}
	}
	return rows, time.Now(), nil
}

// readWindows reads the rows of up to windowsPerQuery keys.
func readWindows(stmt *sqlite.Stmt, keys []throttle.MAC, into []throttle.Row) error {
	for i := range windowsPerQuery {
		if i < len(keys) {
			stmt.BindBytes(i+1, keys[i][:])
			into[i].Key = keys[i]
		} else {
			stmt.BindNull(i + 1) // NULL equals no key
		}
	}
	for {
		found, err := stmt.Step()
		if err != nil || !found {
			return err
		}
		row := &into[stmt.ColumnInt(0)]
		row.Version, row.Expires, row.Body = stmt.ColumnInt64(1), session.FromMillis(stmt.ColumnInt64(2)), readBlob(stmt, 3)
	}
}

// SwapWindows implements [throttle.Store].
func (s *Store) SwapWindows(ctx context.Context, changes []throttle.Change) error {
	conflict := false
	err := s.writeOn(ctx, s.throttleWriter, func(conn *sqlite.Conn) error {
		for i := range changes {
			c := &changes[i]
			version, _, err := queryInt(conn, "SELECT version FROM throttle WHERE key = ?", c.Key[:])
			if err != nil {
				return fmt.Errorf("read the throttle: %w", err)
			}
			if conflict = version != c.Old; conflict {
				return nil // no row was written yet
			}
		}
		for i := range changes {
			c := &changes[i]
			if err := exec(conn, `INSERT INTO throttle (key, version, expires, body) VALUES (?, ?, ?, ?)
				ON CONFLICT (key) DO UPDATE SET version = excluded.version, expires = excluded.expires, body = excluded.body`,
				c.Key[:], c.Version, session.Millis(c.Expires), notNil(c.Body)); err != nil {
				return fmt.Errorf("write the throttle: %w", err)
			}
		}
		return nil
	})
	if err == nil && conflict {
		return throttle.ErrConflict
	}
	return err
}

// notNil returns b, or an empty slice for nil, which would be bound as NULL.
func notNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// ScanWindows implements [throttle.Store].
func (s *Store) ScanWindows(ctx context.Context, after throttle.MAC, limit int) (rows []throttle.Row, err error) {
	err = s.read(ctx, func(conn *sqlite.Conn) error {
		return forEachRow(conn, "SELECT key, version, expires, body FROM throttle WHERE key > ? AND length(body) > 0 ORDER BY key LIMIT ? + 0", func(stmt *sqlite.Stmt) error {
			row := throttle.Row{Version: stmt.ColumnInt64(1), Expires: session.FromMillis(stmt.ColumnInt64(2)), Body: readBlob(stmt, 3)}
			err := readBytes(stmt, 0, row.Key[:])
			rows = append(rows, row)
			return err
		}, after[:], limit)
	})
	return rows, err
}

// deleteExpiredWindows deletes expired rows of the throttle, and of more than
// session.MaxWindows those that expire first.
func deleteExpiredWindows(conn *sqlite.Conn, t session.SweepTimes, limit int) (int, error) {
	now := session.Millis(t.Now)
	before, _, err := queryInt(conn, "SELECT coalesce(max(expires), ?1) FROM (SELECT expires FROM throttle ORDER BY expires DESC LIMIT 1 OFFSET ?2) WHERE expires > ?1", now, session.MaxWindows)
	if err != nil {
		return 0, fmt.Errorf("count the rows of the throttle: %w", err)
	}
	n, err := execCount(conn, "DELETE FROM throttle WHERE key IN (SELECT key FROM throttle WHERE expires <= ? ORDER BY expires LIMIT ? + 0)", before, limit)
	if err != nil {
		return 0, fmt.Errorf("delete rows of the throttle: %w", err)
	}
	return n, nil
}
