package postgres

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"shorepass/session"
)

// Lease lets one caller ask the provider about a person.
func (s *Store) Lease(ctx context.Context, person int64, asked, now, until time.Time) (won bool, err error) {
	err = s.write(ctx, 1, func(ctx context.Context) error {
		tag, err := s.pool.Exec(ctx, "UPDATE person SET lease = $1 WHERE id = $2 AND asked = $3 AND lease <= $4", session.Millis(until), person, session.Millis(asked), session.Millis(now))
		won = err == nil && tag.RowsAffected() > 0
		return err
	})
	return won, err
}

// Settle keeps a provider's answer.
func (s *Store) Settle(ctx context.Context, a *session.Settlement) (ended int, err error) {
	err = s.inTx(ctx, 1, func(ctx context.Context, tx pgx.Tx) error {
		person, err := leasedPerson(ctx, tx, a.Person, a.Lease)
		if err != nil {
			return err
		}
		if err := writeSettlement(ctx, tx, a, a.Next(person)); err != nil {
			return fmt.Errorf("keep what the provider said: %w", err)
		}
		ended = 0
		switch {
		case a.End.Why == "":
		case a.Spare != "":
			ended, err = endWhere(ctx, tx, a.End, "person = $5 AND stamp <> '' AND stamp <> $6", a.Person, text(a.Spare))
		default:
			ended, err = endWhere(ctx, tx, a.End, "person = $5", a.Person)
		}
		return err
	})
	return ended, err
}

// leasedPerson reads and locks a person's row while it has that lease.
func leasedPerson(ctx context.Context, tx pgx.Tx, id int64, lease time.Time) (session.Person, error) {
	return scanPerson(tx.QueryRow(ctx, "SELECT "+personColumns+" FROM person WHERE id = $1 AND lease = $2 FOR UPDATE", id, session.Millis(lease)))
}

const personColumns = "person.id, person.version, person.stamp, person.checked, person.asked, person.answer, person.gone, person.lease"

// scanPerson reads personColumns.
func scanPerson(row pgx.Row) (p session.Person, err error) {
	var version []byte
	var stamp text
	var checked, asked, answer, gone, lease int64
	err = noRows(row.Scan(&p.ID, &version, &stamp, &checked, &asked, &answer, &gone, &lease))
	copy(p.Version[:], version)
	p.Stamp, p.Answer = string(stamp), session.Answer(answer)
	p.Checked, p.Asked, p.Gone, p.Lease = session.FromMillis(checked), session.FromMillis(asked), session.FromMillis(gone), session.FromMillis(lease)
	return p, err
}

// queuePerson writes a person's columns, and the facts unless they are nil.
func queuePerson(b *pgx.Batch, p session.Person, facts *session.Facts) {
	var user *text // nil keeps the name
	if facts != nil {
		name := text(facts.User)
		user = &name
		b.Queue("INSERT INTO facts (person, body) VALUES ($1, $2) ON CONFLICT (person) DO UPDATE SET body = excluded.body", p.ID, facts.Body)
	}
	b.Queue(`UPDATE person SET lease = $1, asked = $2, answer = $3, gone = $4, checked = $5, version = $6, stamp = $7, user_name = coalesce($8, user_name) WHERE id = $9`,
		session.Millis(p.Lease), session.Millis(p.Asked), int64(p.Answer), session.Millis(p.Gone), session.Millis(p.Checked), p.Version[:], text(p.Stamp), user, p.ID)
}

// writeSettlement writes the person's new columns, and what comes with them.
func writeSettlement(ctx context.Context, tx pgx.Tx, a *session.Settlement, p session.Person) error {
	b := new(pgx.Batch)
	queuePerson(b, p, a.Facts)
	if a.Adopt != "" {
		b.Queue("UPDATE session SET stamp = $1 WHERE person = $2 AND stamp = ''", text(a.Adopt), a.Person)
	}
	if a.Lifetime > 0 {
		b.Queue("UPDATE session SET expires = created + $1 WHERE person = $2 AND ended = 0 AND expires > created + $1", a.Lifetime.Milliseconds(), a.Person)
	}
	if a.Sealed != nil {
		b.Queue("UPDATE renewal SET body = $1 WHERE person = $2", a.Sealed, a.Person)
	}
	return tx.SendBatch(ctx, b).Close()
}

// Used keeps when sessions were redeemed last, all of them in one statement.
// The rows are locked in the order of their hashes, so that replicas that
// redeemed the same tokens never wait for each other in a circle.
func (s *Store) Used(ctx context.Context, uses []session.Use) error {
	var c struct {
		hashes                    [][]byte
		times                     []int64
		addresses, clients, names []string
	}
	uses = slices.Clone(uses)
	slices.SortFunc(uses, func(a, b session.Use) int { return bytes.Compare(a.Token[:], b.Token[:]) })
	for i := range uses {
		u := &uses[i]
		c.hashes, c.times = append(c.hashes, u.Token[:]), append(c.times, session.Millis(u.At))
		c.addresses, c.clients, c.names = append(c.addresses, u.Client.AddressText()), append(c.clients, u.Client.ID), append(c.names, u.Client.UserAgent)
	}
	return s.exec(ctx, `
		WITH redeemed AS (
			SELECT * FROM unnest($1::bytea[], $2::bigint[], $3::text[], $4::text[], $5::text[]) AS u (hash, used, address, id, agent)
		), held AS (
			SELECT s.hash FROM session s JOIN redeemed u ON u.hash = s.hash WHERE s.used < u.used ORDER BY s.hash FOR UPDATE OF s
		), later AS (
			UPDATE session s SET used = u.used, used_day = u.used / $6
			FROM redeemed u JOIN held h ON h.hash = u.hash WHERE s.hash = u.hash AND s.used < u.used
			RETURNING s.hash
		)
		UPDATE client c SET last_address = u.address, last_id = u.id, last_agent = u.agent
		FROM redeemed u JOIN later l ON l.hash = u.hash WHERE c.hash = u.hash`,
		c.hashes, c.times, c.addresses, c.clients, c.names, (24 * time.Hour).Milliseconds())
}
