package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"strings"

	"shorepass/session"
)

// Renewal returns what is sealed for a person.
func (s *Store) Renewal(ctx context.Context, person int64) (body []byte, err error) {
	err = s.read.QueryRowContext(ctx, "SELECT body FROM renewal WHERE person = ?", person).Scan(&body)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return body, explain(err)
}

const listColumns = findColumns + `, p.provider, p.subject, p.user_name, f.body,
	coalesce(c.address, ''), coalesce(c.id, ''), coalesce(c.agent, ''),
	coalesce(c.last_address, ''), coalesce(c.last_id, ''), coalesce(c.last_agent, ''), coalesce(c.ended_by, '')`

const listColumnCount = findColumnCount + 11

// List returns the sessions that sel selects.
func (s *Store) List(ctx context.Context, sel session.Selector, after session.Hash, limit int) ([]session.Listed, error) {
	where, args, ok := condition(sel)
	if !ok {
		return nil, nil
	}
	rows, err := s.read.QueryContext(ctx, "SELECT "+listColumns+` FROM session s JOIN person p ON p.id = s.person
		JOIN facts f ON f.person = p.id LEFT JOIN client c ON c.hash = s.hash
		WHERE s.hash > ? AND `+where+" ORDER BY s.hash LIMIT ?", append(append([]any{after[:]}, args...), limit)...)
	if err != nil {
		return nil, explain(err)
	}
	defer rows.Close()
	var all []session.Listed
	for rows.Next() {
		one, err := scanListed(rows)
		if err != nil {
			return nil, explain(err)
		}
		all = append(all, one)
	}
	return all, explain(rows.Err())
}

// condition is what sel asks for in SQL, or false if nothing can be that.
func condition(sel session.Selector) (where string, args []any, ok bool) {
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
	if !sel.Before.IsZero() {
		add("s.created < ?", session.Millis(sel.Before))
	}
	switch {
	case sel.Ended:
	case sel.Refused.IsZero():
		add("s.ended = 0")
	default:
		add("(s.ended = 0 OR s.ended > ? AND s."+refused+")", session.Millis(sel.Refused))
	}
	return strings.Join(terms, " AND "), args, true
}

func scanListed(rows *sql.Rows) (session.Listed, error) {
	values, into := make([]driver.Value, listColumnCount), make([]any, listColumnCount)
	for i := range values {
		into[i] = &values[i]
	}
	if err := rows.Scan(into...); err != nil {
		return session.Listed{}, err
	}
	c := listed{values: values}
	row := rowOf(&c)
	const at = findColumnCount
	body, _ := values[at+3].([]byte)
	return session.Listed{
		Row: *row, Provider: c.text(at), Subject: c.text(at + 1),
		Facts:  session.Facts{Version: row.Person.Version, User: c.text(at + 2), Body: body},
		Client: session.ParseClient(c.text(at+4), c.text(at+5), c.text(at+6)),
		Last:   session.ParseClient(c.text(at+7), c.text(at+8), c.text(at+9)),
		By:     c.text(at + 10),
	}, c.err
}

// listed are values as database/sql gives them. It keeps the first error.
type listed struct {
	values []driver.Value
	err    error
}

func (c *listed) number(i int) int64 {
	n, ok := c.values[i].(int64)
	c.check(ok, i)
	return n
}

func (c *listed) text(i int) string {
	t, ok := c.values[i].(string)
	c.check(ok, i)
	return t
}

func (c *listed) bytes(i int, into []byte) {
	b, ok := c.values[i].([]byte)
	c.check(ok && len(b) == len(into), i)
	copy(into, b)
}

func (c *listed) check(ok bool, i int) {
	if !ok && c.err == nil {
		c.err = errDamaged(i)
	}
}

// Sealed returns renewals in the order of their persons.
func (s *Store) Sealed(ctx context.Context, after int64, limit int) ([]session.Sealed, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT r.person, r.token, p.provider, p.mark, r.body FROM renewal r JOIN person p ON p.id = r.person
		WHERE r.person > ? ORDER BY r.person LIMIT ?`, after, limit)
	if err != nil {
		return nil, explain(err)
	}
	all, err := scanSealed(rows)
	return all, explain(err)
}

func scanSealed(rows *sql.Rows) ([]session.Sealed, error) {
	type raw struct {
		session.Sealed
		token []byte
	}
	all, err := scan(rows, func(r *raw) []any { return []any{&r.Person, &r.token, &r.Provider, &r.ProviderID, &r.Body} })
	if err != nil {
		return nil, err
	}
	out := make([]session.Sealed, len(all))
	for i, r := range all {
		copy(r.Token[:], r.token)
		out[i] = r.Sealed
	}
	return out, nil
}

// Reseal replaces a renewal that has not changed since.
func (s *Store) Reseal(ctx context.Context, old session.Sealed, body []byte) error {
	return s.inTx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE renewal SET body = ? WHERE person = ? AND body = ?", body, old.Person, old.Body)
		return err
	})
}

// Setting returns what is kept under a name, or keeps value.
func (s *Store) Setting(ctx context.Context, name string, value []byte) (kept []byte, err error) {
	err = s.inTx(ctx, func(tx *sql.Tx) error {
		if value != nil {
			if _, err := tx.ExecContext(ctx, "INSERT OR IGNORE INTO setting (name, value) VALUES (?, ?)", name, value); err != nil {
				return err
			}
		}
		err := tx.QueryRowContext(ctx, "SELECT value FROM setting WHERE name = ?", name).Scan(&kept)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	return kept, err
}

// SetSetting keeps a value in the place of another.
func (s *Store) SetSetting(ctx context.Context, name string, value []byte) error {
	return s.inTx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT OR REPLACE INTO setting (name, value) VALUES (?, ?)", name, value)
		return err
	})
}
