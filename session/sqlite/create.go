package sqlite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"zombiezen.com/go/sqlite"

	"shorepass/session"
)

// Create keeps a new session.
func (s *Store) Create(ctx context.Context, d *session.Draft, perPerson int) error {
	return s.write(ctx, func(conn *sqlite.Conn) error {
		person, err := upsertPerson(conn, d)
		if err != nil {
			return fmt.Errorf("keep the person: %w", err)
		}
		if d.Sealed != nil {
			if err := exec(conn, "INSERT OR REPLACE INTO renewal (person, token, body) VALUES (?, ?, ?)", person, d.Hash[:], d.Sealed); err != nil {
				return fmt.Errorf("keep the renewal: %w", err)
			}
		}
		if err := insertSession(conn, person, d); err != nil {
			return fmt.Errorf("keep the session: %w", err)
		}
		return endBeyond(conn, d, perPerson)
	})
}

// upsertPerson writes what the login changes of the person's row, and returns its
// id.
func upsertPerson(conn *sqlite.Conn, d *session.Draft) (id int64, err error) {
	own := ""
	if d.Own {
		own = d.Hash.ID()
	}
	was, err := readPerson(conn, "provider = ? AND provider_id = ? AND subject = ? AND own = ?", d.Provider, d.ProviderID, d.Subject, own)
	switch {
	case errors.Is(err, session.ErrNotFound):
		return insertPerson(conn, d, own, d.Next(session.Person{}))
	case err != nil:
		return 0, err
	}
	if p := d.Next(was); p != was {
		err = writePerson(conn, p, &d.Facts)
	}
	return was.ID, err
}

func insertPerson(conn *sqlite.Conn, d *session.Draft, own string, p session.Person) (id int64, err error) {
	if err := exec(conn, `
		INSERT INTO person (provider, provider_id, subject, own, user_name, version, stamp, checked, asked, answer, gone, lease)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		d.Provider, d.ProviderID, d.Subject, own, d.Facts.User, p.Version[:], p.Stamp,
		session.Millis(p.Checked), session.Millis(p.Asked), p.Answer, session.Millis(p.Gone), session.Millis(p.Lease)); err != nil {
		return 0, err
	}
	id = conn.LastInsertRowID()
	return id, putFacts(conn, id, d.Facts)
}

func putFacts(conn *sqlite.Conn, person int64, f session.Facts) error {
	return exec(conn, "INSERT INTO facts (person, body) VALUES (?, ?) ON CONFLICT (person) DO UPDATE SET body = excluded.body", person, f.Body)
}

func insertSession(conn *sqlite.Conn, person int64, d *session.Draft) error {
	var upstream any // NULL
	if d.Upstream != nil {
		upstream = d.Upstream[:]
		if err := exec(conn, "DELETE FROM claim WHERE upstream = ?", upstream); err != nil {
			return err
		}
	}
	if err := exec(conn, `
		INSERT INTO session (hash, person, kind, method, service, provider_id, stamp, created, expires, who, upstream)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		d.Hash[:], person, d.Kind, d.Method, d.Service, d.ProviderID, d.Stamp, session.Millis(d.Created), session.Millis(d.Expires), d.Who, upstream); err != nil {
		return err
	}
	return exec(conn, "INSERT INTO client (hash, address, id, agent) VALUES (?, ?, ?, ?)", d.Hash[:], d.Client.AddressText(), d.Client.ID, d.Client.UserAgent)
}

// endBeyond ends what a person has too many of.
func endBeyond(conn *sqlite.Conn, d *session.Draft, perPerson int) error {
	count, _, err := queryInt(conn, "SELECT count(*) FROM session WHERE who = ? AND ended = 0", d.Who)
	if err != nil {
		return fmt.Errorf("count the person's sessions: %w", err)
	}
	if count <= int64(perPerson) {
		return nil
	}
	_, err = endWhere(conn, d.Evict,
		"who = ? AND ended = 0 AND hash <> ? ORDER BY used > 0, created LIMIT ?", d.Who, d.Hash[:], count-int64(perPerson))
	return err
}

// Claim lets one caller ask about a refresh token that has no session yet.
func (s *Store) Claim(ctx context.Context, upstream session.Hash, now, until time.Time) (bool, error) {
	var claimed int
	err := s.write(ctx, func(conn *sqlite.Conn) (err error) {
		// Whoever made a session of it in the meantime has given the claim up.
		claimed, err = execCount(conn, `
			INSERT INTO claim (upstream, until) SELECT ?1, ?3 WHERE NOT EXISTS (SELECT 1 FROM session WHERE upstream = ?1)
			ON CONFLICT (upstream) DO UPDATE SET until = excluded.until WHERE claim.until <= ?2`, upstream[:], session.Millis(now), session.Millis(until))
		return err
	})
	return err == nil && claimed > 0, err
}

// Release gives a claim up.
func (s *Store) Release(ctx context.Context, upstream session.Hash) error {
	return s.write(ctx, func(conn *sqlite.Conn) error { return exec(conn, "DELETE FROM claim WHERE upstream = ?", upstream[:]) })
}
