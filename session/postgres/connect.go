package postgres

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"shorepass/internal/tlsconf"
	"shorepass/session"
)

// errURL replaces every error of the parser. The parser quotes the URL, and redacts
// the password only if it can find where that begins.
var errURL = errors.New(`session.store is not a URL of PostgreSQL, such as "postgres://USER:PASSWORD@HOST:5432/DATABASE"; ` +
	`in the user and the password write %3A for ":", %2F for "/", %40 for "@", %25 for "%", %23 for "#" and %3F for "?"`)

// errTLSTwice refuses TLS settings in two places, of which one would be ignored
// silently.
var errTLSTwice = errors.New("session.tls and the sslmode, sslrootcert, sslcert or sslkey in session.store both say how to encrypt; leave one of them out")

// Lifetimes of pooled connections. Old connections are replaced so that replicas
// spread over the servers again after one was down.
const (
	connLifetime       = 30 * time.Minute
	connLifetimeJitter = 10 * time.Minute // random, so that not all are replaced at the same time
	connIdleTime       = 5 * time.Minute
	pingTimeout        = time.Second // of the health check of a connection that was idle for a second
)

// poolConfig returns the configuration of the pool. It connects to nothing.
func poolConfig(cfg session.Config) (*pgxpool.Config, error) {
	text, inURL, err := withTLSMode(cfg.Store.Reveal())
	if err != nil {
		return nil, err
	}
	pool, err := pgxpool.ParseConfig(text)
	if err != nil {
		return nil, errURL
	}
	if inURL && cfg.TLS != noTLS {
		return nil, errTLSTwice
	}
	if !inURL {
		if err := configureTLS(&pool.ConnConfig.Config, cfg); err != nil {
			return nil, err
		}
	}
	pool.ConnConfig.ConnectTimeout = cfg.ConnectTimeout
	dialer := &net.Dialer{Timeout: cfg.ConnectTimeout, KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3}}
	pool.ConnConfig.DialFunc = dialer.DialContext
	if pool.ConnConfig.RuntimeParams["application_name"] == "" {
		pool.ConnConfig.RuntimeParams["application_name"] = "shorepass"
	}
	pool.MaxConns = int32(cfg.Connections)
	pool.MinConns, pool.MinIdleConns = 0, 0 // no connection is opened before one is needed
	pool.MaxConnLifetime, pool.MaxConnLifetimeJitter, pool.MaxConnIdleTime = connLifetime, connLifetimeJitter, connIdleTime
	pool.PingTimeout = pingTimeout
	return pool, nil
}

// tlsKeys are the URL's parameters for TLS.
var tlsKeys = []string{"ssl", "sslmode", "sslrootcert", "sslcert", "sslkey", "sslpassword", "sslsni", "sslnegotiation"}

// withTLSMode returns the URL with an sslmode, and whether it had a TLS parameter. The
// driver's default (prefer) would encrypt only if the server offers it, and accept any
// certificate.
func withTLSMode(text string) (_ string, inURL bool, err error) {
	base, rawQuery, _ := strings.Cut(text, "?")
	query, err := url.ParseQuery(rawQuery)
	if err != nil {
		return "", false, errURL
	}
	for _, key := range tlsKeys {
		if query.Has(key) {
			return text, true, nil
		}
	}
	query.Set("sslmode", "disable") // configureTLS sets TLS
	return base + "?" + query.Encode(), false, nil
}

// configureTLS requires every host to prove its name by TLS. Unix sockets have none,
// and loopback addresses have it only with a tls table.
func configureTLS(c *pgconn.Config, cfg session.Config) error {
	base, err := cfg.TLS.Client()
	if err != nil {
		return fmt.Errorf("session.%w", err)
	}
	forHost := func(host string, port uint16) *tls.Config {
		if network, _ := pgconn.NetworkAddress(host, port); network == "unix" || tlsconf.IsLoopback(host) && cfg.TLS == noTLS {
			return nil
		}
		own := base.Clone()
		if own.ServerName == "" {
			own.ServerName = host
		}
		return own
	}
	c.TLSConfig = forHost(c.Host, c.Port)
	for _, f := range c.Fallbacks {
		f.TLSConfig = forHost(f.Host, f.Port)
	}
	return nil
}

var noTLS tlsconf.Config
