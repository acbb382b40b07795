package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"shorepass/session"
)

// queryBytes returns the column of one row, or nil without a row.
func (s *Store) queryBytes(ctx context.Context, query string, args ...any) (body []byte, err error) {
	err = s.read(ctx, 1, func(ctx context.Context) error {
		err := s.pool.QueryRow(ctx, query, args...).Scan(&body)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		return err
	})
	return body, err
}

const (
	listColumns   = findColumns + ", p.provider, p.subject, p.user_name, f.body, " + clientColumns
	personColumns = findColumns + ", p.provider, p.subject, p.user_name, NULL::bytea, " + clientColumns
	clientColumns = `coalesce(c.address, ''), coalesce(c.id, ''), coalesce(c.agent, ''),
	coalesce(c.last_address, ''), coalesce(c.last_id, ''), coalesce(c.last_agent, ''), coalesce(c.ended_by, ''), coalesce(c.label, ''), coalesce(c.made_by, '')`
)

// ListPerson returns the first live and the last ended sessions of a person.
func (s *Store) ListPerson(ctx context.Context, provider, subject string, live, ended int) (all []session.ListedSession, count int, err error) {
	err = s.read(ctx, slowFactor, func(ctx context.Context) error {
		b := new(pgx.Batch)
		b.Queue("SELECT count(*) FROM session s JOIN person p ON p.id = s.person WHERE p.provider = $1 AND p.subject = $2 AND s.ended = 0", text(provider), text(subject)).
			QueryRow(func(row pgx.Row) error { return row.Scan(&count) })
		b.Queue("SELECT "+personColumns+` FROM session s JOIN sign_in i ON i.id = s.sign_in JOIN person p ON p.id = s.person
			LEFT JOIN client c ON c.hash = s.hash WHERE s.hash = ANY(ARRAY(
				(SELECT s.hash FROM session s JOIN person p ON p.id = s.person WHERE p.provider = $1 AND p.subject = $2 AND s.ended = 0 ORDER BY s.kind = 'refresh', s.created DESC LIMIT $3)
				UNION ALL (SELECT s.hash FROM session s JOIN person p ON p.id = s.person WHERE p.provider = $1 AND p.subject = $2 AND s.ended > 0 ORDER BY s.ended DESC LIMIT $4)))`,
			text(provider), text(subject), live, ended).
			Query(func(rows pgx.Rows) (err error) {
				all, err = pgx.CollectRows(rows, scanListed)
				return err
			})
		return s.pool.SendBatch(ctx, b).Close()
	})
	return all, count, err
}

// List returns the sessions that sel selects.
func (s *Store) List(ctx context.Context, sel session.Selector, after session.Hash, limit int) (all []session.ListedSession, err error) {
	where, args, ok := whereClause(sel, after)
	if !ok {
		return nil, nil
	}
	query := "SELECT " + listColumns + ` FROM session s JOIN sign_in i ON i.id = s.sign_in JOIN person p ON p.id = s.person
		JOIN identity f ON f.sign_in = i.id LEFT JOIN client c ON c.hash = s.hash
		WHERE ` + where + fmt.Sprintf(" ORDER BY s.hash LIMIT %d", limit)
	err = s.read(ctx, slowFactor, func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, query, args...)
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, scanListed)
		return err
	})
	return all, err
}

// whereClause returns sel as a SQL expression with its arguments, or false if no
// session can match.
func whereClause(sel session.Selector, after session.Hash) (where string, args []any, ok bool) {
	var terms []string
	add := func(term string, value any) {
		args = append(args, value)
		terms = append(terms, fmt.Sprintf("%s $%d", term, len(args)))
	}
	add("s.hash >", after[:])
	if sel.ID != "" {
		first, last, ok := session.ParseID(sel.ID)
		if !ok {
			return "", nil, false
		}
		add("s.hash >=", first[:])
		add("s.hash <=", last[:])
	}
	for _, equal := range []struct {
		column string
		value  text
	}{
		{"p.user_name", text(sel.User)}, {"p.provider", text(sel.Provider)}, {"p.subject", text(sel.Subject)}, {"s.kind", text(sel.Kind)},
	} {
		if equal.value != "" {
			add(equal.column+" =", equal.value)
		}
	}
	if sel.Group != "" {
		add("0 < position(", sel.GroupText())
		terms[len(terms)-1] += " IN f.body)"
	}
	if sel.SID != "" {
		add("s.sid <> '' AND s.sid =", text(sel.SID))
	}
	if sel.NoSID {
		terms = append(terms, "s.sid = ''")
	}
	if !sel.Before.IsZero() {
		add("s.created <", session.Millis(sel.Before))
	}
	if !sel.Ended {
		terms = append(terms, "s.ended = 0")
	}
	return strings.Join(terms, " AND "), args, true
}

func scanListed(rows pgx.CollectableRow) (session.ListedSession, error) {
	var found scannedRow
	var l session.ListedSession
	var first, last struct{ address, id, agent text }
	var provider, subject, user, by, label, maker text
	err := rows.Scan(append(found.dest(), &provider, &subject, &user, &l.Identity.Body,
		&first.address, &first.id, &first.agent, &last.address, &last.id, &last.agent, &by, &label, &maker)...)
	if err != nil {
		return l, err
	}
	row, err := found.toRow()
	if err != nil {
		return l, err
	}
	l.Row, l.Identity.Version = *row, row.SignIn.Version
	l.Provider, l.Subject, l.Identity.User = string(provider), string(subject), string(user)
	l.By, l.Label, l.MadeBy = string(by), string(label), string(maker)
	l.Client = session.ParseClient(string(first.address), string(first.id), string(first.agent))
	l.Last = session.ParseClient(string(last.address), string(last.id), string(last.agent))
	return l, nil
}

// sealedColumns are the columns of session.SealedToken, without Others.
const sealedColumns = "i.id, p.provider, i.provider_id, p.subject, i.login_id, r.body"

// ListSealed returns providers' refresh tokens in the order of their sign-ins.
func (s *Store) ListSealed(ctx context.Context, after int64, limit int) (all []session.SealedToken, err error) {
	err = s.read(ctx, slowFactor, func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, "SELECT "+sealedColumns+", false FROM provider_token r JOIN sign_in i ON i.id = r.sign_in JOIN person p ON p.id = i.person WHERE r.sign_in > $1 ORDER BY r.sign_in LIMIT $2", after, limit)
		all, err = collectSealed(rows, err)
		return err
	})
	return all, err
}

// collectSealed reads rows of sealedColumns and Others.
func collectSealed(rows pgx.Rows, err error) ([]session.SealedToken, error) {
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (one session.SealedToken, err error) {
		err = row.Scan(&one.SignIn, (*text)(&one.Provider), &one.ProviderID, (*text)(&one.Subject), &one.LoginID, &one.Body, &one.Others)
		return one, err
	})
}

// Reseal replaces a token if it is unchanged (compare-and-swap).
func (s *Store) Reseal(ctx context.Context, old session.SealedToken, body []byte) error {
	return s.exec(ctx, "UPDATE provider_token SET body = $1 WHERE sign_in = $2 AND body = $3", body, old.SignIn, old.Body)
}

// Setting returns the value stored under a name. Where there is none it stores value
// first, unless that is nil.
func (s *Store) Setting(ctx context.Context, name string, value []byte) ([]byte, error) {
	if value != nil {
		// ON CONFLICT DO NOTHING RETURNING would not return the row that another
		// replica inserted concurrently: only the next statement sees it.
		if err := s.exec(ctx, "INSERT INTO setting (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING", name, value); err != nil {
			return nil, err
		}
	}
	return s.queryBytes(ctx, "SELECT value FROM setting WHERE name = $1", name)
}

// CountSessions counts the live sessions, by an index that has no others.
func (s *Store) CountSessions(ctx context.Context) (map[session.Kind]int, error) {
	live := make(map[session.Kind]int)
	err := s.read(ctx, slowFactor, func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, "SELECT kind, count(*) FROM session WHERE ended = 0 GROUP BY kind")
		if err != nil {
			return err
		}
		var kind string
		var n int
		_, err = pgx.ForEachRow(rows, []any{(*text)(&kind), &n}, func() error {
			live[session.Kind(kind)] = n
			return nil
		})
		return err
	})
	return live, err
}

// SetSetting stores a value, over the one before.
func (s *Store) SetSetting(ctx context.Context, name string, value []byte) error {
	return s.exec(ctx, "INSERT INTO setting (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value", name, value)
}
