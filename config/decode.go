package config

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"shorepass/internal/duration"
	"strconv"
	"strings"
	"time"

	"github.com/go-viper/mapstructure/v2"
)

// decode fills the struct behind into with what was read at a path, and
// reports each key that does not fit.
func (l *loader) decode(at string, from, into any) {
	l.strict.check(at, from, reflect.TypeOf(into))
	decoder, err := mapstructure.NewDecoder(&mapstructure.DecoderConfig{
		Result:     into,
		RootName:   at,
		TagName:    "toml",
		Squash:     true,
		MatchName:  func(key, field string) bool { return key == field },
		DecodeHook: mapstructure.DecodeHookFuncValue(l.convert),
	})
	if err != nil {
		panic("config: " + err.Error()) // into is no pointer
	}
	for _, e := range decodeErrors(decoder.Decode(from)) {
		key, problem := tomlPath(e.Name()), e.Unwrap().Error()
		// The one secret that is not somebody else's, so that there is a
		// command to make it.
		if file, ok := errors.AsType[noFileError](e); ok && key == "session.seal_key" {
			problem = fmt.Sprintf("there is no file %[1]s; make it with: shorepass keys init --seal-key %[1]s", string(file))
		}
		l.faults.add(key, problem)
	}
}

// decodeErrors returns the errors of single keys in one of mapstructure.
func decodeErrors(err error) []*mapstructure.DecodeError {
	if e, ok := err.(*mapstructure.DecodeError); ok {
		return []*mapstructure.DecodeError{e}
	}
	var all []*mapstructure.DecodeError
	switch e := err.(type) {
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			all = append(all, decodeErrors(inner)...)
		}
	case interface{ Unwrap() error }:
		all = decodeErrors(e.Unwrap())
	}
	return all
}

// tomlPath turns mapstructure's name of a key, which has "a[b]" for the entry
// b of a map a, into a TOML path.
func tomlPath(name string) string {
	head, rest, found := strings.Cut(name, "[")
	if !found {
		return name
	}
	inner, tail, _ := strings.Cut(rest, "]")
	if _, err := strconv.Atoi(inner); err == nil {
		return head + "[" + inner + "]" + tomlPath(tail)
	}
	return head + "." + path(inner) + tomlPath(tail)
}

// convert is called for every value before it is decoded. It turns text into
// the types that are written as text, and is where types are checked: what it
// lets pass, mapstructure can decode. No error of it holds the value.
func (l *loader) convert(from, to reflect.Value) (any, error) {
	if from.Kind() == reflect.Interface {
		from = from.Elem()
	}
	value := from.Interface()
	switch t := to.Type(); {
	case t == secretType:
		return l.secret(value)
	case t == durationType:
		return parseDuration(value)
	case t.Kind() != reflect.Pointer && reflect.PointerTo(t).Implements(textType):
		return unmarshalText(value, t)
	}
	if !fits(value, to) {
		return nil, fmt.Errorf("found %s; write %s", describe(value), wanted(to.Type()))
	}
	return value, nil
}

// fits reports whether a value read from TOML can become what to is.
func fits(value any, to reflect.Value) bool {
	ok := false
	switch to.Kind() {
	case reflect.String:
		_, ok = value.(string)
	case reflect.Bool:
		_, ok = value.(bool)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		var n int64
		n, ok = value.(int64)
		ok = ok && !to.OverflowInt(n)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		var n int64
		n, ok = value.(int64)
		ok = ok && n >= 0 && !to.OverflowUint(uint64(n))
	case reflect.Float32, reflect.Float64:
		switch value.(type) {
		case int64, float64:
			ok = true
		}
	case reflect.Slice:
		_, ok = value.([]any)
	case reflect.Map, reflect.Struct:
		_, ok = value.(map[string]any)
	default: // a pointer, whose element is asked next, or any
		ok = true
	}
	return ok
}

// describe names the type of a value read from TOML.
func describe(value any) string {
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

// wanted names the type of an option.
func wanted(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return `text in quotes`
	case reflect.Bool:
		return "true or false, without quotes"
	case reflect.Float32, reflect.Float64:
		return "a number, without quotes"
	case reflect.Slice:
		if elem := t.Elem(); elem.Kind() == reflect.Map || isTable(elem) {
			return "a list of tables, each under its own [[…]]"
		}
		return `a list such as ["one", "two"]`
	case reflect.Map, reflect.Struct:
		return `a table such as { key = "value" }`
	}
	return "a whole number, without quotes"
}

func unmarshalText(value any, t reflect.Type) (any, error) {
	s, ok := value.(string)
	if !ok {
		return nil, fmt.Errorf("found %s; write text in quotes", describe(value))
	}
	into := reflect.New(t)
	if err := into.Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(s)); err != nil {
		return nil, fmt.Errorf("this text is not a %s; write one in quotes", strings.ToLower(t.Name()))
	}
	return into.Elem().Interface(), nil
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
		return 0, errors.New(`a length of time cannot be below zero; write a longer one`)
	}
	return d, nil
}
