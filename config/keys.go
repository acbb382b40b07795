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

// field is a key of a table, and the struct field for its value.
type field struct {
	name  string
	typ   reflect.Type // of its value, never a pointer
	index []int        // for reflect.Value.FieldByIndex

	pathTag   string // see loader.resolve
	reloadTag string // see tagRestart

	pointer bool // the field is a pointer, which tells zero from left out
}

// fields returns the keys of a table that is decoded into a struct, in the order of
// their declaration, those of embedded structs included.
func fields(t reflect.Type) []field {
	var all []field
	for i := range t.NumField() {
		f := t.Field(i)
		name := f.Tag.Get("toml")
		if f.Anonymous {
			for _, inner := range fields(f.Type) {
				inner.index = append([]int{i}, inner.index...)
				all = append(all, inner)
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
		all = append(all, field{name: name, typ: typ, pathTag: f.Tag.Get("path"), reloadTag: f.Tag.Get("reload"), index: []int{i}, pointer: pointer})
	}
	return all
}

// isTable reports whether a type is a table in TOML, with its fields as the keys, and
// not a single value.
func isTable(t reflect.Type) bool { return t.Kind() == reflect.Struct && t != secretType }

// isZero reports whether a number or a length of time is zero.
func isZero(value any, t reflect.Type) bool {
	if t == durationType {
		d, err := parseDuration(value)
		return err == nil && d == 0
	}
	return value == int64(0) && reflect.Int <= t.Kind() && t.Kind() <= reflect.Uint64
}

// isEmpty reports whether a value is an empty text or secret.
func isEmpty(value any, t reflect.Type) bool {
	return value == "" && (t.Kind() == reflect.String || t == secretType)
}

// suggestKey says which key was probably meant instead of an unknown one.
func suggestKey(key string, known []field) string {
	names := make([]string, len(known))
	for i, f := range known {
		names[i] = f.name
	}
	if near := Closest(key, names); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	for _, table := range fields(reflect.TypeFor[Config]()) {
		if isTable(table.typ) && slices.ContainsFunc(fields(table.typ), func(f field) bool { return f.name == key }) {
			return fmt.Sprintf("it belongs in [%s]", table.name)
		}
	}
	return "the keys here are " + strings.Join(names, ", ")
}

// Closest returns the name with the smallest edit distance to what was written, or ""
// if none is close enough to be a misspelling.
func Closest(written string, names []string) string {
	best, least := "", 1+max(2, len(written)/3)
	for _, name := range names {
		if d := distance(strings.ToLower(written), name); d < least && d < len(name) {
			best, least = name, d
		}
	}
	return best
}

// distance returns the edit distance between a and b (optimal string alignment): the
// number of letters to insert, delete, replace or swap with a neighbor.
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
