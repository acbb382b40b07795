package sqlite

import (
	"context"
	"fmt"
	"time"

	"zombiezen.com/go/sqlite"

	"shorepass/session"
)

// LeaseSignIn gives one caller at a time the right to ask the provider about a sign-in.
func (s *Store) LeaseSignIn(ctx context.Context, signIn int64, lastAsked, now, until time.Time) (bool, error) {
	var leased int
	err := s.write(ctx, func(conn *sqlite.Conn) (err error) {
		leased, err = execCount(conn, "UPDATE sign_in SET lease_until = ? WHERE id = ? AND last_asked = ? AND lease_until <= ?", session.Millis(until), signIn, session.Millis(lastAsked), session.Millis(now))
		return err
	})
	return err == nil && leased > 0, err
}

// StoreAnswer writes a provider's answer, if the caller still holds the lease.
func (s *Store) StoreAnswer(ctx context.Context, a *session.AnswerUpdate) error {
	return s.write(ctx, func(conn *sqlite.Conn) error {
		before, err := readSignIn(conn, "id = ? AND lease_until = ?", a.SignIn, session.Millis(a.LeaseUntil))
		if err != nil {
			return err
		}
		if err := writeSignIn(conn, a.Change(before)); err != nil {
			return fmt.Errorf("store the answer: %w", err)
		}
		if a.Lifetime > 0 {
			if err := exec(conn, "UPDATE session SET expires = created + ?1 WHERE sign_in = ?2 AND ended = 0 AND expires > created + ?1", a.Lifetime.Milliseconds(), a.SignIn); err != nil {
				return fmt.Errorf("shorten the lifetime of sessions: %w", err)
			}
		}
		return nil
	})
}

// readSignIn reads the sign-in that where selects, or returns
// session.ErrNotFound.
func readSignIn(conn *sqlite.Conn, where string, args ...any) (one session.SignIn, err error) {
	found := false
	err = forEachRow(conn, "SELECT "+signInColumns+" FROM sign_in i WHERE "+where, func(stmt *sqlite.Stmt) error {
		found = true
		one, err = scanSignIn(stmt, 1)
		return err
	}, args...)
	if err == nil && !found {
		err = session.ErrNotFound
	}
	return one, err
}

// writeSignIn writes an update of a sign-in, and the stamps that its sessions adopt.
func writeSignIn(conn *sqlite.Conn, change session.SignInChange) error {
	after := &change.SignIn
	if err := exec(conn, `UPDATE sign_in SET identity_version = ?, stamp = ?, token_version = ?, last_vouched = ?, last_asked = ?, last_answer = ?,
		gone_since = ?, pending_since = ?, pending_reason = ?, lease_until = ? WHERE id = ?`,
		after.Version[:], after.Stamp, after.TokenVersion, session.Millis(after.LastVouched), session.Millis(after.LastAsked), after.LastAnswer, session.Millis(after.GoneSince),
		session.Millis(after.PendingSince), after.PendingReason, session.Millis(after.LeaseUntil), after.ID); err != nil {
		return err
	}
	if change.Identity != nil {
		if err := writeIdentity(conn, after.ID, *change.Identity); err != nil {
			return err
		}
	}
	if change.Sealed != nil {
		if err := exec(conn, "INSERT INTO provider_token (sign_in, body) VALUES (?, ?) ON CONFLICT (sign_in) DO UPDATE SET body = excluded.body", after.ID, change.Sealed); err != nil {
			return err
		}
	}
	for _, stamp := range change.Adopting {
		if err := exec(conn, "UPDATE session SET stamp = ? WHERE sign_in = ? AND stamp = ? AND ended = 0", after.Stamp, after.ID, stamp); err != nil {
			return err
		}
	}
	return nil
}

// writeIdentity writes the identity of a sign-in, and its user name to the person.
func writeIdentity(conn *sqlite.Conn, signIn int64, f session.StoredIdentity) error {
	if err := exec(conn, "INSERT INTO identity (sign_in, body) VALUES (?, ?) ON CONFLICT (sign_in) DO UPDATE SET body = excluded.body", signIn, f.Body); err != nil {
		return err
	}
	return exec(conn, "UPDATE person SET user_name = ?1 WHERE id = (SELECT person FROM sign_in WHERE id = ?2) AND user_name <> ?1", f.User, signIn)
}

// WriteLastUses stores when sessions were last redeemed, and by which client.
func (s *Store) WriteLastUses(ctx context.Context, uses []session.LastUse) error {
	return s.write(ctx, func(conn *sqlite.Conn) error {
		for _, u := range uses {
			person, later, err := queryInt(conn, "UPDATE session SET last_used = ?1 WHERE hash = ?2 AND last_used < ?1 RETURNING person", session.Millis(u.At), u.Token[:])
			if err == nil && later {
				err = recordUse(conn, person, u)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func recordUse(conn *sqlite.Conn, person int64, u session.LastUse) error {
	if err := exec(conn, "UPDATE client SET last_address = ?, last_id = ?, last_agent = ? WHERE hash = ?", u.Client.AddressText(), u.Client.ID, u.Client.UserAgent, u.Token[:]); err != nil {
		return err
	}
	return exec(conn, "UPDATE person SET last_seen = ?1 WHERE id = ?2 AND last_seen < ?1", session.Millis(u.At), person)
}
