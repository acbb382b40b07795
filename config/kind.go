package config

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"shorepass/providers"
)

// Options is a struct that a table of the configuration is decoded into. Its toml tags
// are the keys.
type Options[C any] interface {
	// WithDefaults returns a copy with the defaults of the keys that were left out.
	WithDefaults() C

	// Validate reports each fault by its key, relative to the table. It reads no
	// file and does not use the network.
	Validate(fault func(key, problem string))
}

// ProviderOptions is the options struct of a kind of provider, by pointer. It embeds
// [providers.Config], whose defaults and faults this package handles.
type ProviderOptions[C any] interface {
	*C
	kindOptions
}

// kindOptions is the interface of the options of every kind of provider.
type kindOptions interface {
	// Common returns the embedded options that all kinds have.
	Common() *providers.Config

	// ClaimNames returns the names of the claims that identities of this provider
	// can have. A rule with any other claim is refused.
	ClaimNames() []string

	// FoldsCase reports whether the provider ignores case in names.
	FoldsCase() bool

	// Methods returns the methods by which people of this provider log in.
	Methods() []providers.Method

	// ReadsGroups reports whether identities of this provider can have groups.
	ReadsGroups() bool

	// GroupNames returns which names groups can have, without the prefix.
	GroupNames() providers.GroupNames
}

// issuerOptions is the interface of the options of a provider whose identities come from
// an issuer of tokens.
type issuerOptions interface {
	// TokenIssuer returns the issuer, which identifies people together with their
	// subjects.
	TokenIssuer() string
}

// Kinds has the kinds of provider by the names that a configuration uses.
type Kinds map[string]ProviderKind

// ProviderKind is the constructor of one kind of provider and of its options.
type ProviderKind struct {
	// options returns new, zero options to decode into.
	options func() kindOptions

	// check applies the defaults to the options and reports their faults.
	check func(options kindOptions, fault func(key, problem string))

	// build makes the provider from its options.
	build func(options kindOptions) (providers.Provider, error)
}

// Kind makes a ProviderKind from the constructor of a provider. With it this package
// imports no kind of provider, and a new kind is one line where kinds are wired.
func Kind[C Options[C], P providers.Provider, O ProviderOptions[C]](construct func(C) (P, error)) ProviderKind {
	return ProviderKind{
		options: func() kindOptions { return O(new(C)) },
		check: func(options kindOptions, fault func(key, problem string)) {
			c := (*C)(options.(O))
			*c = (*c).WithDefaults()
			(*c).Validate(fault)
		},
		build: func(options kindOptions) (providers.Provider, error) {
			p, err := construct(*options.(O))
			if err != nil {
				return nil, err // not p, which would be a nil pointer in an interface that is not nil
			}
			return p, nil
		},
	}
}

// Provider is a [[provider]] table with valid options.
type Provider struct {
	providers.Config // what every kind has

	kind    ProviderKind
	options kindOptions // nil where the kind is unknown, which is a fault
	unread  bool        // a secret among the options was not read, see OnlySecrets
}

// Build makes the provider. It may read files, and never uses the network. It fails
// where a secret of the provider was not read.
func (p Provider) Build() (providers.Provider, error) {
	if p.unread {
		return nil, errors.New("its secrets were not read")
	}
	return p.kind.build(p.options)
}

// decodeProvider fills the options of the kind that a [[provider]] table names.
func (l *loader) decodeProvider(at string, table map[string]any, into *Provider) {
	// The name counts even where the kind is wrong, so that a rule with the name does
	// not get a fault too.
	into.Name, _ = table["name"].(string)
	known := slices.Sorted(maps.Keys(l.kinds))
	name, isText := table["kind"].(string)
	kind, ok := l.kinds[name]
	switch {
	case table["kind"] == nil:
		l.faults.add(at, "kind is missing; write one of "+quoted(known))
	case !isText:
		l.faults.add(at+".kind", fmt.Sprintf("found %s; write one of %s", found(table["kind"]), quoted(known)))
	case !ok && Closest(name, known) != "":
		l.faults.add(at+".kind", fmt.Sprintf("unknown kind of provider %q; did you mean %q?", name, Closest(name, known)))
	case !ok:
		l.faults.add(at+".kind", fmt.Sprintf("unknown kind of provider %q; write one of %s", name, quoted(known)))
	default:
		into.kind, into.options = kind, kind.options()
		unread := len(l.faults.unread)
		l.decodeTable(at, table, reflect.ValueOf(into.options).Elem())
		into.unread = len(l.faults.unread) > unread
	}
}

// quoted formats names as "a", "b" or "c".
func quoted(names []string) string {
	var b strings.Builder
	for i, name := range names {
		switch {
		case i == 0:
		case i == len(names)-1:
			b.WriteString(" or ")
		default:
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%q", name)
	}
	return b.String()
}
