package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"shorepass/providers"
)

// Options is what a kind of provider offers for its [[provider]] table: a
// struct that embeds [providers.Config].
type Options[C any] interface {
	// WithDefaults returns a copy in which what was left out is filled in.
	WithDefaults() C

	// Validate reports each fault by its key, relative to the table, and
	// leaves the keys of providers.Config out. It only looks: no files, no
	// network.
	Validate(fault func(key, problem string))
}

// Kinds are the kinds of provider that a configuration may name.
type Kinds map[string]ProviderKind

// ProviderKind says how a [[provider]] table of one kind is read and built.
type ProviderKind struct {
	// options returns a pointer to new, empty options to decode into.
	options func() any

	// check applies the defaults to the options behind the pointer and
	// reports their faults.
	check func(options any, fault func(key, problem string))

	// build makes the provider of the options behind the pointer.
	build func(options any) (providers.Provider, error)
}

// Kind makes a ProviderKind of a constructor, so that this package needs to
// know no kind of provider and a new one is one line where it is wired.
func Kind[C Options[C], P providers.Provider](construct func(C) (P, error)) ProviderKind {
	return ProviderKind{
		options: func() any { return new(C) },
		check: func(options any, fault func(key, problem string)) {
			c := options.(*C)
			*c = (*c).WithDefaults()
			(*c).Validate(fault)
		},
		build: func(options any) (providers.Provider, error) {
			p, err := construct(*options.(*C))
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
	options any // of that kind, a pointer; nil where there is no such kind, which is a fault
}

// Build makes the provider. It may read files and never uses the network.
func (p Provider) Build() (providers.Provider, error) { return p.kind.build(p.options) }

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
		l.faults.add(at+".kind", fmt.Sprintf("found %s; write one of %s", describe(table["kind"]), quoted(known)))
	case !ok && nearest(name, known) != "":
		l.faults.add(at+".kind", fmt.Sprintf("no provider is of the kind %q; did you mean %q?", name, nearest(name, known)))
	case !ok:
		l.faults.add(at+".kind", fmt.Sprintf("no provider is of the kind %q; write one of %s", name, quoted(known)))
	default:
		into.kind, into.options = kind, kind.options()
		l.decodeTable(at, table, reflect.ValueOf(into.options).Elem())
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

// common returns the part of a kind's options that all kinds have. options is
// a pointer, and so is what is returned.
func common(options any) *providers.Config {
	v := reflect.ValueOf(options).Elem()
	for i := range v.NumField() {
		if v.Type().Field(i).Anonymous {
			if c, ok := v.Field(i).Addr().Interface().(*providers.Config); ok {
				return c
			}
		}
	}
	panic("config: the options of a provider kind must embed providers.Config, " + v.Type().String() + " does not")
}
