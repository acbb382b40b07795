package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"shorepass/session"
)

// Facts returns what is known of a person.
func (s *Store) Facts(ctx context.Context, person int64) (session.Facts, error) {
	var f session.Facts
	var version []byte
	var user text
	err := s.read(ctx, 1, func(ctx context.Context) error {
		return noRows(s.pool.QueryRow(ctx, "SELECT p.version, p.user_name, f.body FROM person p JOIN facts f ON f.person = p.id WHERE p.id = $1", person).
			Scan(&version, &user, &f.Body))
	})
	switch {
	case err != nil:
		return session.Facts{}, err
	case copy(f.Version[:], version) != len(f.Version):
		return session.Facts{}, fmt.Errorf("the version of person %d is damaged in the store", person)
	}
	f.User = string(user)
	return f, nil
}

// Renewal returns what is sealed for a person.
func (s *Store) Renewal(ctx context.Context, person int64) ([]byte, error) {
	return s.value(ctx, "SELECT body FROM renewal WHERE person = $1", person)
}

// value reads one value, nil where there is no row.
func (s *Store) value(ctx context.Context, query string, args ...any) (body []byte, err error) {
	err = s.read(ctx, 1, func(ctx context.Context) error {
		err := s.pool.QueryRow(ctx, query, args...).Scan(&body)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		return err
	})
	return body, err
}

const listColumns = findColumns + `, p.provider, p.subject, p.user_name, f.body,
	coalesce(c.address, ''), coalesce(c.id, ''), coalesce(c.agent, ''),
	coalesce(c.last_address, ''), coalesce(c.last_id, ''), coalesce(c.last_agent, ''), coalesce(c.ended_by, '')`

// List returns the sessions that sel selects.
func (s *Store) List(ctx context.Context, sel session.Selector, after session.Hash, limit int) (all []session.Listed, err error) {
	where, args, ok := condition(sel, after)
	if !ok {
		return nil, nil
	}
	query := "SELECT " + listColumns + ` FROM session s JOIN person p ON p.id = s.person
		JOIN facts f ON f.person = p.id LEFT JOIN client c ON c.hash = s.hash
		WHERE ` + where + fmt.Sprintf(" ORDER BY s.hash LIMIT %d", limit)
	err = s.read(ctx, slow, func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, query, args...)
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, scanListed)
		return err
	})
	return all, err
}

// condition is what sel asks for in SQL, or false if nothing can be that.
func condition(sel session.Selector, after session.Hash) (where string, args []any, ok bool) {
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
	if !sel.Before.IsZero() {
		add("s.created <", session.Millis(sel.Before))
	}
	switch {
	case sel.Ended:
	case sel.Refused.IsZero():
		terms = append(terms, "s.ended = 0")
	default:
		args = append(args, reasons(session.Refusals()), session.Millis(sel.Refused))
		terms = append(terms, fmt.Sprintf("(s.ended = 0 OR s.why = ANY($%d) AND s.ended > $%d)", len(args)-1, len(args)))
	}
	return strings.Join(terms, " AND "), args, true
}

func scanListed(rows pgx.CollectableRow) (session.Listed, error) {
	var found scanned
	var l session.Listed
	var first, last struct{ address, id, agent string }
	var subject, user, by text
	err := rows.Scan(append(found.into(), &l.Provider, &subject, &user, &l.Facts.Body,
		&first.address, &first.id, &first.agent, &last.address, &last.id, &last.agent, &by)...)
	if err != nil {
		return l, err
	}
	row, err := found.row()
	if err != nil {
		return l, err
	}
	l.Row, l.Facts.Version = *row, row.Person.Version
	l.Subject, l.Facts.User, l.By = string(subject), string(user), string(by)
	l.Client = session.ParseClient(first.address, first.id, first.agent)
	l.Last = session.ParseClient(last.address, last.id, last.agent)
	return l, nil
}

// Sealed returns renewals in the order of their persons.
func (s *Store) Sealed(ctx context.Context, after int64, limit int) (all []session.Sealed, err error) {
	err = s.read(ctx, slow, func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, `SELECT r.person, r.token, p.provider, p.provider_id, r.body FROM renewal r JOIN person p ON p.id = r.person
			WHERE r.person > $1 ORDER BY r.person LIMIT $2`, after, limit)
		all, err = collectSealed(rows, err)
		return err
	})
	return all, err
}

func collectSealed(rows pgx.Rows, err error) ([]session.Sealed, error) {
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (one session.Sealed, err error) {
		var token []byte
		err = row.Scan(&one.Person, &token, &one.Provider, &one.ProviderID, &one.Body)
		copy(one.Token[:], token)
		return one, err
	})
}

// Reseal replaces a renewal that has not changed since.
func (s *Store) Reseal(ctx context.Context, old session.Sealed, body []byte) error {
	return s.exec(ctx, "UPDATE renewal SET body = $1 WHERE person = $2 AND body = $3", body, old.Person, old.Body)
}

// Setting returns what is kept under a name, or keeps value.
func (s *Store) Setting(ctx context.Context, name string, value []byte) ([]byte, error) {
	if value != nil {
		// What another replica keeps at the same moment is not seen by the
		// statement that gives way to it, only by the next one.
		if err := s.exec(ctx, "INSERT INTO setting (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING", name, value); err != nil {
			return nil, err
		}
	}
	return s.value(ctx, "SELECT value FROM setting WHERE name = $1", name)
}

// SetSetting keeps a value in the place of another.
func (s *Store) SetSetting(ctx context.Context, name string, value []byte) error {
	return s.exec(ctx, "INSERT INTO setting (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value", name, value)
}
