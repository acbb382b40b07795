package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"shorepass/internal/secret"
)

var (
	durationType = reflect.TypeFor[time.Duration]()
	secretType   = reflect.TypeFor[secret.Text]()
	providerType = reflect.TypeFor[Provider]()
)

// field is a key that a table may have.
type field struct {
	name   string
	typ    reflect.Type // of its value, never a pointer
	path   string       // the path tag, see loader.resolve
	reload string       // the reload tag, see reload.go
	index  []int        // for reflect.Value.FieldByIndex

	pointer bool // whether the field tells zero from left out
}

// fields returns the keys of a table that is read into a struct, in the order
// of its declaration. Embedded structs lend their keys.
func fields(t reflect.Type) []field {
	var all []field
	for i := range t.NumField() {
		f := t.Field(i)
		name := f.Tag.Get("toml")
		if f.Anonymous {
			for _, lent := range fields(f.Type) {
				lent.index = append([]int{i}, lent.index...)
				all = append(all, lent)
			}
			continue
		}
		if name == "" {
			continue
		}
		typ, pointer := f.Type, f.Type.Kind() == reflect.Pointer
		if pointer {
			typ = typ.Elem()
		}
		all = append(all, field{name: name, typ: typ, path: f.Tag.Get("path"), reload: f.Tag.Get("reload"), index: []int{i}, pointer: pointer})
	}
	return all
}

// isTable reports whether a type is written as a table whose keys are its
// fields, rather than as one value.
func isTable(t reflect.Type) bool { return t.Kind() == reflect.Struct && t != secretType }

// isZero reports whether a number or a length of time is zero.
func isZero(value any, t reflect.Type) bool {
	if t == durationType {
		d, err := parseDuration(value)
		return err == nil && d == 0
	}
	return value == int64(0) && reflect.Int <= t.Kind() && t.Kind() <= reflect.Uint64
}

// isEmpty reports whether a text or a secret is written, and empty.
func isEmpty(value any, t reflect.Type) bool {
	return value == "" && (t.Kind() == reflect.String || t == secretType)
}

// suggestKey says which key may have been meant.
func suggestKey(key string, known []field) string {
	names := make([]string, len(known))
	for i, f := range known {
		names[i] = f.name
	}
	if near := closest(key, names); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	for _, table := range fields(reflect.TypeFor[Config]()) {
		if isTable(table.typ) && slices.ContainsFunc(fields(table.typ), func(f field) bool { return f.name == key }) {
			return fmt.Sprintf("it belongs in [%s]", table.name)
		}
	}
	return "known here: " + strings.Join(names, ", ")
}

// closest returns the name that differs least from what was written, or ""
// when none is near enough to have been meant.
func closest(written string, names []string) string {
	best, least := "", 1+max(2, len(written)/3)
	for _, name := range names {
		if d := distance(strings.ToLower(written), name); d < least && d < len(name) {
			best, least = name, d
		}
	}
	return best
}

// distance counts the letters that must be put in, left out, replaced or
// swapped with their neighbour to make a into b (optimal string alignment).
func distance(a, b string) int {
	if len(a) > 64 { // no key is so long, and the cost is len(a)·len(b)
		return len(a)
	}
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
