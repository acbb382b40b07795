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

// errURL stands for whatever the parser says, since that quotes the URL, and it
// can hide a password only where it can tell where that begins.
var errURL = errors.New(`session.store is not a URL of PostgreSQL, such as "postgres://USER:PASSWORD@HOST:5432/DATABASE"; ` +
	`in the user and the password write %3A for ":", %2F for "/", %40 for "@", %25 for "%", %23 for "#" and %3F for "?"`)

// errTLSTwice keeps one of two settings from being silently dropped.
var errTLSTwice = errors.New("session.tls and the sslmode, sslrootcert, sslcert or sslkey in session.store both say how to encrypt; leave one of them out")

// How long connections are kept. An old one is replaced so that replicas spread
// over servers again after one was away.
const (
	connLifetime       = 30 * time.Minute
	connLifetimeJitter = 10 * time.Minute // at random, so that not all are replaced at once
	connIdleTime       = 5 * time.Minute
	pingTimeout        = time.Second // of one that was idle for a second and is to be used again
)

// poolConfig reads how to connect.
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
	pool.MinConns, pool.MinIdleConns = 0, 0 // a server that is down is not called for nobody
	pool.MaxConnLifetime, pool.MaxConnLifetimeJitter, pool.MaxConnIdleTime = connLifetime, connLifetimeJitter, connIdleTime
	pool.PingTimeout = pingTimeout
	return pool, nil
}

// tlsKeys are what a URL can say of encryption.
var tlsKeys = []string{"ssl", "sslmode", "sslrootcert", "sslcert", "sslkey", "sslpassword", "sslsni", "sslnegotiation"}

// withTLSMode returns the URL with a mode of encryption, and whether it had
// one. Left alone the driver would encrypt where the server happens to offer
// it, and trust whatever that shows.
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
	query.Set("sslmode", "disable") // until secure has had its say
	return base + "?" + query.Encode(), false, nil
}

// configureTLS makes every host prove its name, except this machine, where nobody
// stands in between, unless the configuration has a tls table.
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
