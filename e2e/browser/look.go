package browser

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
)

// Widths of the browser's window in CSS pixels.
const (
	Narrow  = 320 // to which WCAG 2.2, 1.4.10 wants pages to reflow
	Phone   = 360
	Desktop = 1280
)

// Scheme is what a person prefers to see.
type Scheme string

const (
	Light  Scheme = "light"
	Dark   Scheme = "dark"
	Forced Scheme = "forced" // forced colors, light on dark
)

// Resize sets the width of the window.
func (p *Page) Resize(width int) {
	p.tb.Helper()
	height := 800
	if width < 600 {
		height = 740
	}
	call(p, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: int64(width), Height: int64(height), DeviceScaleFactor: 1})
}

// Prefer sets the color scheme. There is no motion in any of them.
func (p *Page) Prefer(s Scheme) {
	p.tb.Helper()
	features := []*emulation.MediaFeature{{Name: "prefers-reduced-motion", Value: "reduce"}, {Name: "prefers-color-scheme", Value: string(s)}}
	if s == Forced {
		features[1].Value = string(Dark)
		features = append(features, &emulation.MediaFeature{Name: "forced-colors", Value: "active"})
	}
	call(p, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features})
}

// Inspect checks how the page looks, under a name for its screenshots: at the width of a
// phone and of a desktop, in each color scheme, it takes a screenshot; it fails for what
// [Page.Check] finds in the light and the dark one, and for a page that scrolls
// sideways at 320 pixels.
func (p *Page) Inspect(name string) {
	p.tb.Helper()
	for _, width := range []int{Phone, Desktop} {
		p.Resize(width)
		for _, scheme := range []Scheme{Light, Dark, Forced} {
			p.Prefer(scheme)
			p.Screenshot(fmt.Sprintf("%s-%d-%s", name, width, scheme))
			if scheme != Forced && width == Desktop {
				p.Check()
			}
		}
	}
	p.Prefer(Light)
	p.Resize(Narrow)
	if over := evaluate[int](p, `document.documentElement.scrollWidth - document.documentElement.clientWidth`); over > 0 {
		p.Screenshot(fmt.Sprintf("%s-%d-%s", name, Narrow, Light))
		p.tb.Errorf("the page at %s scrolls sideways by %d pixels at a width of %d", p.URL(), over, Narrow)
	}
	p.Resize(Desktop)
}

// Screenshot writes a picture of the whole page, NAME.png, into the folder that the
// environment variable SCREENSHOTS names, by default bin/screenshots of the repository.
func (p *Page) Screenshot(name string) {
	p.tb.Helper()
	dir := cmp.Or(os.Getenv("SCREENSHOTS"), top("bin", "screenshots"))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		p.tb.Fatal(err)
	}
	size := call(p, page.GetLayoutMetrics, cdp.Empty{}).CSSContentSize
	picture := call(p, page.CaptureScreenshot, page.CaptureScreenshotParams{
		Clip:                  &page.Viewport{Width: size.Width, Height: size.Height, Scale: 1},
		CaptureBeyondViewport: new(true),
		OptimizeForSpeed:      new(true),
	}).Data
	if err := os.WriteFile(filepath.Join(dir, name+".png"), picture, 0o644); err != nil {
		p.tb.Fatal(err)
	}
}
