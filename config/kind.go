package config

import (
	"reflect"

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
