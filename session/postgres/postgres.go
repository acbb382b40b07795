// Package postgres is the session store in PostgreSQL and in databases that speak
// its protocol and dialect (CockroachDB, YugabyteDB, Aurora): the store for more
// than one replica.
//
// A connection is in use only for one query or one short transaction. A lease is a
// column that one UPDATE compares and sets, and no transaction is open while a
// provider is asked, so that a few connections serve many replicas. A redemption is
// one query, prepared once per connection. The package uses no LISTEN/NOTIFY and no
// advisory locks, so it works through a pooler such as pgbouncer.
//
// A write is durable when the method returns, if the server has synchronous_commit
// on, as it has by default: a revocation, a token that a client received and a
// rotated refresh token survive a crash of the server. Only the rows of the throttle
// do not wait for the disk.
//
// While the server is down every query fails; afterwards the pool reconnects by
// itself. A query that only reads is retried once on a new connection.
package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"shorepass/session"
)

// Store is a [session.Store] and a [throttle.Store] in a PostgreSQL database. It is
// safe for concurrent use.
type Store struct {
	pool         *pgxpool.Pool
	queryTimeout time.Duration // of one query, or one transaction
}

var (
	_ session.Store        = (*Store)(nil)
	_ session.PoolReporter = (*Store)(nil)
)

// slowFactor multiplies the timeout of queries that no login waits for: lists and
// sweeps.
const slowFactor = 10

// Open connects to the database that cfg names, whose defaults must be applied, and
// migrates it to the schema of this version. Neither the store nor an error shows the
// URL or the password.
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

// OpenExisting is Open for a process that is not a server, such as the command line;
// servers may use the database at the same time. It neither creates nor migrates the
// schema. Without a schema the error wraps session.ErrNoStore; at another schema it
// is that of [session.RequireSchema].
func OpenExisting(ctx context.Context, cfg session.Config) (*Store, error) {
	pool, err := poolConfig(cfg)
	if err != nil {
		return nil, err
	}
	return connect(ctx, pool, cfg, (*Store).requireSchema)
}

// connect returns a store on a pool of connections, if it passes the check.
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

// Now returns the clock of the server, which all replicas use.
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

// PoolStats implements [session.PoolReporter]: there is one pool, "all".
func (s *Store) PoolStats() map[string]session.PoolStats {
	stat := s.pool.Stat()
	return map[string]session.PoolStats{"all": {
		InUse: int(stat.AcquiredConns()), Idle: int(stat.IdleConns()), Max: int(stat.MaxConns()),
		Waits: uint64(stat.EmptyAcquireCount()), Waited: stat.EmptyAcquireWaitTime(),
	}}
}

// Close waits for queries in progress and closes the connections.
func (s *Store) Close() error {
	s.pool.Close()
	return nil
}

// read runs a query that changes nothing, within factor times the timeout. It retries
// once if the connection turns out to be lost: the server was restarted, or a standby
// took over.
func (s *Store) read(ctx context.Context, factor time.Duration, query func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, factor*s.queryTimeout)
	defer cancel()
	err := query(ctx)
	if isLost(err) && ctx.Err() == nil {
		s.pool.Reset()
		err = query(ctx)
	}
	return s.withHint(err)
}

// write runs one statement that changes rows. It is retried after a conflict, which
// rolled it back, and if it cannot have reached the server; no other error is safe to
// retry.
func (s *Store) write(ctx context.Context, factor time.Duration, run func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, factor*s.queryTimeout)
	defer cancel()
	return s.withHint(s.retry(ctx, func(err error) bool { return isUnsent(err) || isConflict(err) }, func() error { return run(ctx) }))
}

// beginQuery begins a transaction. The server ends one that is idle for five seconds,
// so that a replica that is paused in the middle of one does not block the others. A
// transaction takes milliseconds.
const beginQuery = "BEGIN; SET LOCAL idle_in_transaction_session_timeout = 5000"

// inTx runs f in a transaction. It retries all of it after a conflict with another
// transaction, and when the connection was lost before COMMIT was sent.
func (s *Store) inTx(ctx context.Context, factor time.Duration, f func(context.Context, pgx.Tx) error) error {
	return s.inTxWith(ctx, factor, beginQuery, f)
}

// inTxWith is inTx with another query to begin the transaction.
func (s *Store) inTxWith(ctx context.Context, factor time.Duration, begin string, f func(context.Context, pgx.Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, factor*s.queryTimeout)
	defer cancel()
	committing := false
	return s.withHint(s.retry(ctx, func(err error) bool { return isConflict(err) || isLost(err) && !committing }, func() error {
		committing = false
		return s.runTx(ctx, begin, f, &committing)
	}))
}

// runTx runs f in one transaction. It sets committing before it sends COMMIT: from
// then on a lost connection leaves the outcome unknown.
func (s *Store) runTx(ctx context.Context, begin string, f func(context.Context, pgx.Tx) error, committing *bool) error {
	tx, err := s.pool.BeginTx(ctx, pgx.TxOptions{BeginQuery: begin})
	if err != nil {
		return err
	}
	if err := f(ctx, tx); err != nil {
		// The rollback has a timeout of its own, since that of ctx may be over. The
		// pool takes the connection back after it, or closes it if it fails.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.queryTimeout)
		defer cancel()
		_ = tx.Rollback(ctx) // f's error is returned
		return err
	}
	*committing = true
	return tx.Commit(ctx)
}

// maxAttempts bounds how often a statement or transaction is tried.
const maxAttempts = 5

// retry runs f until it succeeds or fails with an error that mayRetry refuses, at most
// maxAttempts times. The backoff begins at 5 ms and doubles.
func (s *Store) retry(ctx context.Context, mayRetry func(error) bool, f func() error) error {
	backoff := 5 * time.Millisecond
	for attempt := 1; ; attempt++ {
		err := f()
		if err == nil || attempt == maxAttempts || !mayRetry(err) {
			return err
		}
		if isLost(err) {
			s.pool.Reset()
		}
		select {
		case <-time.After(backoff):
			backoff *= 2
		case <-ctx.Done():
			return err
		}
	}
}
