package config

import "reflect"

// Values of the reload tag, with which a package marks an option that it reads only at
// the start. An option without the tag takes effect at a reload.
const (
	// tagRestart: a changed value takes effect at the next start.
	tagRestart = "restart"

	// tagSwitch: adding or removing the table takes effect at the next start;
	// changed values in it take effect at a reload.
	tagSwitch = "switch"
)

// NeedRestart returns the keys whose values differ and take effect only after a restart.
func NeedRestart(old, new *Config) []string {
	return needRestart("", reflect.ValueOf(old).Elem(), reflect.ValueOf(new).Elem())
}

func needRestart(at string, old, new reflect.Value) (keys []string) {
	for _, f := range fields(old.Type()) {
		key, was, is := join(at, f.name), old.FieldByIndex(f.index), new.FieldByIndex(f.index)
		switch {
		case f.reloadTag == tagRestart && !reflect.DeepEqual(was.Interface(), is.Interface()),
			f.reloadTag == tagSwitch && was.IsZero() != is.IsZero():
			keys = append(keys, key)
		case f.reloadTag == "" && isTable(f.typ):
			keys = append(keys, needRestart(key, was, is)...)
		}
	}
	return keys
}
