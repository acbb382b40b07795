package browser

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/chromedp/cdproto/network"
)

// reportSecrets calls onSecret with the secrets of an event of a page.
func (b *Browser) reportSecrets(event any) {
	if b.onSecret == nil {
		return
	}
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		if u, err := url.Parse(e.Request.URL); err == nil && u.Query().Has("code") {
			b.onSecret("authorization code", u.Query().Get("code"))
		}
	case *network.EventResponseReceivedExtraInfo:
		for name, value := range e.Headers {
			if text, ok := value.(string); ok && strings.EqualFold(name, "Set-Cookie") {
				b.reportCookies(text)
			}
		}
	}
}

// reportCookies calls onSecret with the values of cookies, one a line.
func (b *Browser) reportCookies(lines string) {
	for line := range strings.Lines(lines) {
		if c, err := http.ParseSetCookie(strings.TrimSpace(line)); err == nil && c.Value != "" {
			b.onSecret("cookie "+c.Name, c.Value)
		}
	}
}
