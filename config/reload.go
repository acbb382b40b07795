package config

import "reflect"

// Values of the reload tag, by which a package marks an option that it reads
// only at a start. An option without the tag takes effect at each reload.
const (
	// tagRestart: another value takes effect at the next start.
	tagRestart = "restart"

	// tagSwitch: so does setting the table, or leaving it out; other
	// values in it take effect at a reload.
	tagSwitch = "switch"
)

// NeedRestart returns the keys whose values differ and that a reload leaves as
// they were.
func NeedRestart(old, new *Config) []string {
	return needRestart("", reflect.ValueOf(old).Elem(), reflect.ValueOf(new).Elem())
}

func needRestart(at string, old, new reflect.Value) (keys []string) {
	for _, f := range fields(old.Type()) {
		key, was, is := join(at, f.name), old.FieldByIndex(f.index), new.FieldByIndex(f.index)
		switch {
		case f.reload == tagRestart && !reflect.DeepEqual(was.Interface(), is.Interface()),
			f.reload == tagSwitch && was.IsZero() != is.IsZero():
			keys = append(keys, key)
		case f.reload == "" && isTable(f.typ):
			keys = append(keys, needRestart(key, was, is)...)
		}
	}
	return keys
}
