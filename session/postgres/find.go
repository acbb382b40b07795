package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"shorepass/session"
)

const findColumns = `s.hash, s.kind, s.method, s.service, s.provider_id, s.stamp, s.created, s.expires, s.used, s.ended, s.why,
	p.id, p.version, p.stamp, p.checked, p.asked, p.answer, p.gone, p.lease`

const (
	findFrom     = " FROM session s JOIN person p ON p.id = s.person WHERE "
	findToken    = "SELECT " + findColumns + ", CASE WHEN p.version <> $2 THEN (SELECT f.body FROM facts f WHERE f.person = p.id) END" + findFrom + "s.hash = $1"
	findUpstream = "SELECT " + findColumns + findFrom + "s.upstream = $1"
)

// Find looks a session up by its hash.
func (s *Store) Find(ctx context.Context, token session.Hash, known session.Version) (*session.Row, error) {
	var found scanned
	return s.find(ctx, &found, findToken, append(found.into(), &found.Body), token[:], known[:])
}

// FindUpstream looks a session up by the provider's refresh token.
func (s *Store) FindUpstream(ctx context.Context, upstream session.Hash) (*session.Row, error) {
	var found scanned
	return s.find(ctx, &found, findUpstream, found.into(), upstream[:])
}

func (s *Store) find(ctx context.Context, found *scanned, query string, into []any, args ...any) (*session.Row, error) {
	err := s.read(ctx, 1, func(ctx context.Context) error {
		return noRows(s.pool.QueryRow(ctx, query, args...).Scan(into...))
	})
	if err != nil {
		return nil, err
	}
	return found.row()
}

// noRows says that nothing was found as every store does.
func noRows(err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return session.ErrNotFound
	}
	return err
}

// scanned takes the columns of findColumns as they come, into types that the
// driver knows without looking twice.
type scanned struct {
	session.Row
	hash, version                                                          []byte
	stampThen, stampNow                                                    text
	created, expires, used, ended, checked, asked, answer, gone, leaseEnds int64
}

func (f *scanned) into() []any {
	p := &f.Person
	return []any{
		&f.hash, (*string)(&f.Kind), (*string)(&f.Method), &f.Service, &f.ProviderID, &f.stampThen, &f.created, &f.expires, &f.used, &f.ended, (*string)(&f.Why),
		&p.ID, &f.version, &f.stampNow, &f.checked, &f.asked, &f.answer, &f.gone, &f.leaseEnds,
	}
}

// row is the session that was found.
func (f *scanned) row() (*session.Row, error) {
	row := &f.Row
	if copy(row.Hash[:], f.hash) != len(row.Hash) || copy(row.Person.Version[:], f.version) != len(row.Person.Version) {
		return nil, fmt.Errorf("the session of person %d is damaged in the store", row.Person.ID)
	}
	row.Created, row.Expires, row.Used, row.Ended = session.FromMillis(f.created), session.FromMillis(f.expires), session.FromMillis(f.used), session.FromMillis(f.ended)
	p := &row.Person
	p.Checked, p.Asked, p.Gone, p.Lease = session.FromMillis(f.checked), session.FromMillis(f.asked), session.FromMillis(f.gone), session.FromMillis(f.leaseEnds)
	p.Answer = session.Answer(f.answer)
	row.Stamp, p.Stamp = string(f.stampThen), string(f.stampNow)
	return row, nil
}
