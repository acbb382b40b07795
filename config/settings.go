package config

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"

	"shorepass/internal/duration"
	"shorepass/internal/secret"
	"shorepass/policy"
)

// Setting is one key of the effective configuration.
type Setting struct {
	Table  string `json:"table"` // the header that it stands under: "[server]", "[[provider]]"
	Index  int    `json:"index"` // which table of that header, from 0
	Key    string `json:"key"`   // within the table, dotted: "users.base"
	Value  any    `json:"value"` // as it is written in TOML; of a secret where it is read from, or "[redacted]"
	Origin Origin `json:"origin"`
	Line   int    `json:"line,omitempty"` // in the file; 0 unless Origin is OriginFile
}

// Origin is where the value of a setting comes from.
type Origin string

const (
	OriginFile    Origin = "file"    // the configuration file
	OriginDefault Origin = "default" // the default of the key
	OriginPreset  Origin = "preset"  // the provider's preset
	OriginDerived Origin = "derived" // other keys, such as the root's folder from session.store
)

// Settings returns the effective configuration, table by table in the order of the
// reference: what is written, and what defaults and presets fill in. A key without a
// value is left out. No value is a secret.
func (c *Config) Settings() []Setting {
	w := settingsWriter{text: c.text}
	plain := newLoader("", "/", nil)
	plain.validate()
	defaults := reflect.ValueOf(plain.cfg)
	v := reflect.ValueOf(*c)
	for _, f := range fields(v.Type()) {
		value, from := v.FieldByIndex(f.index), c.text.tree[f.name]
		if value.Kind() == reflect.Slice {
			w.tables(f.name, f.name, from, value)
			continue
		}
		w.table, w.index = "["+f.name+"]", 0
		w.walk(f.name, "", from, value, []reflect.Value{defaults.FieldByIndex(f.index)})
	}
	return w.settings
}

// settingsWriter walks the options and the TOML tree together, as the loader does.
type settingsWriter struct {
	text     *text
	table    string
	index    int
	settings []Setting
}

// tables adds the settings of a list of tables. name is that of their header.
func (w *settingsWriter) tables(at, name string, from any, list reflect.Value) {
	written, _ := from.([]any)
	for i := range list.Len() {
		var tree any
		if i < len(written) {
			tree = written[i]
		}
		value, plain := list.Index(i), []reflect.Value(nil)
		switch one := value.Interface().(type) {
		case Provider:
			value = reflect.ValueOf(one.options).Elem()
			plain = one.plainOptions()
		case policy.Rule:
			plain = []reflect.Value{reflect.ValueOf(policy.WithDefaults([]policy.Rule{{Name: one.Name}})[0])}
		}
		w.table, w.index = "[["+name+"]]", i
		w.walk(element(at, i), "", tree, value, plain)
		w.lists(element(at, i), name, tree, value)
	}
}

// plainOptions returns the options of the provider's kind with the defaults alone, and
// with those of the provider's preset if it has one.
func (p Provider) plainOptions() []reflect.Value {
	with := func(preset string) reflect.Value {
		options := p.kind.options()
		v := reflect.ValueOf(options).Elem()
		if f := v.FieldByName("Preset"); f.IsValid() && preset != "" {
			f.SetString(preset)
		}
		*options.Common() = options.Common().WithDefaults()
		p.kind.check(options, func(string, string) {})
		return v
	}
	all := []reflect.Value{with("")}
	if f := reflect.ValueOf(p.options).Elem().FieldByName("Preset"); f.IsValid() && f.String() != "" {
		all = append(all, with(f.String()))
	}
	return all
}

// lists adds the lists of tables within a table, which have headers of their own.
func (w *settingsWriter) lists(at, name string, from any, table reflect.Value) {
	tree, _ := from.(map[string]any)
	for _, f := range fields(table.Type()) {
		if value := table.FieldByIndex(f.index); f.typ.Kind() == reflect.Slice && isTable(f.typ.Elem()) {
			w.tables(join(at, f.name), name+"."+f.name, tree[f.name], value)
		}
	}
}

// walk adds the settings of a table: at is its key in the file, prefix that within the
// header's table, from the TOML that it was decoded from. plain are the same options
// with defaults alone, and with those of a preset.
func (w *settingsWriter) walk(at, prefix string, from any, table reflect.Value, plain []reflect.Value) {
	tree, _ := from.(map[string]any)
	for _, f := range fields(table.Type()) {
		value, key := table.FieldByIndex(f.index), join(prefix, f.name)
		var defaults []reflect.Value
		for _, p := range plain {
			defaults = append(defaults, p.FieldByIndex(f.index))
		}
		switch {
		case isTable(f.typ):
			w.walk(join(at, f.name), key, tree[f.name], value, defaults)
		case f.typ.Kind() == reflect.Slice && isTable(f.typ.Elem()):
		default:
			w.add(join(at, f.name), key, tree[f.name], value, defaults)
		}
	}
}

// add adds a setting, unless it has no value.
func (w *settingsWriter) add(at, key string, from any, value reflect.Value, plain []reflect.Value) {
	s := Setting{Table: w.table, Index: w.index, Key: key}
	switch {
	case from != nil:
		s.Origin, s.Line = OriginFile, w.text.line(at)
	case value.IsZero() && value.Kind() != reflect.Bool:
		return
	case len(plain) == 0 && value.IsZero(), len(plain) > 0 && equal(value, plain[0]):
		s.Origin = OriginDefault
	case len(plain) > 1 && equal(value, plain[1]):
		s.Origin = OriginPreset
	default:
		s.Origin = OriginDerived
	}
	s.Value = shown(at, value, from)
	w.settings = append(w.settings, s)
}

func equal(a, b reflect.Value) bool { return reflect.DeepEqual(a.Interface(), b.Interface()) }

// shown returns a value as TOML has it. A secret in a file or in the environment is shown
// as the reference that was written; one in place only if it is the file of a local store.
func shown(at string, value reflect.Value, from any) any {
	if value.Kind() == reflect.Pointer {
		if value.IsNil() {
			return nil
		}
		value = value.Elem()
	}
	switch v := value.Interface().(type) {
	case time.Duration:
		return duration.Format(v)
	case secret.Text:
		if reference, ok := from.(map[string]any); ok {
			return reference
		}
		if at == "session.store" && strings.HasPrefix(v.Reveal(), "sqlite:") {
			return v.Reveal()
		}
		return v.String()
	case string:
		return secret.RedactUserinfo(v)
	case []string:
		redacted := make([]string, len(v))
		for i := range v {
			redacted[i] = secret.RedactUserinfo(v[i])
		}
		return redacted
	default:
		return v
	}
}

// FormatSettings returns settings as a TOML file, with the origin of each value beside
// it. Without secrets in place the file is a configuration with the same meaning.
func FormatSettings(settings []Setting) (string, error) {
	var out strings.Builder
	for i, s := range settings {
		if i == 0 || s.Table != settings[i-1].Table || s.Index != settings[i-1].Index {
			fmt.Fprintf(&out, "\n%s\n", s.Table)
		}
		value, err := formatValue(s.Value)
		if err != nil {
			return "", fmt.Errorf("write %s of %s: %w", s.Key, s.Table, err)
		}
		fmt.Fprintf(&out, "%-60s # %s\n", s.Key+" = "+value, s.origin())
	}
	return strings.TrimPrefix(out.String(), "\n"), nil
}

func (s Setting) origin() string {
	if s.Origin == OriginFile {
		return fmt.Sprintf("line %d", s.Line)
	}
	return string(s.Origin)
}

// formatValue returns a value as TOML on one line.
func formatValue(value any) (string, error) {
	switch v := reflect.ValueOf(value); v.Kind() {
	case reflect.String:
		return formatText(v.String())
	case reflect.Slice:
		entries := make([]string, v.Len())
		for i := range entries {
			var err error
			if entries[i], err = formatValue(v.Index(i).Interface()); err != nil {
				return "", err
			}
		}
		return "[" + strings.Join(entries, ", ") + "]", nil
	case reflect.Map:
		return formatTable(v)
	}
	text, err := toml.Marshal(map[string]any{"v": value})
	return strings.TrimSpace(strings.TrimPrefix(string(text), "v = ")), err
}

// formatTable returns an inline table.
func formatTable(table reflect.Value) (string, error) {
	var entries []string
	for key, value := range table.Seq2() {
		name, err := formatText(key.String())
		if err != nil {
			return "", err
		}
		if dottedKey(key.String()) == key.String() {
			name = key.String() // a bare key
		}
		text, err := formatValue(value.Interface())
		if err != nil {
			return "", err
		}
		entries = append(entries, name+" = "+text)
	}
	slices.Sort(entries)
	return "{ " + strings.Join(entries, ", ") + " }", nil
}

// formatText returns a basic string of TOML. Its escapes are those of JSON, but that JSON
// leaves DEL as it is.
func formatText(text string) (string, error) {
	var out strings.Builder
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(text)
	return strings.ReplaceAll(strings.TrimSuffix(out.String(), "\n"), "\x7f", `\u007f`), err
}
