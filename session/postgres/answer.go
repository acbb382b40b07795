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

// LeaseSignIn gives one caller at a time the right to ask the provider about a sign-in.
func (s *Store) LeaseSignIn(ctx context.Context, signIn int64, lastAsked, now, until time.Time) (leased bool, err error) {
	err = s.write(ctx, 1, func(ctx context.Context) error {
		tag, err := s.pool.Exec(ctx, "UPDATE sign_in SET lease_until = $1 WHERE id = $2 AND last_asked = $3 AND lease_until <= $4", session.Millis(until), signIn, session.Millis(lastAsked), session.Millis(now))
		leased = err == nil && tag.RowsAffected() > 0
		return err
	})
	return leased, err
}

// StoreAnswer writes a provider's answer, if the caller still holds the lease.
func (s *Store) StoreAnswer(ctx context.Context, a *session.AnswerUpdate) error {
	return s.inTx(ctx, 1, func(ctx context.Context, tx pgx.Tx) error {
		before, err := lockLeasedSignIn(ctx, tx, a.SignIn, a.LeaseUntil)
		if err != nil {
			return err
		}
		b := new(pgx.Batch)
		queueSignIn(b, a.Change(before))
		if a.Lifetime > 0 {
			b.Queue("UPDATE session SET expires = created + $1 WHERE sign_in = $2 AND ended = 0 AND expires > created + $1", a.Lifetime.Milliseconds(), a.SignIn)
		}
		if err := tx.SendBatch(ctx, b).Close(); err != nil {
			return fmt.Errorf("store the answer: %w", err)
		}
		return nil
	})
}

// lockLeasedSignIn locks and returns a sign-in, or session.ErrNotFound if its lease is
// another caller's.
func lockLeasedSignIn(ctx context.Context, tx pgx.Tx, id int64, lease time.Time) (session.SignIn, error) {
	return scanSignIn(tx.QueryRow(ctx, "SELECT "+signInColumns+" FROM sign_in i WHERE i.id = $1 AND i.lease_until = $2 FOR UPDATE", id, session.Millis(lease)))
}

// queueSignIn writes an update of a sign-in, and the stamps that its sessions adopt.
func queueSignIn(b *pgx.Batch, change session.SignInChange) {
	after, identity := &change.SignIn, change.Identity
	b.Queue(`UPDATE sign_in SET identity_version = $2, stamp = $3, token_version = $4, last_vouched = $5, last_asked = $6, last_answer = $7,
		gone_since = $8, pending_since = $9, pending_reason = $10, lease_until = $11 WHERE id = $1`,
		after.ID, after.Version[:], text(after.Stamp), after.TokenVersion, session.Millis(after.LastVouched), session.Millis(after.LastAsked), int64(after.LastAnswer),
		session.Millis(after.GoneSince), session.Millis(after.PendingSince), string(after.PendingReason), session.Millis(after.LeaseUntil))
	if identity != nil {
		b.Queue("INSERT INTO identity (sign_in, body) VALUES ($1, $2) ON CONFLICT (sign_in) DO UPDATE SET body = excluded.body", after.ID, identity.Body)
		b.Queue("UPDATE person SET user_name = $1 WHERE id = (SELECT person FROM sign_in WHERE id = $2) AND user_name <> $1", text(identity.User), after.ID)
	}
	if change.Sealed != nil {
		b.Queue("INSERT INTO provider_token (sign_in, body) VALUES ($1, $2) ON CONFLICT (sign_in) DO UPDATE SET body = excluded.body", after.ID, change.Sealed)
	}
	for _, stamp := range change.Adopting {
		b.Queue("UPDATE session SET stamp = $1 WHERE sign_in = $2 AND stamp = $3 AND ended = 0", text(after.Stamp), after.ID, text(stamp))
	}
}

// WriteLastUses stores when sessions were last redeemed and by which client, in one
// statement, and when their persons were last seen, in another. One statement for both
// would lock sessions before persons, and could deadlock with a login, which locks the
// person first. Each locks its rows in the order of their keys, so that replicas that
// redeem the same tokens cannot deadlock.
func (s *Store) WriteLastUses(ctx context.Context, uses []session.LastUse) error {
	var c struct {
		hashes                    [][]byte
		times                     []int64
		addresses, clients, names []string
	}
	uses = slices.Clone(uses)
	slices.SortFunc(uses, func(a, b session.LastUse) int { return bytes.Compare(a.Token[:], b.Token[:]) })
	for i := range uses {
		u := &uses[i]
		c.hashes, c.times = append(c.hashes, u.Token[:]), append(c.times, session.Millis(u.At))
		c.addresses, c.clients, c.names = append(c.addresses, u.Client.AddressText()), append(c.clients, u.Client.ID), append(c.names, u.Client.UserAgent)
	}
	var persons, seen []int64
	err := s.write(ctx, 1, func(ctx context.Context) error {
		return s.pool.QueryRow(ctx, `
			WITH redeemed AS (
				SELECT * FROM unnest($1::bytea[], $2::bigint[], $3::text[], $4::text[], $5::text[]) AS u (hash, used, address, id, agent)
			), locked AS (
				SELECT s.hash FROM session s JOIN redeemed u ON u.hash = s.hash WHERE s.last_used < u.used ORDER BY s.hash FOR UPDATE OF s
			), later AS (
				UPDATE session s SET last_used = u.used, last_used_day = u.used / $6
				FROM redeemed u JOIN locked h ON h.hash = u.hash WHERE s.hash = u.hash AND s.last_used < u.used
				RETURNING s.hash, s.person, s.last_used
			), clients AS (
				UPDATE client c SET last_address = u.address, last_id = u.id, last_agent = u.agent
				FROM redeemed u JOIN later l ON l.hash = u.hash WHERE c.hash = u.hash
				RETURNING c.hash
			)
			SELECT coalesce(array_agg(person), '{}'), coalesce(array_agg(used), '{}') FROM (SELECT person, max(last_used) AS used FROM later GROUP BY person) p`,
			c.hashes, c.times, c.addresses, c.clients, c.names, (24*time.Hour).Milliseconds()).Scan(&persons, &seen)
	})
	if err != nil || len(persons) == 0 {
		return err
	}
	return s.exec(ctx, `
		WITH u AS (
			SELECT * FROM unnest($1::bigint[], $2::bigint[]) AS u (id, seen)
		), locked AS (
			SELECT p.id FROM person p JOIN u ON u.id = p.id WHERE p.last_seen < u.seen ORDER BY p.id FOR UPDATE OF p
		)
		UPDATE person p SET last_seen = u.seen FROM u JOIN locked h ON h.id = u.id WHERE p.id = u.id AND p.last_seen < u.seen`, persons, seen)
}
