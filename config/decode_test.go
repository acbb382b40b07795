package config

import (
	"reflect"
	"testing"
	"time"

	"github.com/pelletier/go-toml/v2"

	"shorepass/providers"
)

func TestDuration(t *testing.T) {
	const day = 24 * time.Hour
	for _, tt := range []struct {
		text string
		want time.Duration // negative for an error
	}{
		{"5m", 5 * time.Minute},
		{"90s", 90 * time.Second},
		{"1h30m", 90 * time.Minute},
		{"0s", 0},
		{"0", 0},
		{"0d", 0},
		{"90d", 90 * day},
		{"365d", 365 * day},
		{"1d12h", 36 * time.Hour},
		{"65535d", 65535 * day},
		{"", -1},
		{"d", -1},
		{"5", -1},
		{"five minutes", -1},
		{"1.5d", -1},
		{"-1d", -1},
		{"-5m", -1},
		{"1d-12h", -1},
		{"12h1d", -1},
		{"1d1d", -1},
		{"90 d", -1},
		{"65536d", -1},
		{"65535d2562047h", -1}, // overflows a Duration
		{"1w", -1},
	} {
		got, err := parseDuration(tt.text)
		if tt.want < 0 && err == nil || tt.want >= 0 && (err != nil || got != tt.want) {
			t.Errorf("parseDuration(%q) = %v, %v; want %v", tt.text, got, err, tt.want)
		}
	}
}

func TestClosest(t *testing.T) {
	keys := []string{"issuer", "services", "lifetime", "root_certificate", "root_key", "ca", "to"}
	for written, want := range map[string]string{
		"lifetme":          "lifetime",
		"lifetiem":         "lifetime",
		"LIFETIME":         "lifetime",
		"life_time":        "lifetime",
		"service":          "services",
		"rootCertificate":  "root_certificate",
		"root-key":         "root_key",
		"tocken":           "",
		"x":                "",
		"":                 "",
		"password":         "",
		"cas":              "ca",
		"issuer_and_a_lot": "",
	} {
		if got := Closest(written, keys); got != want {
			t.Errorf("Closest(%q) = %q, want %q", written, got, want)
		}
	}
}

// TestFaultNamesTheKey: the key of a fault is a TOML path, quoted where necessary.
func TestFaultNamesTheKey(t *testing.T) {
	for written, want := range map[string]string{
		`groups.rename."a b" = 1`: `groups.rename."a b"`,
		`groups.rename.a-b = 1`:   "groups.rename.a-b",
		`groups.rename."a.b" = 1`: `groups.rename."a.b"`,
		`groups.rename."" = 1`:    `groups.rename.""`,
		`groups.only = ["x", 1]`:  "groups.only[1]",
	} {
		var o struct {
			Groups providers.GroupNames `toml:"groups"`
		}
		l := newLoader("shorepass.toml", "/", nil)
		decodeText(t, l, "p[0]", written, &o)
		if list := l.faults.list; len(list) != 1 || list[0].Key != "p[0]."+want {
			t.Errorf("decode of %s: %v, want one fault at %q", written, l.faults.err(), "p[0]."+want)
		}
	}
}

// decodeText parses a TOML table and decodes it into a struct.
func decodeText(t *testing.T, l *loader, at, text string, into any) {
	t.Helper()
	var table map[string]any
	if err := toml.Unmarshal([]byte(text), &table); err != nil {
		t.Fatal(err)
	}
	l.decode(at, table, reflect.ValueOf(into).Elem(), "")
}
