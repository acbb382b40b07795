package ldap

import (
	"reflect"
	"strings"
	"testing"
)

// TestPresetKeys: every decision of a preset has its key, which overrides it, a list
// also when it is empty (C4).
func TestPresetKeys(t *testing.T) {
	own := map[reflect.Type][]any{
		reflect.TypeFor[string]():   {"own"},
		reflect.TypeFor[[]string](): {[]string{"own"}, []string{}},
	}
	for name := range presets {
		for _, field := range reflect.VisibleFields(reflect.TypeFor[preset]()) {
			key := field.Tag.Get("key")
			for _, value := range own[field.Type] {
				cfg := Config{Preset: name, Groups: Groups{Base: new("ou=groups,dc=x")}}
				at := fieldOfKey(reflect.ValueOf(&cfg).Elem(), key)
				if !at.IsValid() || at.Type() != field.Type {
					t.Fatalf("preset.%s has no key of its type: its tag names %q", field.Name, key)
				}
				at.Set(reflect.ValueOf(value))
				cfg = cfg.WithDefaults()
				if got := fieldOfKey(reflect.ValueOf(&cfg).Elem(), key).Interface(); !reflect.DeepEqual(got, value) {
					t.Errorf("preset %q with %s = %v gives %v", name, key, value, got)
				}
			}
			if own[field.Type] == nil {
				t.Errorf("preset.%s is a %s, which no test overrides", field.Name, field.Type)
			}
		}
	}
}

// fieldOfKey returns the field of a table that has a key, such as "users.filter".
func fieldOfKey(table reflect.Value, key string) reflect.Value {
	name, rest, nested := strings.Cut(key, ".")
	for i := range table.NumField() {
		switch {
		case table.Type().Field(i).Tag.Get("toml") != name:
		case nested:
			return fieldOfKey(table.Field(i), rest)
		default:
			return table.Field(i)
		}
	}
	return reflect.Value{}
}
