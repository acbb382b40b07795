package config

import (
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"github.com/pelletier/go-toml/v2"
)

// FuzzLoad: no text makes Load panic. The result is a configuration or faults, never both;
// the line of each fault is in the text; and a text that is accepted has no unknown key.
func FuzzLoad(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.toml")
	for _, name := range append(files, "../config.example.toml") {
		if data, err := os.ReadFile(name); err == nil {
			f.Add(string(data))
		}
	}
	folder := f.TempDir()
	f.Fuzz(func(t *testing.T, data string) {
		l := newLoader("fuzz.toml", folder, kinds)
		l.text.data = []byte(data)
		cfg, err := l.load()
		if (cfg == nil) == (err == nil) {
			t.Fatalf("load() = %v, %v; want one of the two", cfg, err)
		}
		lines := 1 + countLines(data)
		for _, fault := range Faults(err) {
			if fault.Problem == "" || fault.Line < 0 || fault.Line > lines {
				t.Errorf("fault %+v in a text of %d lines", fault, lines)
			}
		}
		if cfg != nil {
			var tree map[string]any
			if err := toml.Unmarshal([]byte(data), &tree); err != nil {
				t.Fatalf("accepted a text that is not TOML: %v", err)
			}
			for _, key := range slices.Sorted(maps.Keys(keysOf(tree))) {
				if !knownKeys()[key] {
					t.Errorf("accepted the unknown key %s", key)
				}
			}
		}
	})
}

func countLines(s string) int {
	n := 0
	for _, c := range s {
		if c == '\n' {
			n++
		}
	}
	return n
}

// keysOf returns the keys of a tree in the form of knownKeys: without the indexes of
// lists, and with the kind of each [[provider]].
func keysOf(tree map[string]any) map[string]bool {
	keys := make(map[string]bool)
	for name, value := range tree {
		list, ok := value.([]any)
		if name != "provider" || !ok {
			collectKeys(keys, name, value)
			continue
		}
		for _, p := range list {
			kind, _ := p.(map[string]any)["kind"].(string)
			collectKeys(keys, name+" "+kind, p)
		}
	}
	return keys
}

func collectKeys(keys map[string]bool, at string, value any) {
	switch v := value.(type) {
	case map[string]any:
		if freeKeys()[at] {
			break
		}
		for name, inner := range v {
			collectKeys(keys, at+"."+name, inner)
		}
		return
	case []any:
		tables := false
		for _, inner := range v {
			if table, ok := inner.(map[string]any); ok {
				tables = true
				collectKeys(keys, at, table)
			}
		}
		if tables {
			return
		}
	}
	keys[at] = true
}

// knownKeys returns the keys of all options.
func knownKeys() map[string]bool {
	known, _ := allKeys()
	return known
}

// freeKeys returns the keys whose tables have arbitrary keys, or are a single value, as
// secrets are.
func freeKeys() map[string]bool {
	_, free := allKeys()
	return free
}

func allKeys() (known, free map[string]bool) {
	known, free = make(map[string]bool), make(map[string]bool)
	var walk func(at string, t reflect.Type)
	walk = func(at string, t reflect.Type) {
		for t.Kind() == reflect.Slice {
			t = t.Elem()
		}
		if t.Kind() == reflect.Map || t == secretType {
			free[at] = true
		}
		if !isTable(t) {
			known[at] = true
			return
		}
		for _, f := range fields(t) {
			walk(at+"."+f.name, f.typ)
		}
	}
	for _, f := range fields(reflect.TypeFor[Config]()) {
		if f.name != "provider" {
			walk(f.name, f.typ)
		}
	}
	for name, kind := range kinds {
		walk("provider "+name, reflect.TypeOf(kind.options()).Elem())
	}
	return known, free
}
