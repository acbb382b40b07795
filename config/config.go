// Package config loads the configuration: it parses TOML into a [Config] of the
// packages' own option types, or reports all faults together.
//
// It is strict. An unknown key, a wrong type, a duplicate key, a rule that names a
// provider which does not exist: each is a [Fault] with the file, the line, the key,
// what is wrong and what would be right. A fault of this package never quotes a
// value, since any value can be a secret that was written on the wrong line.
//
// Loading reads files and the environment. It never uses the network and creates no
// file; keys that a first start creates belong to the packages that use them. The
// meaning and the defaults of options belong to the packages that own their types.
// This package decodes them, and checks the options of one package against those of
// another.
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
	"shorepass/server/pages"
	"shorepass/session"
)

// Config is a valid configuration: defaults are filled in, secrets are read, and paths
// of files are absolute. The tags are the names of the tables.
type Config struct {
	Server    server.Config            `toml:"server"`
	Audit     server.AuditConfig       `toml:"audit"`
	Token     registry.Config          `toml:"token"`
	Services  []registry.Service       `toml:"service"`
	Pages     pages.Config             `toml:"pages"`
	Session   session.Config           `toml:"session"`
	Throttle  providers.ThrottleConfig `toml:"throttle"`
	Providers []Provider               `toml:"provider"` // in the order of the file
	Rules     []policy.Rule            `toml:"rule"`
	Policy    *policy.Policy           // compiled from Rules

	// ProviderTables is a hash of the [[provider]] tables as written. It is the
	// same on every replica with the same configuration.
	ProviderTables string

	// Files are the absolute paths of all files that the configuration depends on.
	// When one of them changes, it must be loaded again; see [Watch].
	Files []string

	// Warnings name options that are valid but probably mistakes.
	Warnings []*Fault

	states map[string]durable.State // of Files, taken before they were read
	text   *text                    // what was loaded, for Settings
}
