package pages

import (
	"encoding/hex"
	"fmt"
	"math"
)

// color is a color in the sRGB color space.
type color struct{ r, g, b uint8 }

var (
	black = color{0, 0, 0}
	white = color{255, 255, 255}
)

// Backgrounds of assets/style.css on which links stand: of two in a scheme, the one
// nearer to the text.
var (
	lightBackground = color{0xf6, 0xf7, 0xf9}
	darkBackground  = color{0x1a, 0x1e, 0x25}
)

// Least contrast of text, and of the parts of a control (WCAG 2.2, 1.4.3 and 1.4.11).
const (
	textContrast    = 4.5
	controlContrast = 3
)

// parseColor parses "#rrggbb".
func parseColor(text string) (color, error) {
	if len(text) == 7 && text[0] == '#' {
		if b, err := hex.DecodeString(text[1:]); err == nil {
			return color{b[0], b[1], b[2]}, nil
		}
	}
	return color{}, fmt.Errorf(`%q is not of the form "#0b5cad"`, text)
}

func (c color) String() string { return fmt.Sprintf("#%02x%02x%02x", c.r, c.g, c.b) }

// luminance is the relative luminance (WCAG 2.2), from 0 for black to 1 for white.
func (c color) luminance() float64 {
	linear := func(channel uint8) float64 {
		v := float64(channel) / 255
		if v <= 0.04045 {
			return v / 12.92
		}
		return math.Pow((v+0.055)/1.055, 2.4)
	}
	return 0.2126*linear(c.r) + 0.7152*linear(c.g) + 0.0722*linear(c.b)
}

// contrast is the contrast ratio of two colors (WCAG 2.2), from 1 to 21.
func contrast(a, b color) float64 {
	brighter, darker := a.luminance(), b.luminance()
	if brighter < darker {
		brighter, darker = darker, brighter
	}
	return (brighter + 0.05) / (darker + 0.05)
}

// mix returns c with a share of another color, from 0 to 1.
func (c color) mix(other color, share float64) color {
	channel := func(a, b uint8) uint8 {
		return uint8(math.Round(float64(a)*(1-share) + float64(b)*share))
	}
	return color{channel(c.r, other.r), channel(c.g, other.g), channel(c.b, other.b)}
}

// bestOn returns the one of black and white that has more contrast with a background. It is
// 4.58 or more, whatever the background is.
func bestOn(background color) color {
	if contrast(white, background) >= contrast(black, background) {
		return white
	}
	return black
}

// shadeOn returns the shade of c next to it with at least that contrast with a background:
// c itself, a darker one on a light background, a lighter one on a dark background.
func (c color) shadeOn(background color, least float64) color {
	toward := bestOn(background)
	for share := 0.0; share < 1; share += 0.02 {
		if shade := c.mix(toward, share); contrast(shade, background) >= least {
			return shade
		}
	}
	return toward
}

// shades are the shades of the operator's color in one color scheme.
type shades struct {
	button, hover color // a button, also under the pointer
	label         color // the text on it
	link          color // links and the outline of what has the focus
}

// shadesOn derives the shades for the background of a color scheme. The text of buttons and
// links has at least textContrast, and a button at least controlContrast with a dark
// background, where nothing else sets it off.
func shadesOn(c, background color) shades {
	button := c
	if bestOn(background) == white {
		button = c.shadeOn(background, controlContrast)
	}
	label := bestOn(button)
	hover := button.mix(black, 0.14)
	if label == black {
		hover = button.mix(white, 0.22)
	}
	return shades{button: button, hover: hover, label: label, link: c.shadeOn(background, textContrast)}
}
