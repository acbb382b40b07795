package browser

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/chromedp/cdproto/network"
)

// observe records the documents that the page requests, and reports the secrets that it
// gets. It is called for each event of the page.
func (p *Page) observe(event any) {
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		if e.Type != network.ResourceTypeDocument {
			return
		}
		p.mu.Lock()
		p.requested = append(p.requested, e.Request.URL)
		p.mu.Unlock()
		if u, err := url.Parse(e.Request.URL); err == nil && u.Query().Has("code") {
			p.browser.onSecret("authorization code", u.Query().Get("code"))
		}
	case *network.EventResponseReceivedExtraInfo:
		for name, value := range e.Headers {
			if text, ok := value.(string); ok && strings.EqualFold(name, "Set-Cookie") {
				p.browser.reportCookies(text)
			}
		}
	}
}

// Requested returns the URLs of the documents that the page has requested, those of
// redirects too, the last one last.
func (p *Page) Requested() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.requested)
}

// reportCookies calls onSecret with the values of cookies, one a line.
func (b *Browser) reportCookies(lines string) {
	for line := range strings.Lines(lines) {
		if c, err := http.ParseSetCookie(strings.TrimSpace(line)); err == nil && c.Value != "" {
			b.onSecret("cookie "+c.Name, c.Value)
		}
	}
}
