package pages

// Config is the [pages] table: how the pages look.
type Config struct {
	// Name is the heading of every page, such as the company's. One line of at most 60
	// bytes. Default "Container registry".
	Name string `toml:"name"`

	// Color is the color of buttons and links, "#rrggbb". Its contrast with white must be
	// 4.5:1 or more; a lighter one is used in the dark. Default "#0b5cad".
	Color string `toml:"color"`

	// Logo is a file of at most 32 KiB, SVG or PNG, shown beside the name. Optional.
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
