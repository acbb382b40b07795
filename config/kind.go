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

// Options are what a table of the configuration is decoded into: a struct whose
// toml tags are the keys.
type Options[C any] interface {
	// WithDefaults returns a copy in which what was left out is filled in.
	WithDefaults() C

	// Validate reports each fault by its key, relative to the table. It only
	// looks: no files, no network.
	Validate(fault func(key, problem string))
}

// ProviderOptions are the options of a kind of provider: a pointer to a struct
// that embeds [providers.Config]. Its defaults and faults leave the keys of that
// to this package.
type ProviderOptions[C any] interface {
	*C
	kindOptions
}

// kindOptions are the options of some kind of provider.
type kindOptions interface {
	// Common returns the part that all kinds have, by embedding.
	Common() *providers.Config

	// ClaimNames names the claims that an identity of this provider can have,
	// so that a rule which asks for another is refused.
	ClaimNames() []string

	// FoldsCase reports whether the provider ignores case in names.
	FoldsCase() bool

	// Methods are those by which people of this provider log in.
	Methods() []providers.Method

	// ReadsGroups reports whether people have groups at all.
	ReadsGroups() bool

	// GroupNames returns which names groups can have, before the prefix.
	GroupNames() providers.GroupNames
}

// Kinds are the kinds of provider that a configuration may name.
type Kinds map[string]ProviderKind

// ProviderKind says how a [[provider]] table of one kind is read and built.
type ProviderKind struct {
	// options returns new, empty options to decode into.
	options func() kindOptions

	// check applies the defaults to the options and reports their faults.
	check func(options kindOptions, fault func(key, problem string))

	// build makes the provider of the options.
	build func(options kindOptions) (providers.Provider, error)
}

// Kind makes a ProviderKind of a constructor, so that this package needs to
// know no kind of provider and a new one is one line where it is wired.
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

// Provider is a [[provider]] table whose options were checked.
type Provider struct {
	providers.Config // what every kind has

	kind    ProviderKind
	options kindOptions // nil where there is no such kind, which is a fault
	unread  bool        // some secret of it was not read, see OnlySecrets
}

// Build makes the provider. It may read files and never uses the network.
func (p Provider) Build() (providers.Provider, error) {
	if p.unread {
		return nil, errors.New("its secrets were not read")
	}
	return p.kind.build(p.options)
}

// decodeProvider fills the options of the kind that a [[provider]] table names.
func (l *loader) decodeProvider(at string, table map[string]any, into *Provider) {
	// Where the kind is wrong the name counts all the same, so that rules may
	// name it: one fault is enough.
	into.Name, _ = table["name"].(string)
	known := slices.Sorted(maps.Keys(l.kinds))
	name, isText := table["kind"].(string)
	kind, ok := l.kinds[name]
	switch {
	case table["kind"] == nil:
		l.faults.add(at, "kind is missing; write one of "+quoted(known))
	case !isText:
		l.faults.add(at+".kind", fmt.Sprintf("found %s; write one of %s", found(table["kind"]), quoted(known)))
	case !ok && closest(name, known) != "":
		l.faults.add(at+".kind", fmt.Sprintf("no provider is of the kind %q; did you mean %q?", name, closest(name, known)))
	case !ok:
		l.faults.add(at+".kind", fmt.Sprintf("no provider is of the kind %q; write one of %s", name, quoted(known)))
	default:
		into.kind, into.options = kind, kind.options()
		unread := len(l.faults.unread)
		l.decodeTable(at, table, reflect.ValueOf(into.options).Elem())
		into.unread = len(l.faults.unread) > unread
	}
}

// quoted lists names: "a", "b" or "c".
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
