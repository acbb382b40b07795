package sqlite

import (
	"context"
	"strings"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"shorepass/session"
)

// ProviderToken returns the sealed refresh token of a sign-in.
func (s *Store) ProviderToken(ctx context.Context, signIn int64) (providerToken session.ProviderToken, err error) {
	err = s.read(ctx, func(conn *sqlite.Conn) error {
		return forEachRow(conn, "SELECT i.token_version, i.login_id, r.body FROM sign_in i LEFT JOIN provider_token r ON r.sign_in = i.id WHERE i.id = ?", func(stmt *sqlite.Stmt) error {
			providerToken = session.ProviderToken{TokenVersion: stmt.ColumnInt64(0), LoginID: stmt.ColumnText(1)}
			if !stmt.ColumnIsNull(2) {
				providerToken.Body = readBlob(stmt, 2)
			}
			return nil
		}, signIn)
	})
	return providerToken, err
}

// HoldsProviderToken reports whether the shared sign-in of a person has a refresh token.
func (s *Store) HoldsProviderToken(ctx context.Context, provider, subject string, providerID int64) (held bool, err error) {
	err = s.read(ctx, func(conn *sqlite.Conn) error {
		_, held, err = queryInt(conn, `SELECT i.id FROM person p JOIN sign_in i ON i.person = p.id AND i.provider_id = ? AND i.login_id = ''
			JOIN provider_token r ON r.sign_in = i.id WHERE p.provider = ? AND p.subject = ? AND r.revocable_since = 0`, providerID, provider, subject)
		return err
	})
	return held, err
}

const (
	listColumns   = findColumns + ", p.provider, p.subject, p.user_name, f.body, " + clientColumns
	personColumns = findColumns + ", p.provider, p.subject, p.user_name, NULL, " + clientColumns
	clientColumns = `coalesce(c.address, ''), coalesce(c.id, ''), coalesce(c.agent, ''),
	coalesce(c.last_address, ''), coalesce(c.last_id, ''), coalesce(c.last_agent, ''), coalesce(c.ended_by, ''), coalesce(c.label, ''), coalesce(c.made_by, '')`
)

// ListPerson returns the first live and the last ended sessions of a person.
func (s *Store) ListPerson(ctx context.Context, provider, subject string, live, ended int) (all []session.ListedSession, count int, err error) {
	err = s.read(ctx, func(conn *sqlite.Conn) error {
		person, found, err := queryInt(conn, "SELECT id FROM person WHERE provider = ? AND subject = ?", provider, subject)
		if err != nil || !found {
			return err
		}
		number, _, err := queryInt(conn, "SELECT count(*) FROM session WHERE person = ? AND ended = 0", person)
		if err != nil {
			return err
		}
		count = int(number)
		return forEachRow(conn, "SELECT "+personColumns+` FROM session s JOIN sign_in i ON i.id = s.sign_in JOIN person p ON p.id = s.person
			LEFT JOIN client c ON c.hash = s.hash WHERE s.hash IN (
				SELECT hash FROM (SELECT hash FROM session WHERE person = ?1 AND ended = 0 ORDER BY kind = 'refresh', created DESC LIMIT ?2 + 0)
				UNION ALL SELECT hash FROM (SELECT hash FROM session WHERE person = ?1 AND ended > 0 ORDER BY ended DESC LIMIT ?3 + 0))`,
			func(stmt *sqlite.Stmt) error {
				one, err := readListed(stmt)
				one.Identity.Body = nil
				all = append(all, one)
				return err
			}, person, live, ended)
	})
	return all, count, err
}

// List returns the sessions that sel selects.
func (s *Store) List(ctx context.Context, sel session.Selector, after session.Hash, limit int) (all []session.ListedSession, err error) {
	where, args, ok := whereClause(sel)
	if !ok {
		return nil, nil
	}
	read := func(stmt *sqlite.Stmt) error {
		one, err := readListed(stmt)
		all = append(all, one)
		return err
	}
	args = append(append([]any{after[:]}, args...), limit)
	err = s.read(ctx, func(conn *sqlite.Conn) error {
		return sqlitex.ExecuteTransient(conn, listQuery(where), &sqlitex.ExecOptions{Args: args, ResultFunc: read})
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

func listQuery(where string) string {
	return "SELECT " + listColumns + ` FROM session s JOIN sign_in i ON i.id = s.sign_in JOIN person p ON p.id = s.person
		JOIN identity f ON f.sign_in = i.id LEFT JOIN client c ON c.hash = s.hash
		WHERE s.hash > ? AND ` + where + " ORDER BY s.hash LIMIT ? + 0"
}

// whereClause returns sel as a SQL expression with its arguments, or false if no
// session can match.
func whereClause(sel session.Selector) (where string, args []any, ok bool) {
	terms := []string{"1"}
	add := func(term string, values ...any) {
		terms, args = append(terms, term), append(args, values...)
	}
	if sel.ID != "" {
		first, last, ok := session.ParseID(sel.ID)
		if !ok {
			return "", nil, false
		}
		add("s.hash BETWEEN ? AND ?", first[:], last[:])
	}
	for column, value := range map[string]string{"p.user_name": sel.User, "p.provider": sel.Provider, "p.subject": sel.Subject, "s.kind": string(sel.Kind)} {
		if value != "" {
			add(column+" = ?", value)
		}
	}
	if sel.Group != "" {
		add("instr(f.body, ?) > 0", sel.GroupText())
	}
	if sel.SID != "" {
		add("s.sid <> ''")
		add("s.sid = ?", sel.SID)
	}
	if sel.NoSID {
		add("s.sid = ''")
	}
	if !sel.Before.IsZero() {
		add("s.created < ?", session.Millis(sel.Before))
	}
	if !sel.Ended {
		add("s.ended = 0")
	}
	return strings.Join(terms, " AND "), args, true
}

// readListed reads the columns of listColumns.
func readListed(stmt *sqlite.Stmt) (session.ListedSession, error) {
	row, err := readRow(stmt)
	text := func(column int) string { return stmt.ColumnText(findColumnCount + column) }
	return session.ListedSession{
		Row: *row, Provider: text(0), Subject: text(1),
		Identity: session.StoredIdentity{Version: row.SignIn.Version, User: text(2), Body: readBlob(stmt, findColumnCount+3)},
		Client:   session.ParseClient(text(4), text(5), text(6)),
		Last:     session.ParseClient(text(7), text(8), text(9)),
		By:       text(10), Label: text(11), MadeBy: text(12),
	}, err
}

// ListSealed returns providers' refresh tokens in the order of their sign-ins.
func (s *Store) ListSealed(ctx context.Context, after int64, limit int) (all []session.SealedToken, err error) {
	err = s.read(ctx, func(conn *sqlite.Conn) error {
		all, err = readSealed(conn, "r.sign_in > ? ORDER BY r.sign_in LIMIT ? + 0", after, limit)
		return err
	})
	return all, err
}

// readSealed reads the tokens that where selects.
func readSealed(conn *sqlite.Conn, where string, args ...any) (all []session.SealedToken, err error) {
	err = forEachRow(conn, `SELECT i.id, p.provider, i.provider_id, p.subject, i.login_id, r.body
		FROM provider_token r JOIN sign_in i ON i.id = r.sign_in JOIN person p ON p.id = i.person WHERE `+where, func(stmt *sqlite.Stmt) error {
		all = append(all, session.SealedToken{
			SignIn: stmt.ColumnInt64(0), Provider: stmt.ColumnText(1), ProviderID: stmt.ColumnInt64(2),
			Subject: stmt.ColumnText(3), LoginID: stmt.ColumnText(4), Body: readBlob(stmt, 5),
		})
		return nil
	}, args...)
	return all, err
}

// Reseal replaces a token if it is unchanged (compare-and-swap).
func (s *Store) Reseal(ctx context.Context, old session.SealedToken, body []byte) error {
	return s.write(ctx, func(conn *sqlite.Conn) error {
		return exec(conn, "UPDATE provider_token SET body = ? WHERE sign_in = ? AND body = ?", body, old.SignIn, old.Body)
	})
}

// Setting returns the value stored under a name. Where there is none it stores value
// first, unless that is nil.
func (s *Store) Setting(ctx context.Context, name string, value []byte) (stored []byte, err error) {
	err = s.write(ctx, func(conn *sqlite.Conn) error {
		if value != nil {
			if err := exec(conn, "INSERT OR IGNORE INTO setting (name, value) VALUES (?, ?)", name, value); err != nil {
				return err
			}
		}
		return forEachRow(conn, "SELECT value FROM setting WHERE name = ?", func(stmt *sqlite.Stmt) error {
			stored = readBlob(stmt, 0)
			return nil
		}, name)
	})
	return stored, err
}

// CountSessions counts the live sessions, by an index that has no others.
func (s *Store) CountSessions(ctx context.Context) (map[session.Kind]int, error) {
	live := make(map[session.Kind]int)
	err := s.read(ctx, func(conn *sqlite.Conn) error {
		return forEachRow(conn, "SELECT kind, count(*) FROM session WHERE ended = 0 GROUP BY kind", func(stmt *sqlite.Stmt) error {
			live[session.Kind(stmt.ColumnText(0))] = stmt.ColumnInt(1)
			return nil
		})
	})
	return live, err
}

// SetSetting stores a value, over the one before.
func (s *Store) SetSetting(ctx context.Context, name string, value []byte) error {
	return s.write(ctx, func(conn *sqlite.Conn) error {
		return exec(conn, "INSERT OR REPLACE INTO setting (name, value) VALUES (?, ?)", name, value)
	})
}
