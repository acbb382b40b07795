package pages

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

// The ratios of pairs are those of WCAG's own examples and of its formula.
func TestContrast(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want float64
	}{
		{"#000000", "#ffffff", 21},
		{"#ffffff", "#000000", 21},
		{"#ffffff", "#ffffff", 1},
		{"#767676", "#ffffff", 4.54},
		{"#777777", "#ffffff", 4.48},
		{"#ff0000", "#ffffff", 4.00},
		{"#0b5cad", "#ffffff", 6.67},
	} {
		a, b := mustColor(t, test.a), mustColor(t, test.b)
		if got := contrast(a, b); math.Abs(got-test.want) > 0.01 {
			t.Errorf("contrast(%s, %s) = %.3f, want %.2f", a, b, got, test.want)
		}
	}
}

func TestParseColorRefuses(t *testing.T) {
	for _, text := range []string{"", "blue", "0b5cad", "#fff", "#0b5cad80", "#0b5cag", "#0b5ca", " #0b5cad", "#0b5cad;}", "#+b5cad"} {
		if got, err := parseColor(text); err == nil {
			t.Errorf("parseColor(%q) = %s, want an error", text, got)
		}
	}
}

// Every color is good for a brand: each text has the contrast of WCAG's level AA, in both
// color schemes, under the pointer too.
func TestShadesAreReadable(t *testing.T) {
	for r := 0; r < 256; r += 15 {
		for g := 0; g < 256; g += 15 {
			for b := 0; b < 256; b += 15 {
				c := color{uint8(r), uint8(g), uint8(b)}
				for _, background := range []color{lightBackground, darkBackground} {
					s := shadesOn(c, background)
					if contrast(s.label, s.button) < textContrast || contrast(s.label, s.hover) < textContrast || contrast(s.link, background) < textContrast {
						t.Fatalf("%s on %s: %+v", c, background, s)
					}
				}
			}
		}
	}
}

// A color that is readable as it is stays; one that is not keeps its hue.
func TestShades(t *testing.T) {
	for _, test := range []struct{ color, scheme, want string }{
		{"#0b5cad", "light", "button #0b5cad label #ffffff link #0b5cad"},
		{"#0b5cad", "dark", "button #236cb5 label #ffffff link #4f8ac4"},
		{"#ffd400", "light", "button #ffd400 label #000000 link #856e00"},
		{"#ffd400", "dark", "button #ffd400 label #000000 link #ffd400"},
		{"#000000", "light", "button #000000 label #ffffff link #000000"},
		{"#000000", "dark", "button #6b6b6b label #ffffff link #858585"},
	} {
		background := lightBackground
		if test.scheme == "dark" {
			background = darkBackground
		}
		s := shadesOn(mustColor(t, test.color), background)
		if got := fmt.Sprintf("button %s label %s link %s", s.button, s.label, s.link); got != test.want {
			t.Errorf("%s, %s: %s, want %s", test.color, test.scheme, got, test.want)
		}
	}
}

// The stylesheet has the backgrounds that the shades are derived for.
func TestBackgrounds(t *testing.T) {
	for _, want := range []string{"--page: " + lightBackground.String(), "--card: " + darkBackground.String()} {
		if !strings.Contains(styleSource, want) {
			t.Errorf("assets/style.css lacks %q", want)
		}
	}
}

func mustColor(t *testing.T, text string) color {
	t.Helper()
	c, err := parseColor(text)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
