package pages

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestConfigFaults(t *testing.T) {
	for _, test := range []struct {
		name   string
		config Config
		want   []string
	}{
		{"defaults", Config{}, nil},
		{"all of it", Config{Name: "Beispiel GmbH & Co. KG – Container", Color: "#FFD400"}, nil},
		{"long name", Config{Name: strings.Repeat("é", 31)}, []string{`name: it has 62 bytes; write one line of at most 60`}},
		{"two lines", Config{Name: "a\nb"}, []string{`name: "a\nb" holds a character that cannot be printed, such as a line break; write one line of plain text`}},
		{"turned around", Config{Name: "a\u202eb"}, []string{`name: "a\u202eb" holds a character that cannot be printed, such as a line break; write one line of plain text`}},
		{"blank", Config{Name: " a"}, []string{`name: " a" begins or ends with a blank; write it without`}},
		{"name of a color", Config{Color: "blue"}, []string{`color: "blue" is not of the form "#0b5cad"`}},
		{"rules", Config{Color: "#fff;} a {"}, []string{`color: "#fff;} a {" is not of the form "#0b5cad"`}},
	} {
		var got []string
		test.config.WithDefaults().Validate(func(key, problem string) { got = append(got, key+": "+problem) })
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}
