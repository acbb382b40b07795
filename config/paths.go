package config

import (
	"reflect"
	"shorepass/internal/secret"
	"strings"
)

// A room marks the options that name files with a path tag:
//
//	path:"read"         a file that is read, and whose change means a reload
//	path:"reread"       a file that its room reads again by itself when it changes
//	path:"write"        a file that is written, so that its change means nothing
//	path:"write,file:"  the same, where the value begins with "file:"
//
// Such an option is text, a list of texts or a secret (a store's address can
// hold a password).

// resolve makes the paths in the struct v, found at the given TOML path,
// absolute, and notes the files that are read.
func (l *loader) resolve(at string, v reflect.Value) {
	for _, f := range l.strict.fields(v.Type()) {
		value := v.FieldByIndex(f.index)
		if value.Kind() == reflect.Pointer {
			if value.IsNil() {
				continue
			}
			value = value.Elem()
		}
		key := join(at, f.name)
		switch {
		case f.path != "":
			l.resolveValue(key, f.path, value)
		case isTable(f.typ):
			l.resolve(key, value)
		case f.typ.Kind() == reflect.Slice && isTable(f.typ.Elem()):
			for i := range value.Len() {
				l.resolve(element(key, i), value.Index(i))
			}
		}
	}
}

func (l *loader) resolveValue(key, tag string, value reflect.Value) {
	switch {
	case value.Type() == secretType:
		text := value.Interface().(secret.Text)
		value.Set(reflect.ValueOf(secret.New(l.resolvePath(key, tag, text.Reveal()))))
	case value.Kind() == reflect.Slice:
		for i := range value.Len() {
			l.resolveValue(element(key, i), tag, value.Index(i))
		}
	default:
		value.SetString(l.resolvePath(key, tag, value.String()))
	}
}

func (l *loader) resolvePath(key, tag, name string) string {
	use, scheme, _ := strings.Cut(tag, ",")
	rest, ok := strings.CutPrefix(name, scheme)
	if !ok || rest == "" {
		return name
	}
	full, err := l.locate(rest)
	if err != nil {
		l.faults.add(key, err.Error())
		return name
	}
	if use == "read" {
		l.dependOn(full)
	}
	return scheme + full
}
