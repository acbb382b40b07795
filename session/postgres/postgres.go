// Package postgres keeps sessions in PostgreSQL, and in what speaks its
// protocol and dialect: CockroachDB, YugabyteDB, Aurora. It is the store for
// more than one replica.
//
// Nothing here needs a connection for longer than a question: a lease is a
// value in a row that one UPDATE compares and sets, and no transaction is open
// while a provider is asked, so that a few connections serve many replicas. A
// redemption is one question with one answer, prepared once per connection.
// There are no notifications and no advisory locks, so that a pooler such as
// pgbouncer may stand before the server.
//
// What a method wrote is durable when it returns, as long as the server has
// synchronous_commit on, which it has unless somebody turned it off: a
// revocation, a token that a client was given and a rotated refresh token then
// survive its crash. The rows of the throttle alone do not wait for the disk.
//
// While a server is lost each question is an error, and once it is back none is:
// connections are made anew, and what only reads is asked again.
package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"shorepass/session"
)

// Store is a database. It is safe for concurrent use.
type Store struct {
	pool         *pgxpool.Pool
	queryTimeout time.Duration // of one question, or one transaction
}

var _ session.Store = (*Store)(nil)

// slowFactor is how many times as long as a login's question one may take that no
// login waits for: lists, and periodic maintenance.
const slowFactor = 10

// Open connects to the database that cfg names, whose defaults must be applied,
// and brings it to the schema of this version. What it returns, errors too,
// never holds the URL or the password in it.
func Open(ctx context.Context, cfg session.Config) (*Store, error) {
	pool, err := poolConfig(cfg)
	if err != nil {
		return nil, err
	}
	if err := migrate(ctx, pool.ConnConfig); err != nil {
		return nil, openError(err)
	}
	return connect(ctx, pool, cfg, (*Store).Ping)
}

// OpenExisting is Open for a process that serves nothing, beside servers or
// without any: it makes no schema and does not migrate. Where there is none yet
// the error wraps session.ErrNoStore, at another schema it is as
// session.RequireSchema has it.
func OpenExisting(ctx context.Context, cfg session.Config) (*Store, error) {
	pool, err := poolConfig(cfg)
	if err != nil {
		return nil, err
	}
	return connect(ctx, pool, cfg, (*Store).requireSchema)
}

// connect returns a store that passes the check.
func connect(ctx context.Context, pool *pgxpool.Config, cfg session.Config, check func(*Store, context.Context) error) (_ *Store, err error) {
	s := &Store{queryTimeout: cfg.QueryTimeout}
	if s.pool, err = pgxpool.NewWithConfig(ctx, pool); err != nil {
		return nil, openError(err)
	}
	if err := check(s, ctx); err != nil {
		return nil, errors.Join(openError(err), s.Close())
	}
	return s, nil
}

// Now is the clock of the server, which all replicas go by.
func (s *Store) Now(ctx context.Context) (time.Time, error) {
	var ms int64
	err := s.read(ctx, 1, func(ctx context.Context) error {
		return s.pool.QueryRow(ctx, "SELECT "+serverNow).Scan(&ms)
	})
	return session.FromMillis(ms), err
}

// serverNow is the server's clock in milliseconds.
const serverNow = "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)"

// Ping reports whether the server answers.
func (s *Store) Ping(ctx context.Context) error {
	return s.read(ctx, 1, s.pool.Ping)
}

// Close closes the connections when the questions under way have their answers.
func (s *Store) Close() error {
	s.pool.Close()
	return nil
}

// read asks what changes nothing, within the limit times a factor, and asks
// once more where the connection turns out to be lost: the server was
// restarted, or another one took its place.
func (s *Store) read(ctx context.Context, factor time.Duration, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, factor*s.queryTimeout)
	defer cancel()
	err := ask(ctx)
	if isLost(err) && ctx.Err() == nil {
		s.pool.Reset()
		err = ask(ctx)
	}
	return s.withHint(err)
}

// write runs one statement that changes something. It is run again only where
// the server cannot have seen it.
func (s *Store) write(ctx context.Context, factor time.Duration, run func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, factor*s.queryTimeout)
	defer cancel()
	return s.withHint(s.retry(ctx, func(err error) bool { return isUnsent(err) || isConflict(err) }, func() error { return run(ctx) }))
}

// beginQuery begins a transaction. A replica that stands still in the middle
// of one must not hold up the others: what is read and then written is read
// and written in milliseconds.
const beginQuery = "BEGIN; SET LOCAL idle_in_transaction_session_timeout = 5000"

// inTx runs f in a transaction, and all of it again where it had to give way to
// another one, or where the connection was lost before it was to be kept.
func (s *Store) inTx(ctx context.Context, factor time.Duration, f func(context.Context, pgx.Tx) error) error {
	return s.inTxWith(ctx, factor, beginQuery, f)
}

// inTxWith is inTx with how the transaction begins.
func (s *Store) inTxWith(ctx context.Context, factor time.Duration, begin string, f func(context.Context, pgx.Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, factor*s.queryTimeout)
	defer cancel()
	committing := false
	return s.withHint(s.retry(ctx, func(err error) bool { return isConflict(err) || isLost(err) && !committing }, func() error {
		committing = false
		return s.runTx(ctx, begin, f, &committing)
	}))
}

func (s *Store) runTx(ctx context.Context, begin string, f func(context.Context, pgx.Tx) error, committing *bool) error {
	tx, err := s.pool.BeginTx(ctx, pgx.TxOptions{BeginQuery: begin})
	if err != nil {
		return err
	}
	if err := f(ctx, tx); err != nil {
		// The limit may be what failed it, and the connection goes back only
		// when the transaction is over; one that cannot be told is closed.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.queryTimeout)
		defer cancel()
		_ = tx.Rollback(ctx) // the first error is the one to tell
		return err
	}
	*committing = true
	return tx.Commit(ctx)
}

// maxAttempts is how often a transaction that collides with others is tried.
const maxAttempts = 5

// retry runs f until it succeeds, or fails for a reason that mayRetry does not
// expect to pass.
func (s *Store) retry(ctx context.Context, mayRetry func(error) bool, f func() error) error {
	wait := 5 * time.Millisecond
	for try := 1; ; try++ {
		err := f()
		if err == nil || try == maxAttempts || !mayRetry(err) {
			return err
		}
		if isLost(err) {
			s.pool.Reset()
		}
		select {
		case <-time.After(wait):
			wait *= 2
		case <-ctx.Done():
			return err
		}
	}
}
