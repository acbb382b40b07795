package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"shorepass/session"
)

// Create keeps a new session.
func (s *Store) Create(ctx context.Context, d *session.Draft, perPerson int) error {
	return s.inTx(ctx, func(tx *sql.Tx) error {
		person, err := upsertPerson(ctx, tx, d)
		if err != nil {
			return fmt.Errorf("keep the person: %w", err)
		}
		if d.Sealed != nil {
			if _, err := tx.ExecContext(ctx, "INSERT OR REPLACE INTO renewal (person, token, body) VALUES (?, ?, ?)", person, d.Hash[:], d.Sealed); err != nil {
				return fmt.Errorf("keep the renewal: %w", err)
			}
		}
		if err := insertSession(ctx, tx, person, d); err != nil {
			return fmt.Errorf("keep the session: %w", err)
		}
		return endBeyond(ctx, tx, d, perPerson)
	})
}

// upsertPerson returns the person's row, changed by what the login found out
// unless the provider has said something later.
func upsertPerson(ctx context.Context, tx *sql.Tx, d *session.Draft) (id int64, err error) {
	own := ""
	if d.Own {
		own = d.Hash.ID()
	}
	checked := session.Millis(d.Person.Checked)
	err = tx.QueryRowContext(ctx, `
		INSERT INTO person (provider, mark, subject, own, user_name, version, stamp, checked, asked, answer, gone, lease)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, 0)
		ON CONFLICT (provider, mark, subject, own) DO UPDATE SET
			user_name = excluded.user_name, version = excluded.version,
			stamp = CASE excluded.stamp WHEN '' THEN stamp ELSE excluded.stamp END,
			checked = excluded.checked, asked = excluded.asked, answer = 0, gone = 0
		WHERE excluded.checked >= person.checked
		RETURNING id`,
		d.Provider, d.ProviderID, d.Subject, own, d.Facts.User, d.Facts.Version[:], d.Person.Stamp, checked, checked).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		err = tx.QueryRowContext(ctx, "SELECT id FROM person WHERE provider = ? AND mark = ? AND subject = ? AND own = ?", d.Provider, d.ProviderID, d.Subject, own).Scan(&id)
		return id, err
	}
	if err == nil {
		err = putFacts(ctx, tx, id, d.Facts)
	}
	return id, err
}

func putFacts(ctx context.Context, tx *sql.Tx, person int64, f session.Facts) error {
	_, err := tx.ExecContext(ctx, "INSERT INTO facts (person, body) VALUES (?, ?) ON CONFLICT (person) DO UPDATE SET body = excluded.body", person, f.Body)
	return err
}

func insertSession(ctx context.Context, tx *sql.Tx, person int64, d *session.Draft) error {
	var upstream any
	if d.Upstream != nil {
		upstream = d.Upstream[:]
		if _, err := tx.ExecContext(ctx, "DELETE FROM claim WHERE upstream = ?", upstream); err != nil {
			return err
		}
	}
	if _, err := tx.ExecContext(ctx, `
		INSERT INTO session (hash, person, kind, method, service, mark, stamp, created, expires, who, upstream)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		d.Hash[:], person, string(d.Kind), string(d.Method), d.Service, d.ProviderID, d.Stamp, session.Millis(d.Created), session.Millis(d.Expires), d.Who, upstream); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, "INSERT INTO client (hash, address, id, agent) VALUES (?, ?, ?, ?)", d.Hash[:], d.Client.AddressText(), d.Client.ID, d.Client.UserAgent)
	return err
}

// endBeyond ends what a person has too many of.
func endBeyond(ctx context.Context, tx *sql.Tx, d *session.Draft, perPerson int) error {
	var count int
	if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM session WHERE who = ? AND ended = 0", d.Who).Scan(&count); err != nil {
		return fmt.Errorf("count the person's sessions: %w", err)
	}
	if count <= perPerson {
		return nil
	}
	_, err := endWhere(ctx, tx, ending{session.ReasonPerPerson, "", d.Created},
		"who = ? AND ended = 0 AND hash <> ? ORDER BY used > 0, created LIMIT ?", d.Who, d.Hash[:], count-perPerson)
	return err
}

// Claim lets one caller ask about a refresh token that has no session yet.
func (s *Store) Claim(ctx context.Context, upstream session.Hash, now, until time.Time) (bool, error) {
	var won bool
	err := s.inTx(ctx, func(tx *sql.Tx) error {
		// Whoever made a session of it in the meantime has given the claim up.
		result, err := tx.ExecContext(ctx, `
			INSERT INTO claim (upstream, until) SELECT ?1, ?3 WHERE NOT EXISTS (SELECT 1 FROM session WHERE upstream = ?1)
			ON CONFLICT (upstream) DO UPDATE SET until = excluded.until WHERE claim.until <= ?2`, upstream[:], session.Millis(now), session.Millis(until))
		won, err = changed(result, err)
		return err
	})
	return won, err
}

// Release gives a claim up.
func (s *Store) Release(ctx context.Context, upstream session.Hash) error {
	return s.inTx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "DELETE FROM claim WHERE upstream = ?", upstream[:])
		return err
	})
}

// changed reports whether a statement changed a row.
func changed(result sql.Result, err error) (bool, error) {
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	return n > 0, err
}
