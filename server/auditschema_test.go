package server

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"shorepass/policy"
)

// TestAuditLineSchema holds the name and the place of every field. A change
// here is a change of the public schema.
func TestAuditLineSchema(t *testing.T) {
	ended := 0
	for name, test := range map[string]struct {
		line auditLine
		want string
	}{
		"every field": {
			auditLine{
				Time: time.Unix(0, 1).UTC(), Request: "a", Status: 200, User: "b", Subject: "c", Provider: "d", Method: "e", ACR: "7", AMR: []string{"8"}, Account: "f",
				Groups: []string{"1"}, GroupsOmitted: 2, Unsure: []string{"3"}, Claims: map[string]string{"4": "5"},
				Address: "g", ClientID: "h", UserAgent: "i", Service: "j", Asked: []string{"k"}, Granted: []string{"l"}, Denied: []string{"6"},
				Rules: []policy.Verdict{{Rule: "m", Effect: "n", Scope: "o", Actions: []string{"p"}, Fault: "q"}}, Omitted: 1,
				TokenType: "r", Session: "s", JTI: "t", Duration: 0.5, Reason: "u", Action: "v", Target: &auditTarget{"w", "x", "y", "z"}, Ended: &ended, Truncated: 3,
			},
			`{"time":"1970-01-01T00:00:00.000000001Z","request":"a","status":200,"user":"b","subject":"c","provider":"d","method":"e","acr":"7","amr":["8"],"account":"f",` +
				`"groups":["1"],"groups_omitted":2,"unsure":["3"],"claims":{"4":"5"},` +
				`"address":"g","client":"h","user_agent":"i","service":"j","asked":["k"],"granted":["l"],"denied":["6"],` +
				`"rules":[{"rule":"m","effect":"n","scope":"o","actions":["p"],"fault":"q"}],"omitted":1,` +
				`"token_type":"r","session":"s","jti":"t","duration":0.5,"reason":"u","action":"v",` +
				`"target":{"session":"w","user":"x","subject":"y","provider":"z"},"ended":0,"truncated":3}`,
		},
		"no field": {
			auditLine{},
			`{"time":"0001-01-01T00:00:00Z","request":"","status":0,"user":"","address":"","duration":0}`,
		},
	} {
		got, err := json.Marshal(&test.line)
		if err != nil || string(got) != test.want {
			t.Errorf("%s: %s, %v\nwant %s", name, got, err, test.want)
		}
	}
}

// objectSchema has the keywords of a JSON Schema that TestAuditSchema compares.
type objectSchema struct {
	Required             []string                   `json:"required"`
	AdditionalProperties bool                       `json:"additionalProperties"`
	Properties           map[string]json.RawMessage `json:"properties"`
	Defs                 map[string]objectSchema    `json:"$defs"`
}

// TestAuditSchema: docs/audit.schema.json has the fields of the line and no others, and
// requires those that are in every line. That lines are valid is tested with a validator,
// in the end-to-end tests.
func TestAuditSchema(t *testing.T) {
	text, err := os.ReadFile("../docs/audit.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	schema := objectSchema{AdditionalProperties: true}
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	for of, got := range map[reflect.Type]objectSchema{
		reflect.TypeFor[auditLine]():      schema,
		reflect.TypeFor[policy.Verdict](): schema.Defs["verdict"],
		reflect.TypeFor[auditTarget]():    schema.Defs["target"],
	} {
		all, required := jsonFields(of)
		if names := slices.Sorted(maps.Keys(got.Properties)); !slices.Equal(names, slices.Sorted(slices.Values(all))) {
			t.Errorf("%v: the schema has the properties %q, want %q", of, names, all)
		}
		if !slices.Equal(got.Required, required) || got.AdditionalProperties {
			t.Errorf("%v: the schema requires %q, want %q, and no additional properties", of, got.Required, required)
		}
	}
}

// jsonFields returns the names of the fields of a struct, in their order, and of those that
// are never left out.
func jsonFields(of reflect.Type) (all, required []string) {
	for i := range of.NumField() {
		name, omitempty, _ := strings.Cut(of.Field(i).Tag.Get("json"), ",")
		all = append(all, name)
		if omitempty == "" {
			required = append(required, name)
		}
	}
	return all, required
}

// TestAuditPage: docs/audit.md has a row for each field, in their order, and its examples
// are lines as the server writes them.
func TestAuditPage(t *testing.T) {
	page, err := os.ReadFile("../docs/audit.md")
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	_, table, _ := strings.Cut(string(page), "\n## Fields\n")
	table, _, _ = strings.Cut(table, "\n## ")
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\|").FindAllStringSubmatch(table, -1) {
		rows = append(rows, row[1])
	}
	fields, _ := jsonFields(reflect.TypeFor[auditLine]())
	if diff := cmp.Diff(fields, rows); diff != "" {
		t.Errorf("the table of fields differs (-line +page):\n%s", diff)
	}
	examples := regexp.MustCompile("(?m)^```json\n(.*)\n```$").FindAllSubmatch(page, -1)
	for _, example := range examples {
		var line auditLine
		d := json.NewDecoder(bytes.NewReader(example[1]))
		d.DisallowUnknownFields()
		if err := d.Decode(&line); err != nil {
			t.Errorf("%v\n%s", err, example[1])
		} else if text, err := json.Marshal(&line); err != nil || string(text) != string(example[1]) {
			t.Errorf("the page has\n%s\nthe server writes\n%s, %v", example[1], text, err)
		}
	}
	if len(examples) < 7 {
		t.Errorf("the page has only %d examples", len(examples))
	}
}
