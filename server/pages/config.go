package pages

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Config is the [pages] table: how the pages look.
type Config struct {
	// Name is the heading of every page, such as the company's. One line of at most 60
	// bytes. Default "Container registry".
	Name string `toml:"name"`

	// Color is the color of buttons and links, "#rrggbb". Any color does: the text on it is
	// black or white, and where it is hard to read, as yellow is on white, links have a
	// darker shade of it, or in the dark a lighter one (contrast 4.5:1, WCAG 2.2 AA).
	// Default "#0b5cad".
	Color string `toml:"color"`

	// Logo is a file of at most 32 KiB, SVG or PNG, shown beside the name and in the tab
	// of the browser. Default: a box in the color.
	Logo string `toml:"logo" path:"read"`
}

// WithDefaults returns a copy with the defaults of the keys that were left out.
func (c Config) WithDefaults() Config {
	if c.Name == "" {
		c.Name = "Container registry"
	}
	if c.Color == "" {
		c.Color = "#0b5cad"
	}
	return c
}

// maxName bounds Config.Name, in bytes: it stands in one line on a phone.
const maxName = 60

// Validate reports the faults of the table, with the key of each. New reads the logo.
func (c Config) Validate(fault func(key, problem string)) {
	unprintable := func(r rune) bool { return r == utf8.RuneError || !unicode.IsPrint(r) }
	switch {
	case len(c.Name) > maxName:
		fault("name", fmt.Sprintf("it has %d bytes; write one line of at most %d", len(c.Name), maxName))
	case strings.ContainsFunc(c.Name, unprintable):
		fault("name", fmt.Sprintf("%q holds a character that cannot be printed, such as a line break; write one line of plain text", c.Name))
	case strings.TrimSpace(c.Name) != c.Name:
		fault("name", fmt.Sprintf("%q begins or ends with a blank; write it without", c.Name))
	}
	if _, err := parseColor(c.Color); err != nil {
		fault("color", err.Error())
	}
}
