package session

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"shorepass/internal/duration"
	"shorepass/internal/secret"
	"shorepass/internal/tlsconf"
)

// Config is the [session] table.
type Config struct {
	// Store is the database for sessions and for everything else that replicas
	// share: "sqlite:FILE", or "postgres://USER:PASSWORD@HOST:5432/DATABASE"
	// for PostgreSQL and databases that speak its protocol. Several hosts are
	// separated by commas, with "?target_session_attrs=read-write" if all but
	// one of them are standbys. Connections to another machine use TLS and
	// verify its name, unless the URL's sslmode says otherwise. A SQLite file
	// and its folder must be readable by their owner only; missing ones are
	// created so. Default "sqlite:data/shorepass.db".
	Store secret.Text `toml:"store" path:"write,sqlite:" reload:"restart"`

	// Connections is the size of each replica's connection pool to PostgreSQL.
	// A redemption uses a connection for less than a millisecond, so a few
	// serve thousands a second. All replicas together must stay below the
	// server's max_connections. Default 10.
	Connections int `toml:"connections" reload:"restart"`

	// ConnectTimeout is the timeout of opening a connection to PostgreSQL.
	// Default "3s".
	ConnectTimeout time.Duration `toml:"connect_timeout" reload:"restart"`

	// QueryTimeout is the timeout of a query to PostgreSQL, including the wait
	// for a free connection. When it expires, the client gets 503. Default
	// "3s".
	QueryTimeout time.Duration `toml:"query_timeout" reload:"restart"`

	// TLS is how to connect to PostgreSQL: the authorities to trust, and the
	// certificate to show. Optional.
	TLS tlsconf.Config `toml:"tls" reload:"restart"`

	// SealKey encrypts the providers' refresh tokens: base64 of 32 bytes, as
	// "shorepass keys init --seal-key FILE" writes it. Several keys, separated
	// by blanks or new lines, form a key ring: the first encrypts, each
	// decrypts. To rotate: give every replica the old key followed by the new
	// one, and restart it; put the new one first, and restart each again; run
	// "shorepass sessions rekey"; remove the old one. Default: seal.key in the
	// folder of a SQLite store, created at the first start; required with any
	// other store.
	SealKey secret.Text `toml:"seal_key" reload:"restart"`

	// Revalidate is how long a provider's answer about a person is used. After
	// it, a redemption asks the provider again. Default "5m".
	Revalidate time.Duration `toml:"revalidate"`

	// Grace is how long sessions go on while their provider is down, how long a
	// provider must report a person as gone before the sessions end, and how
	// long a circuit breaker can stay open. Default "1h".
	Grace time.Duration `toml:"grace"`

	// Idle ends a refresh token that has not been redeemed for so long. At
	// least "10m", because the last use is recorded to about a minute. Default
	// "90d".
	Idle time.Duration `toml:"idle"`

	// Lifetime is the maximum lifetime of a refresh token. Default "365d".
	Lifetime time.Duration `toml:"lifetime"`

	// Unused ends a refresh token that has never been redeemed, so long after
	// its login. Default "7d".
	Unused time.Duration `toml:"unused"`

	// UncheckedLifetime is the maximum lifetime of a session whose provider
	// cannot revalidate. Default "12h".
	UncheckedLifetime time.Duration `toml:"unchecked_lifetime"`

	// CILifetime is the maximum lifetime of a session that began with an ID
	// token. Default "1h".
	CILifetime time.Duration `toml:"ci_lifetime"`

	// BrowserIdle ends a browser's session that has not been used for so long.
	// At least "10m". Default "8h".
	BrowserIdle time.Duration `toml:"browser_idle"`

	// BrowserLifetime is the maximum lifetime of a browser's session. Default
	// "24h".
	BrowserLifetime time.Duration `toml:"browser_lifetime"`

	// PATLifetime is the maximum lifetime of a personal access token. Default
	// "90d".
	PATLifetime time.Duration `toml:"pat_lifetime"`

	// RobotLifetime is the maximum lifetime of a robot's secret. Default
	// "365d".
	RobotLifetime time.Duration `toml:"robot_lifetime"`

	// PerPerson is the maximum number of refresh tokens of a person. Another
	// one evicts the least recently used, but one made within the last hour
	// only if there is no older one. Default 1000.
	PerPerson int `toml:"per_person"`

	// RememberPeople is how long a person is remembered after their last session
	// ended: their provider, subject and user name, when they were last seen, and
	// their ended sessions, which are kept for 30 days at most. Then all of it is
	// deleted. A person who was not seen for so long is forgotten as soon as no
	// session of theirs is stored. Default "90d".
	RememberPeople time.Duration `toml:"remember_people"`
}

// defaultStore is a file in a folder of its own, since a mounted volume can have a mode
// that others may read.
const defaultStore = "sqlite:data/shorepass.db"

const day = 24 * time.Hour

// minRevalidate is a rate limit: a provider is not asked at every redemption.
const minRevalidate = time.Second

// minIdle is well above lastUseResolution, so that a session in use does not
// end as idle.
const minIdle = 10 * lastUseResolution

// maxLifetime bounds every duration of this table. It stands for "for ever".
const maxLifetime = 100 * 365 * day

// WithDefaults returns a copy with defaults for the options that are not set.
// SealKey stays empty: whether one can be created depends on the store.
func (c Config) WithDefaults() Config {
	if c.Store.IsZero() {
		c.Store = secret.New(defaultStore)
	}
	for _, d := range []struct {
		key   *time.Duration
		value time.Duration
	}{
		{&c.Revalidate, 5 * time.Minute},
		{&c.Grace, time.Hour},
		{&c.Idle, 90 * day},
		{&c.Lifetime, 365 * day},
		{&c.Unused, 7 * day},
		{&c.UncheckedLifetime, 12 * time.Hour},
		{&c.CILifetime, time.Hour},
		{&c.BrowserIdle, 8 * time.Hour},
		{&c.BrowserLifetime, day},
		{&c.PATLifetime, 90 * day},
		{&c.RobotLifetime, 365 * day},
		{&c.RememberPeople, 90 * day},
		{&c.ConnectTimeout, 3 * time.Second},
		{&c.QueryTimeout, 3 * time.Second},
	} {
		if *d.key == 0 {
			*d.key = d.value
		}
	}
	if c.PerPerson == 0 {
		c.PerPerson = 1000
	}
	if c.Connections == 0 {
		c.Connections = 10
	}
	return c
}

// Validate reports the faults of the [session] table with its defaults. It
// never shows the store's URL, which may contain a password.
func (c Config) Validate(fault func(key, problem string)) {
	c.validateStore(fault)
	if !c.SealKey.IsZero() {
		if _, err := ParseKeys(c.SealKey); err != nil {
			fault("seal_key", err.Error())
		}
	}
	for _, d := range []struct {
		key   string
		value time.Duration
	}{
		{"revalidate", c.Revalidate}, {"grace", c.Grace}, {"idle", c.Idle}, {"lifetime", c.Lifetime},
		{"unused", c.Unused}, {"unchecked_lifetime", c.UncheckedLifetime}, {"ci_lifetime", c.CILifetime},
		{"browser_idle", c.BrowserIdle}, {"browser_lifetime", c.BrowserLifetime}, {"pat_lifetime", c.PATLifetime}, {"robot_lifetime", c.RobotLifetime},
		{"remember_people", c.RememberPeople},
	} {
		if d.value < minRevalidate || d.value > maxLifetime {
			fault(d.key, fmt.Sprintf("%s is not between \"1s\" and \"36500d\"", duration.Format(d.value)))
		}
	}
	for _, d := range []struct {
		key   string
		value time.Duration
	}{{"idle", c.Idle}, {"browser_idle", c.BrowserIdle}} {
		if d.value >= minRevalidate && d.value < minIdle {
			fault(d.key, fmt.Sprintf("%v is less than \"10m\": the last use is known to about a minute", d.value))
		}
	}
	if c.PerPerson < 1 || c.PerPerson > maxPerPerson {
		fault("per_person", fmt.Sprintf("%d is not between 1 and %d", c.PerPerson, maxPerPerson))
	}
}

// validateStore reports the faults of the store and of its connection options.
func (c Config) validateStore(fault func(key, problem string)) {
	file, isSQLite := c.SQLiteFile()
	switch {
	case isSQLite && (file == "" || strings.TrimSpace(filepath.Base(file)) == ""):
		fault("store", `names no file; write one such as "sqlite:data/shorepass.db"`)
	case !isSQLite && !c.IsPostgres():
		fault("store", `is neither "sqlite:FILE" nor "postgres://…"`)
	}
	if c.Connections < 1 || c.Connections > maxConnections {
		fault("connections", fmt.Sprintf("%d is not between 1 and %d", c.Connections, maxConnections))
	}
	for _, d := range []struct {
		key   string
		value time.Duration
	}{{"connect_timeout", c.ConnectTimeout}, {"query_timeout", c.QueryTimeout}} {
		if d.value < minStoreTimeout || d.value > maxStoreTimeout {
			fault(d.key, fmt.Sprintf("%s is not between \"100ms\" and \"1m\"", duration.Format(d.value)))
		}
	}
	c.TLS.Validate(fault)
}

// IsPostgres reports whether the store is PostgreSQL.
func (c Config) IsPostgres() bool {
	store := c.Store.Reveal()
	return strings.HasPrefix(store, "postgres://") || strings.HasPrefix(store, "postgresql://")
}

// SQLiteFile returns the path of a SQLite store, and false for any other store.
func (c Config) SQLiteFile() (path string, ok bool) {
	if path, ok = strings.CutPrefix(c.Store.Reveal(), "sqlite:"); !ok {
		return "", false // the URL may contain a password
	}
	return path, true
}

// Bounds of the connection options. docker gives up after fifteen seconds, so
// more than a few seconds are of use only on slow machines.
const (
	maxConnections  = 1000
	minStoreTimeout = 100 * time.Millisecond
	maxStoreTimeout = time.Minute
)

// maxPerPerson bounds the rows of one person.
const maxPerPerson = 1_000_000
