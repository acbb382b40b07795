package session

import (
	"time"

	"shorepass/providers"
)

// Config is the [session] table.
type Config struct {
	// Store is where sessions are kept: "sqlite:FILE" or "postgres://…".
	// Default "sqlite:shorepass.db".
	Store providers.Secret `toml:"store" path:"write,sqlite:"`

	// SealKey seals the providers' refresh tokens: base64 of 32 bytes, as
	// "shorepass keys seal" prints it. Several keys, apart by blanks, are a
	// ring: the first one seals, each opens. Default: seal.key beside a SQLite
	// store, made at first start; required with any other store.
	SealKey providers.Secret `toml:"seal_key"`

	// Revalidate is the time after which the provider is asked again. Default
	// "5m".
	Revalidate time.Duration `toml:"revalidate"`

	// Grace is how long a provider that is down is forgiven, and how long one
	// must say that a person is gone before the session ends. Default "1h".
	Grace time.Duration `toml:"grace"`

	// Idle ends what was not redeemed for so long. Default "90d".
	Idle time.Duration `toml:"idle"`

	// Lifetime ends every session. Default "365d".
	Lifetime time.Duration `toml:"lifetime"`

	// Unused ends what was never redeemed. Default "7d".
	Unused time.Duration `toml:"unused"`

	// UncheckedLifetime ends sessions whose provider cannot be asked again.
	// Default "12h".
	UncheckedLifetime time.Duration `toml:"unchecked_lifetime"`

	// CILifetime ends sessions of who logged in with an ID token. Default
	// "1h".
	CILifetime time.Duration `toml:"ci_lifetime"`

	// PerPerson is how many sessions a person has at most; beyond it those
	// never redeemed go first, the oldest first. Default 1000.
	PerPerson int `toml:"per_person"`
}
