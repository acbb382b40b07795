package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"shorepass/session"
)

// signInColumns are the columns of scannedSignIn.
const signInColumns = `i.id, i.identity_version, i.stamp, i.token_version, i.last_vouched, i.last_asked, i.last_answer,
	i.gone_since, i.pending_since, i.pending_reason, i.lease_until`

const (
	findColumns = `s.hash, s.kind, s.method, s.service, s.stamp, s.login_name, s.sid, s.acr, s.amr, s.auth_time, s.limits,
		s.created, s.expires, s.last_used, s.ended, s.reason, i.person, i.provider_id, ` + signInColumns
	findFrom            = " FROM session s JOIN sign_in i ON i.id = s.sign_in WHERE "
	findBody            = ", CASE WHEN i.identity_version <> $2 THEN (SELECT f.body FROM identity f WHERE f.sign_in = i.id) END"
	findToken           = "SELECT " + findColumns + findBody + findFrom + "s.hash = $1"
	findByProviderToken = "SELECT " + findColumns + findFrom + "s.provider_token_hash = $1"

	// findGrant reads a grant in the columns of the session that it would create.
	findGrant = `SELECT s.hash, s.kind, s.method, s.service, s.stamp, s.login_name, s.sid, s.acr, s.amr, s.auth_time, '',
		s.created, s.expires, s.spent, 0::BIGINT, '', i.person, i.provider_id, ` + signInColumns + findBody + `, s.data
		FROM auth_grant s JOIN sign_in i ON i.id = s.sign_in WHERE s.hash = $1`
)

// Find reads a session by its hash.
func (s *Store) Find(ctx context.Context, token session.Hash, known session.Version) (*session.Row, error) {
	var found scannedRow
	return s.find(ctx, &found, findToken, append(found.dest(), &found.Body), token[:], known[:])
}

// FindByProviderToken reads a session by the hash of a provider's refresh token.
func (s *Store) FindByProviderToken(ctx context.Context, tokenHash session.Hash) (*session.Row, error) {
	var found scannedRow
	return s.find(ctx, &found, findByProviderToken, found.dest(), tokenHash[:])
}

// FindGrant reads a grant by its hash.
func (s *Store) FindGrant(ctx context.Context, hash session.Hash, known session.Version) (*session.StoredGrant, error) {
	var found scannedRow
	var data text
	row, err := s.find(ctx, &found, findGrant, append(found.dest(), &found.Body, &data), hash[:], known[:])
	if err != nil {
		return nil, err
	}
	return &session.StoredGrant{Row: *row, Data: string(data)}, nil
}

func (s *Store) find(ctx context.Context, found *scannedRow, query string, into []any, args ...any) (*session.Row, error) {
	err := s.read(ctx, 1, func(ctx context.Context) error {
		return noRows(s.pool.QueryRow(ctx, query, args...).Scan(into...))
	})
	if err != nil {
		return nil, err
	}
	return found.toRow()
}

// noRows returns session.ErrNotFound for pgx.ErrNoRows, and other errors unchanged.
func noRows(err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return session.ErrNotFound
	}
	return err
}

// scannedRow holds the columns of findColumns in types that the driver scans
// directly.
type scannedRow struct {
	session.Row
	signIn                                    scannedSignIn
	hash                                      []byte
	stamp, name, sid, acr, limits             text
	amr                                       string
	authTime, created, expires, used, endedAt int64
}

func (f *scannedRow) dest() []any {
	l := &f.Login
	return append([]any{
		&f.hash, (*string)(&f.Kind), (*string)(&l.Method), &f.Service, &f.stamp, &f.name, &f.sid, &f.acr, &f.amr, &f.authTime, &f.limits,
		&f.created, &f.expires, &f.used, &f.endedAt, (*string)(&f.Reason), &f.Person, &f.ProviderID,
	}, f.signIn.dest()...)
}

// toRow returns the scanned session.
func (f *scannedRow) toRow() (_ *session.Row, err error) {
	row := &f.Row
	if copy(row.Hash[:], f.hash) != len(row.Hash) {
		return nil, fmt.Errorf("a session of the sign-in %d is damaged in the store", f.signIn.ID)
	}
	if row.SignIn, err = f.signIn.toSignIn(); err != nil {
		return nil, err
	}
	row.Created, row.Expires, row.LastUsed, row.Ended = session.FromMillis(f.created), session.FromMillis(f.expires), session.FromMillis(f.used), session.FromMillis(f.endedAt)
	row.Stamp, row.Limits = string(f.stamp), string(f.limits)
	l := &row.Login
	l.Name, l.SID, l.ACR, l.Time = string(f.name), string(f.sid), string(f.acr), session.FromMillis(f.authTime)
	if l.AMR, err = session.ParseAMR(f.amr); err != nil {
		return nil, fmt.Errorf("a session of the sign-in %d is damaged in the store: %w", f.signIn.ID, err)
	}
	return row, nil
}

// scannedSignIn holds the columns of signInColumns.
type scannedSignIn struct {
	session.SignIn
	version    []byte
	stamp      text
	lastAnswer int64

	lastVouched, lastAsked, goneSince, pendingSince, leaseUntil int64
}

func (f *scannedSignIn) dest() []any {
	return []any{
		&f.ID, &f.version, &f.stamp, &f.TokenVersion, &f.lastVouched, &f.lastAsked, &f.lastAnswer, &f.goneSince, &f.pendingSince, (*string)(&f.PendingReason), &f.leaseUntil,
	}
}

// toSignIn returns the scanned sign-in.
func (f *scannedSignIn) toSignIn() (session.SignIn, error) {
	i, at := f.SignIn, session.FromMillis
	if copy(i.Version[:], f.version) != len(i.Version) {
		return i, fmt.Errorf("the sign-in %d is damaged in the store", i.ID)
	}
	i.Stamp, i.LastAnswer = string(f.stamp), session.Answer(f.lastAnswer)
	i.LastVouched, i.LastAsked, i.GoneSince, i.PendingSince, i.LeaseUntil = at(f.lastVouched), at(f.lastAsked), at(f.goneSince), at(f.pendingSince), at(f.leaseUntil)
	return i, nil
}

// scanSignIn reads signInColumns.
func scanSignIn(row pgx.Row, more ...any) (session.SignIn, error) {
	var found scannedSignIn
	if err := noRows(row.Scan(append(found.dest(), more...)...)); err != nil {
		return session.SignIn{}, err
	}
	return found.toSignIn()
}

// Identity returns the identity of a sign-in.
func (s *Store) Identity(ctx context.Context, signIn int64) (session.StoredIdentity, error) {
	var f session.StoredIdentity
	var version []byte
	var user text
	err := s.read(ctx, 1, func(ctx context.Context) error {
		return noRows(s.pool.QueryRow(ctx, `SELECT i.identity_version, p.user_name, f.body
			FROM sign_in i JOIN person p ON p.id = i.person JOIN identity f ON f.sign_in = i.id WHERE i.id = $1`, signIn).Scan(&version, &user, &f.Body))
	})
	switch {
	case err != nil:
		return session.StoredIdentity{}, err
	case copy(f.Version[:], version) != len(f.Version):
		return session.StoredIdentity{}, fmt.Errorf("the sign-in %d is damaged in the store", signIn)
	}
	f.User = string(user)
	return f, nil
}

// ProviderToken returns the sealed refresh token of a sign-in.
func (s *Store) ProviderToken(ctx context.Context, signIn int64) (r session.ProviderToken, err error) {
	err = s.read(ctx, 1, func(ctx context.Context) error {
		return noRows(s.pool.QueryRow(ctx, "SELECT i.token_version, i.login_id, r.body FROM sign_in i LEFT JOIN provider_token r ON r.sign_in = i.id WHERE i.id = $1", signIn).
			Scan(&r.TokenVersion, &r.LoginID, &r.Body))
	})
	return r, err
}

// HoldsProviderToken reports whether the shared sign-in of a person has a refresh token.
func (s *Store) HoldsProviderToken(ctx context.Context, provider, subject string, providerID int64) (held bool, err error) {
	err = s.read(ctx, 1, func(ctx context.Context) error {
		return s.pool.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM person p JOIN sign_in i ON i.person = p.id AND i.provider_id = $1 AND i.login_id = ''
			JOIN provider_token r ON r.sign_in = i.id WHERE p.provider = $2 AND p.subject = $3 AND r.revocable_since = 0)`, providerID, text(provider), text(subject)).Scan(&held)
	})
	return held, err
}

// ListNotAskedSince returns one live session of a kind, with its identity, of each
// sign-in that was last asked about at since or before.
func (s *Store) ListNotAskedSince(ctx context.Context, kind session.Kind, since time.Time, after int64, limit int) (all []session.Row, err error) {
	err = s.read(ctx, slowFactor, func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, `
			SELECT `+findColumns+`, f.body FROM (
				SELECT DISTINCT ON (s.sign_in) s.hash FROM session s JOIN sign_in i ON i.id = s.sign_in
				WHERE s.kind = $1 AND s.ended = 0 AND i.last_asked <= $2 AND i.id > $3 ORDER BY s.sign_in, s.hash LIMIT $4
			) c JOIN session s ON s.hash = c.hash JOIN sign_in i ON i.id = s.sign_in JOIN identity f ON f.sign_in = i.id ORDER BY i.id`,
			string(kind), session.Millis(since), after, limit)
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (session.Row, error) {
			var found scannedRow
			if err := row.Scan(append(found.dest(), &found.Body)...); err != nil {
				return session.Row{}, err
			}
			r, err := found.toRow()
			if err != nil {
				return session.Row{}, err
			}
			return *r, nil
		})
		return err
	})
	return all, err
}
