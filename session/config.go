package session

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"shorepass/internal/secret"
	"shorepass/internal/tlsconf"
)

// Config is the [session] table.
type Config struct {
	// Store is where sessions are kept, and what else replicas share:
	// "sqlite:FILE", or
	// "postgres://USER:PASSWORD@HOST:5432/DATABASE" for PostgreSQL and what
	// speaks its protocol. Several hosts stand apart by commas, with
	// "?target_session_attrs=read-write" where all but one of them are
	// standbys. Unless the URL says otherwise by sslmode, a host that is not
	// this machine must prove by TLS that it has that name. A file and its
	// folder must be readable by their owner only; what does not exist is made
	// so. Default "sqlite:data/shorepass.db".
	Store secret.Text `toml:"store" path:"write,sqlite:" reload:"restart"`

	// Connections is how many connections each replica opens to PostgreSQL at
	// most. A redemption needs one for less than a millisecond, so a few serve
	// thousands a second. All replicas together must stay below the server's
	// max_connections. Default 10.
	Connections int `toml:"connections" reload:"restart"`

	// ConnectTimeout is how long one connection to PostgreSQL may take to
	// open. Default "3s".
	ConnectTimeout time.Duration `toml:"connect_timeout" reload:"restart"`

	// QueryTimeout is how long PostgreSQL may take to answer, waiting for a
	// free connection included. After it the client gets 503. Default "3s".
	QueryTimeout time.Duration `toml:"query_timeout" reload:"restart"`

	// TLS is how to connect to PostgreSQL: the authorities to trust, and the
	// certificate to show. Optional.
	TLS tlsconf.Config `toml:"tls" reload:"restart"`

	// SealKey seals the providers' refresh tokens: base64 of 32 bytes, as
	// "shorepass keys init --seal-key FILE" writes it. Several keys, apart by
	// blanks or new lines, are a ring: the first one seals, each opens. To
	// rotate, give every replica the old key and after it the new one, restart
	// them, put the new one first, restart them again, run "shorepass sessions
	// rekey", and take the old one out. Default: seal.key beside a SQLite
	// store, made at first start; required with any other store.
	SealKey secret.Text `toml:"seal_key" reload:"restart"`

	// Revalidate is the time after which the provider is asked again. Default
	// "5m".
	Revalidate time.Duration `toml:"revalidate"`

	// Grace is how long a provider that is down is forgiven, how long one must
	// say that a person is gone before the sessions end, and how long one that
	// suddenly refuses too many people is not believed. Default "1h".
	Grace time.Duration `toml:"grace"`

	// Idle ends a refresh token that was not redeemed for so long, which is kept to about a
	// minute: at least "10m". Default "90d".
	Idle time.Duration `toml:"idle"`

	// Lifetime ends every refresh token. Default "365d".
	Lifetime time.Duration `toml:"lifetime"`

	// Unused ends a refresh token that was never redeemed. Default "7d".
	Unused time.Duration `toml:"unused"`

	// UncheckedLifetime ends sessions whose provider cannot be asked again.
	// Default "12h".
	UncheckedLifetime time.Duration `toml:"unchecked_lifetime"`

	// CILifetime ends sessions that began with an ID token. Default "1h".
	CILifetime time.Duration `toml:"ci_lifetime"`

	// BrowserIdle ends a browser's session that was not used for so long: at
	// least "10m". Default "8h".
	BrowserIdle time.Duration `toml:"browser_idle"`

	// BrowserLifetime ends every browser's session. Default "24h".
	BrowserLifetime time.Duration `toml:"browser_lifetime"`

	// PATLifetime is how long a personal access token is good at most. Default
	// "90d".
	PATLifetime time.Duration `toml:"pat_lifetime"`

	// RobotLifetime is how long a robot's secret is good at most. Default
	// "365d".
	RobotLifetime time.Duration `toml:"robot_lifetime"`

	// PerPerson is how many refresh tokens a person has at most. Another one
	// ends the least recently used; one made within the last hour only where
	// there is no older one. Default 1000.
	PerPerson int `toml:"per_person"`
}

// defaultStore is a file in a folder of its own, beside the configuration.
const defaultStore = "sqlite:data/shorepass.db"

const day = 24 * time.Hour

// minRevalidate keeps a provider from being asked at every redemption.
const minRevalidate = time.Second

// minIdle keeps a session that is in use from ending for want of exactness.
const minIdle = 10 * lastUseResolution

// maxLifetime bounds every length of time here: whoever means "for ever" means
// this.
const maxLifetime = 100 * 365 * day

// WithDefaults returns a copy in which what was left out has its default.
// SealKey stays empty: whether it can be made depends on the store.
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

// Validate reports what is wrong with the [session] table, defaults applied.
// What the store's URL says is never shown: it may hold a password.
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
	} {
		if d.value < minRevalidate || d.value > maxLifetime {
			fault(d.key, fmt.Sprintf("%v is not between \"1s\" and \"36500d\"", d.value))
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

// validateStore reports what is wrong with the store and the way to it.
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
			fault(d.key, fmt.Sprintf("%v is not between \"100ms\" and \"1m\"", d.value))
		}
	}
	c.TLS.Validate(fault)
}

// IsPostgres reports whether the store is PostgreSQL, and not a file.
func (c Config) IsPostgres() bool {
	store := c.Store.Reveal()
	return strings.HasPrefix(store, "postgres://") || strings.HasPrefix(store, "postgresql://")
}

// SQLiteFile returns the path of the file, and true, where the store is one.
func (c Config) SQLiteFile() (path string, ok bool) {
	if path, ok = strings.CutPrefix(c.Store.Reveal(), "sqlite:"); !ok {
		return "", false // the rest may hold a password
	}
	return path, true
}

// Bounds of what leads to the store. docker gives up after fifteen seconds, so
// more than a few are of use only to whoever has nothing but slow machines.
const (
	maxConnections  = 1000
	minStoreTimeout = 100 * time.Millisecond
	maxStoreTimeout = time.Minute
)

// maxPerPerson bounds what one person can make the store keep.
const maxPerPerson = 1_000_000
