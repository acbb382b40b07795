package config

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"shorepass/internal/duration"
	"shorepass/internal/secret"
)

// decode decodes from, the value of the dotted key at, into an option. It walks the TOML
// tree and the option structs together and once: it checks names and types, assigns
// values, reads secrets, makes paths of files absolute, and reports each fault under its
// key. A value of the wrong type is reported and left out. tag is the option's path tag,
// see [loader.resolve].
func (l *loader) decode(at string, from any, into reflect.Value, tag string) {
	t := into.Type()
	table, isMap := from.(map[string]any)
	list, isList := from.([]any)
	switch {
	case t.Kind() == reflect.Pointer:
		into.Set(reflect.New(t.Elem()))
		l.decode(at, from, into.Elem(), tag)
	case t == providerType && isMap:
		l.decodeProvider(at, table, into.Addr().Interface().(*Provider))
	case isTable(t) && isMap:
		l.decodeTable(at, table, into)
	case t.Kind() == reflect.Slice && isList:
		into.Set(reflect.MakeSlice(t, len(list), len(list)))
		for i, value := range list {
			if isEmpty(value, t.Elem()) {
				l.faults.add(element(at, i), "is empty; write a text, or leave it out")
			}
			l.decode(element(at, i), value, into.Index(i), tag)
		}
	case t.Kind() == reflect.Map && isMap:
		l.decodeMap(at, table, into)
	case isTable(t) || t.Kind() == reflect.Slice || t.Kind() == reflect.Map:
		l.faults.add(at, typeFault(from, t).Error())
	default:
		if err := l.decodeValue(at, from, into, tag); err != nil {
			l.faults.add(at, err.Error())
		}
	}
}

// decodeTable decodes a table into a struct. It reports unknown keys. It also reports a
// zero or an empty text where the option's zero value means that the key is left out,
// since an empty groups.base or when would silently disable something.
func (l *loader) decodeTable(at string, table map[string]any, into reflect.Value) {
	known := fields(into.Type())
	for _, name := range slices.Sorted(maps.Keys(table)) {
		key, value := join(at, dottedKey(name)), table[name]
		i := slices.IndexFunc(known, func(f field) bool { return f.name == name })
		if i < 0 {
			l.faults.add(key, fmt.Sprintf("unknown key %q; %s", name, suggestKey(name, known)))
			continue
		}
		if !known[i].pointer && isZero(value, known[i].typ) {
			l.faults.add(key, "cannot be zero; leave the key out for its default")
		}
		if !known[i].pointer && isEmpty(value, known[i].typ) {
			l.faults.add(key, "is empty; write a text, or leave the key out")
		}
		l.decode(key, value, into.FieldByIndex(known[i].index), known[i].pathTag)
	}
}

// decodeMap decodes a table with arbitrary keys. An entry with a fault is left out.
func (l *loader) decodeMap(at string, table map[string]any, into reflect.Value) {
	into.Set(reflect.MakeMapWithSize(into.Type(), len(table)))
	for _, name := range slices.Sorted(maps.Keys(table)) {
		value, faults := reflect.New(into.Type().Elem()).Elem(), len(l.faults.list)
		l.decode(join(at, dottedKey(name)), table[name], value, "")
		if len(l.faults.list) == faults {
			into.SetMapIndex(reflect.ValueOf(name), value)
		}
	}
}

// decodeValue decodes a value that is neither a table nor a list. Its errors do not
// quote the value.
func (l *loader) decodeValue(at string, from any, into reflect.Value, tag string) error {
	switch t := into.Type(); {
	case t == secretType:
		text, err := l.secret(at, from)
		if missing, ok := errors.AsType[noFileError](err); ok && at == "session.seal_key" {
			// Unlike other secrets, a command of ours makes this one.
			return fmt.Errorf("there is no file %[1]s; make it with: shorepass keys init --seal-key %[1]s", string(missing))
		} else if err != nil {
			return err
		}
		into.Set(reflect.ValueOf(secret.New(l.resolve(at, tag, text.Reveal()))))
		return nil
	case t == durationType:
		d, err := parseDuration(from)
		into.SetInt(int64(d))
		return err
	case t.Kind() == reflect.Interface:
		into.Set(reflect.ValueOf(from))
		return nil
	}
	switch value := from.(type) {
	case string:
		if into.Kind() == reflect.String {
			into.SetString(l.resolve(at, tag, value))
			return nil
		}
	case bool:
		if into.Kind() == reflect.Bool {
			into.SetBool(value)
			return nil
		}
	case int64:
		if into.CanInt() && !into.OverflowInt(value) {
			into.SetInt(value)
			return nil
		}
	}
	return typeFault(from, into.Type())
}

// typeFault returns the fault for a value that does not have the type of its option.
func typeFault(value any, t reflect.Type) error {
	return fmt.Errorf("found %s; write %s", found(value), expected(t))
}

// found describes the type of a TOML value.
func found(value any) string {
	switch value.(type) {
	case string:
		return "text"
	case bool:
		return "true or false"
	case int64, float64:
		return "a number"
	case []any:
		return "a list"
	case map[string]any:
		return "a table"
	}
	return "a date or time"
}

// expected describes the type of an option.
func expected(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return `text in quotes`
	case reflect.Bool:
		return "true or false, without quotes"
	case reflect.Slice:
		if isTable(t.Elem()) {
			return "a list of tables, each under its own [[…]]"
		}
		return `a list such as ["one", "two"]`
	case reflect.Map, reflect.Struct:
		return `a table such as { key = "value" }`
	}
	return "a whole number, without quotes"
}

var errDuration = errors.New(`this is not a length of time; write a number and its unit in quotes, such as "90s", "5m", "12h" or "30d"`)

func parseDuration(value any) (time.Duration, error) {
	text, ok := value.(string)
	if !ok {
		return 0, errDuration
	}
	d, err := duration.Parse(text)
	switch {
	case err != nil:
		return 0, errDuration
	case d < 0:
		return 0, errors.New(`a length of time cannot be negative; write it without the minus sign`)
	}
	return d, nil
}
