// Package config reads the configuration: TOML in, a [Config] of the
// packages' own option types out, or every fault in it at once.
//
// It is strict. An unknown key, a wrong type, a key that stands twice, a rule
// that names a provider which does not exist: each is a [Fault] with the file,
// the line, the key, what is wrong and what would be right. No value is ever
// part of a fault that this package makes, since any value can be a secret
// that slipped into the wrong line.
//
// Loading touches files and the environment, never the network, and makes no
// file: keys that a first start creates are the business of those who use
// them. The options' meaning and defaults belong to the packages that own the
// types; this one fills them, and checks the options of one package against
// those of another.
//
//	cfg, err := config.Load("shorepass.toml", config.Kinds{
//		"file": config.Kind(file.New),
//		"ldap": config.Kind(ldap.New),
//	})
package config

import (
	"shorepass/internal/durable"
	"shorepass/policy"
	"shorepass/providers"
	"shorepass/registry"
	"shorepass/server"
	"shorepass/session"
)

// Config is a configuration that was checked: defaults are filled in, secrets
// are read, and the paths of files no longer depend on the working directory.
// The tags are the names of the tables.
type Config struct {
	Server    server.Config            `toml:"server"`
	Audit     server.AuditConfig       `toml:"audit"`
	Token     registry.Config          `toml:"token"`
	Services  []registry.Service       `toml:"service"`
	Session   session.Config           `toml:"session"`
	Throttle  providers.ThrottleConfig `toml:"throttle"`
	Providers []Provider               `toml:"provider"` // in the order of the file
	Rules     []policy.Rule            `toml:"rule"`
	Policy    *policy.Policy           // of Rules, compiled

	// ProviderTables is a hash of the [[provider]] tables as they are written.
	// It is the same on every replica of one configuration.
	ProviderTables string

	// Files are the absolute paths of every file that the configuration was
	// read from or points to: when one of them changes it is time to load
	// again. See [Watch].
	Files []string

	// Warnings are what is allowed and yet hardly meant, each in the form of
	// a [Fault].
	Warnings []string

	states map[string]durable.State // of Files, taken before they were read
}
