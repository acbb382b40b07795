package config

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"shorepass/internal/secret"
)

// Fault is one error in a configuration. [Load] returns all of them, joined.
type Fault struct {
	File    string // as passed to Load
	Line    int    // 0 where no line of the file is at fault
	Key     string // dotted, such as "provider[1].users.filter", counted from 0; may be empty
	Problem string // what is wrong, and what would be right
}

// Error returns "file:line: key: problem".
func (f *Fault) Error() string { return f.Place() + ": " + f.Problem }

// Place returns "file:line: key".
func (f *Fault) Place() string {
	var b strings.Builder
	b.WriteString(f.File)
	if f.Line > 0 {
		fmt.Fprintf(&b, ":%d", f.Line)
	}
	if f.Key != "" {
		b.WriteString(": " + f.Key)
	}
	return b.String()
}

// Faults returns the faults in an error of [Load], ordered by line.
func Faults(err error) []*Fault {
	var all []*Fault
	switch e := err.(type) {
	case *Fault:
		all = []*Fault{e}
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			all = append(all, Faults(inner)...)
		}
	case interface{ Unwrap() error }:
		all = Faults(e.Unwrap())
	}
	return all
}

// faults collects the faults of one text.
type faults struct {
	text   *text
	list   []*Fault
	unread map[string]bool // keys whose values were not read, whose faults are dropped
}

func (f *faults) add(key, problem string) {
	f.list = append(f.list, f.at(key, problem))
}

// at returns a fault of key, at the line of the key or, where the key is not in the
// text, of its table. The password in a URL that the problem quotes is redacted.
func (f *faults) at(key, problem string) *Fault {
	// A fault is one line, although a library's message in it may have several.
	problem = strings.Join(strings.FieldsFunc(problem, func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
	return &Fault{File: f.text.name, Line: f.text.line(key), Key: key, Problem: secret.RedactURLs(problem)}
}

// under returns the function to pass to a package's Validate, which reports faults with
// keys relative to prefix. A fault at a key that has a fault already, or was not read,
// is dropped: the value that Validate saw is not the file's.
func (f *faults) under(prefix string) func(key, problem string) {
	undecoded := maps.Clone(f.unread)
	for _, known := range f.list {
		undecoded[known.Key] = true
	}
	return func(key, problem string) {
		full := join(prefix, key)
		for k := full; k != ""; k = parent(k) {
			if undecoded[k] {
				return
			}
		}
		f.add(full, problem)
	}
}

// err returns all faults in the order of the file, or nil.
func (f *faults) err() error {
	slices.SortStableFunc(f.list, func(a, b *Fault) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Key, b.Key))
	})
	all := make([]error, len(f.list))
	for i, fault := range f.list {
		all[i] = fault
	}
	return errors.Join(all...)
}

// join appends a key to the dotted key of its table.
func join(table, key string) string {
	if table == "" || key == "" || key[0] == '[' {
		return table + key
	}
	return table + "." + key
}

// parent returns a dotted key without its last part, "" for a top-level key.
func parent(key string) string {
	return key[:max(0, strings.LastIndexAny(key, ".["))]
}
