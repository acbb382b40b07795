package config

import (
	"encoding"
	"fmt"
	"maps"
	"reflect"
	"shorepass/internal/secret"
	"slices"
	"strings"
	"time"
)

var (
	durationType = reflect.TypeFor[time.Duration]()
	secretType   = reflect.TypeFor[secret.Text]()
	textType     = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// field is a key that a table may have.
type field struct {
	name  string
	typ   reflect.Type // of its value, never a pointer
	path  string       // the path tag, see paths.go
	index []int        // for reflect.Value.FieldByIndex

	pointer bool // whether the field tells zero from left out
}

// fields returns the keys of a table that is read into a struct, in the order
// of its declaration. Embedded structs, and those with the option squash, lend
// their keys.
func fields(t reflect.Type) []field {
	var all []field
	for i := range t.NumField() {
		f := t.Field(i)
		name, option, _ := strings.Cut(f.Tag.Get("toml"), ",")
		if option == "squash" || f.Anonymous {
			for _, lent := range fields(f.Type) {
				lent.index = append([]int{i}, lent.index...)
				all = append(all, lent)
			}
			continue
		}
		if name == "" || name == "-" || !f.IsExported() {
			continue
		}
		typ, pointer := f.Type, f.Type.Kind() == reflect.Pointer
		if pointer {
			typ = typ.Elem()
		}
		all = append(all, field{name: name, typ: typ, path: f.Tag.Get("path"), index: []int{i}, pointer: pointer})
	}
	return all
}

// isTable reports whether a type is written as a table whose keys are its
// fields, rather than as one value.
func isTable(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && t != secretType && !reflect.PointerTo(t).Implements(textType)
}

// strict reports the keys that no field takes, and the zeros that a field would
// take for a key left out.
type strict struct {
	faults *faults
	known  map[reflect.Type][]field // what fields returned
}

func (s *strict) fields(t reflect.Type) []field {
	if s.known[t] == nil {
		s.known[t] = fields(t)
	}
	return s.known[t]
}

// check walks over what was read and the type it shall have, side by side.
// Where they do not fit, decoding says so; here only names count.
func (s *strict) check(at string, value any, t reflect.Type) {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch v := value.(type) {
	case map[string]any:
		if t.Kind() == reflect.Map {
			for key, inner := range v {
				s.check(join(at, path(key)), inner, t.Elem())
			}
		}
		if isTable(t) {
			s.table(at, v, t)
		}
	case []any:
		if t.Kind() == reflect.Slice {
			for i, inner := range v {
				s.check(element(at, i), inner, t.Elem())
			}
		}
	}
}

func (s *strict) table(at string, table map[string]any, t reflect.Type) {
	known := s.fields(t)
	for _, key := range slices.Sorted(maps.Keys(table)) {
		i := slices.IndexFunc(known, func(f field) bool { return f.name == key })
		if i < 0 {
			s.faults.add(join(at, path(key)), fmt.Sprintf("unknown key %q; %s", key, advise(key, known)))
			continue
		}
		if !known[i].pointer && isZero(table[key], known[i].typ) {
			s.faults.add(join(at, path(key)), "cannot be zero; leave the key out for its default")
		}
		s.check(join(at, path(key)), table[key], known[i].typ)
	}
}

// isZero reports whether a number or a length of time is zero.
func isZero(value any, t reflect.Type) bool {
	if t == durationType {
		d, err := parseDuration(value)
		return err == nil && d == 0
	}
	return value == int64(0) && reflect.Int <= t.Kind() && t.Kind() <= reflect.Uint64
}

// advise says which key may have been meant.
func advise(key string, known []field) string {
	names := make([]string, len(known))
	for i, f := range known {
		names[i] = f.name
	}
	if near := nearest(key, names); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	for _, table := range fields(reflect.TypeFor[document]()) {
		if isTable(table.typ) && slices.ContainsFunc(fields(table.typ), func(f field) bool { return f.name == key }) {
			return fmt.Sprintf("it belongs in [%s]", table.name)
		}
	}
	return "known here: " + strings.Join(names, ", ")
}

// nearest returns the name that differs least from what was written, or ""
// when none is near enough to have been meant.
func nearest(written string, names []string) string {
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
