package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"shorepass/session"
)

// Create keeps a new session.
func (s *Store) Create(ctx context.Context, d *session.Draft, perPerson int) error {
	return s.inTx(ctx, 1, func(ctx context.Context, tx pgx.Tx) error {
		person, err := lockPerson(ctx, tx, d)
		if err != nil {
			return fmt.Errorf("keep the person: %w", err)
		}
		count, err := insertSession(ctx, tx, person, d)
		if err != nil {
			return fmt.Errorf("keep the session: %w", err)
		}
		if count <= perPerson {
			return nil
		}
		// Those of the others that another transaction ends at this moment
		// are left to it.
		_, err = endWhere(ctx, tx, d.Evict,
			`hash = ANY(ARRAY(SELECT hash FROM session WHERE who = $5 AND ended = 0 AND hash <> $6
				ORDER BY used > 0, created LIMIT $7 FOR UPDATE SKIP LOCKED))`, d.Who, d.Hash[:], count-perPerson)
		return err
	})
}

// lockPerson returns the person's row, locked so that it is not forgotten before
// the session is there. A first login inserts it, as that of the zero Person, which
// insertSession then changes as it does a later one: of two first logins at the
// same moment the second waits, and reads what the first has written.
func lockPerson(ctx context.Context, tx pgx.Tx, d *session.Draft) (session.Person, error) {
	own := ""
	if d.Own {
		own = d.Hash.ID()
	}
	var blank session.Version
	return scanPerson(tx.QueryRow(ctx, `
		INSERT INTO person (provider, provider_id, subject, own, user_name, version, stamp, checked, asked, answer, gone, lease)
		VALUES ($1, $2, $3, $4, $5, $6, '', 0, 0, 0, 0, 0)
		ON CONFLICT (provider, provider_id, subject, own) DO UPDATE SET lease = person.lease
		RETURNING `+personColumns,
		d.Provider, d.ProviderID, text(d.Subject), own, text(d.Facts.User), blank[:]))
}

// insertSession keeps the session, and what its login changes of the person's
// locked row, all in one go. It returns how many live sessions there are now of
// its Who.
func insertSession(ctx context.Context, tx pgx.Tx, was session.Person, d *session.Draft) (count int, err error) {
	b := new(pgx.Batch)
	if p := d.Next(was); p != was {
		queuePerson(b, p, &d.Facts)
	}
	if d.Sealed != nil {
		b.Queue(`INSERT INTO renewal (person, token, body) VALUES ($1, $2, $3)
			ON CONFLICT (person) DO UPDATE SET token = excluded.token, body = excluded.body, ended = 0, revoked = false`, was.ID, d.Hash[:], d.Sealed)
	}
	var upstream []byte
	if d.Upstream != nil {
		upstream = d.Upstream[:]
		b.Queue("DELETE FROM claim WHERE upstream = $1", upstream)
	}
	b.Queue(`INSERT INTO session (hash, person, kind, method, service, provider_id, stamp, created, expires, who, upstream)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
		d.Hash[:], was.ID, string(d.Kind), string(d.Method), d.Service, d.ProviderID, text(d.Stamp), session.Millis(d.Created), session.Millis(d.Expires), d.Who, upstream)
	b.Queue("INSERT INTO client (hash, address, id, agent) VALUES ($1, $2, $3, $4)", d.Hash[:], d.Client.AddressText(), d.Client.ID, d.Client.UserAgent)
	b.Queue("SELECT count(*) FROM session WHERE who = $1 AND ended = 0", d.Who).QueryRow(func(row pgx.Row) error { return row.Scan(&count) })
	return count, tx.SendBatch(ctx, b).Close()
}

// Claim lets one caller ask about a refresh token that has no session yet.
func (s *Store) Claim(ctx context.Context, upstream session.Hash, now, until time.Time) (won bool, err error) {
	err = s.write(ctx, 1, func(ctx context.Context) error {
		tag, err := s.pool.Exec(ctx, `
			INSERT INTO claim (upstream, until) VALUES ($1, $2)
			ON CONFLICT (upstream) DO UPDATE SET until = excluded.until WHERE claim.until <= $3`, upstream[:], session.Millis(until), session.Millis(now))
		won = err == nil && tag.RowsAffected() > 0
		return err
	})
	if err != nil || !won {
		return false, err
	}
	// Whoever made a session of it in the meantime has given the claim up just
	// before: only what is read after it was won can tell.
	switch _, err := s.FindUpstream(ctx, upstream); {
	case errors.Is(err, session.ErrNotFound):
		return true, nil
	case err != nil:
		return false, err
	}
	return false, s.Release(ctx, upstream)
}

// Release gives a claim up.
func (s *Store) Release(ctx context.Context, upstream session.Hash) error {
	return s.exec(ctx, "DELETE FROM claim WHERE upstream = $1", upstream[:])
}

// exec runs one statement whose result nobody needs.
func (s *Store) exec(ctx context.Context, query string, args ...any) error {
	return s.write(ctx, 1, func(ctx context.Context) error {
		_, err := s.pool.Exec(ctx, query, args...)
		return err
	})
}
