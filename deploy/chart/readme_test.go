package chart

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

const readme = "shorepass/README.md"

// TestReadmeHasEveryValue: the table of the README is written from the schema and the
// defaults, and each value has a default and a description.
func TestReadmeHasEveryValue(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- values, written by: go test ./chart -update -->\n", "<!-- end of values -->"
	before, rest, ok := strings.Cut(string(data), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s lacks the marks %q and %q", readme, begin, end)
	}
	want := before + begin + valuesTable(t) + end + after
	if *update {
		if err := os.WriteFile(readme, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(data) != want {
		t.Errorf("the table of values in %s is not that of the schema; run: go test ./chart -update", readme)
	}
}

// schema is the part of a JSON Schema that the table is made of. Keys keep their order.
type schema struct {
	Description string          `json:"description"`
	Type        any             `json:"type"`
	Enum        []string        `json:"enum"`
	Properties  json.RawMessage `json:"properties"`
}

// valuesTable returns the values as a Markdown table, in the order of the schema.
func valuesTable(t *testing.T) string {
	t.Helper()
	var top schema
	readJSON(t, "shorepass/values.schema.json", &top)
	text, err := os.ReadFile("shorepass/values.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var defaults map[string]any
	if err := yaml.UnmarshalStrict(text, &defaults); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("| value | default | meaning |\n|---|---|---|\n")
	writeRows(t, &b, "", top.Properties, defaults)
	return b.String()
}

func writeRows(t *testing.T, b *strings.Builder, prefix string, properties json.RawMessage, defaults map[string]any) {
	t.Helper()
	var all map[string]schema
	if err := json.Unmarshal(properties, &all); err != nil {
		t.Fatal(err)
	}
	for _, name := range keysInOrder(properties, all) {
		value, key := all[name], prefix+name
		fallback, has := defaults[name]
		if !has && key != "global" {
			t.Errorf("values.yaml has no default of %s", key)
		}
		if value.Description == "" {
			t.Errorf("the schema does not describe %s", key)
		}
		if value.Properties != nil {
			below, _ := fallback.(map[string]any)
			writeRows(t, b, key+".", value.Properties, below)
			continue
		}
		shown := ""
		if has {
			data, err := json.Marshal(fallback)
			if err != nil {
				t.Fatal(err)
			}
			shown = "`" + string(data) + "`"
		}
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", key, shown, strings.ReplaceAll(value.Description, "|", `\|`))
	}
	for name := range defaults {
		if _, ok := all[name]; !ok {
			t.Errorf("the schema has no %s", prefix+name)
		}
	}
}

// keysInOrder returns the keys of a JSON object in the order of its text.
func keysInOrder(object json.RawMessage, all map[string]schema) []string {
	names := make([]string, 0, len(all))
	at := make(map[string]int, len(all))
	for name := range all {
		names = append(names, name)
		at[name] = strings.Index(string(object), `"`+name+`": {"`)
		if at[name] < 0 {
			at[name] = strings.Index(string(object), `"`+name+`": {`)
		}
	}
	slices.SortFunc(names, func(a, b string) int { return at[a] - at[b] })
	return names
}

func readJSON(t *testing.T, name string, into any) {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// TestReadmeExamplesRender: each block of values on the page is taken by the chart,
// together with an example.
func TestReadmeExamplesRender(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(data), -1)
	if len(blocks) == 0 {
		t.Fatal("no blocks of values")
	}
	for _, block := range blocks {
		decode(t, mustRender(t, change(t, postgresExample, block[1])...))
	}
}
