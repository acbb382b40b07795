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
		if err := settlePerson(ctx, tx, a); err != nil {
			return err
		}
		if err := settleRest(ctx, tx, a); err != nil {
			return fmt.Errorf("keep what the provider said: %w", err)
		}
		switch a.End {
		case "":
			ended = 0
		case session.ReasonStamp:
			ended, err = endWhere(ctx, tx, ending{a.End, "", a.At}, "person = $5 AND stamp <> '' AND stamp <> $6", a.Person, text(a.Stamp))
		default:
			ended, err = endWhere(ctx, tx, ending{a.End, "", a.At}, "person = $5", a.Person)
		}
		return err
	})
	return ended, err
}

func settlePerson(ctx context.Context, tx pgx.Tx, a *session.Settlement) error {
	gone := a.Answer == session.AnswerGone
	there := a.Answer == session.AnswerVouched || a.Answer == session.AnswerRejected
	tag, err := tx.Exec(ctx, `
		UPDATE person SET lease = 0, asked = $1, answer = $2, gone = CASE WHEN $3 AND gone = 0 THEN $1 WHEN $4 THEN 0 ELSE gone END
		WHERE id = $5 AND lease = $6`, session.Millis(a.At), int64(a.Answer), gone, there, a.Person, session.Millis(a.Lease))
	switch {
	case err != nil:
		return fmt.Errorf("keep the answer: %w", err)
	case tag.RowsAffected() == 0:
		return session.ErrNotFound
	}
	return nil
}

// settleRest keeps what came with an answer.
func settleRest(ctx context.Context, tx pgx.Tx, a *session.Settlement) error {
	b := new(pgx.Batch)
	if a.Answer == session.AnswerVouched {
		b.Queue("UPDATE person SET checked = $1, user_name = $2, version = $3, stamp = CASE $4 WHEN '' THEN stamp ELSE $4 END WHERE id = $5",
			session.Millis(a.At), text(a.Facts.User), a.Facts.Version[:], text(a.Stamp), a.Person)
		b.Queue(putFacts, a.Person, a.Facts.Body)
	}
	if a.Adopt {
		b.Queue("UPDATE session SET stamp = $1 WHERE person = $2 AND stamp = ''", text(a.Stamp), a.Person)
	}
	if a.Lifetime > 0 {
		b.Queue("UPDATE session SET expires = created + $1 WHERE person = $2 AND ended = 0 AND expires > created + $1", a.Lifetime.Milliseconds(), a.Person)
	}
	if a.Sealed != nil {
		b.Queue("UPDATE renewal SET body = $1 WHERE person = $2", a.Sealed, a.Person)
	}
	if b.Len() == 0 {
		return nil
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
