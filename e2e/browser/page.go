package browser

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/storage"
	"github.com/chromedp/chromedp"
)

// Page is one tab of a [Browser], and is used by one goroutine.
type Page struct {
	tb      testing.TB
	ctx     context.Context
	browser *Browser

	mu        sync.Mutex // guards requested
	requested []string   // URLs of documents
}

// newPage opens a tab that is 1280 pixels wide.
func (b *Browser) newPage(tb testing.TB, parent context.Context, o ...chromedp.ContextOption) *Page {
	tb.Helper()
	ctx, cancel := chromedp.NewContext(parent, o...)
	tb.Cleanup(cancel)
	p := &Page{tb: tb, ctx: ctx, browser: b}
	if err := chromedp.Listen(ctx, p.observe); err != nil {
		tb.Fatalf("open a page: %v", err)
	}
	p.Resize(Desktop)
	return p
}

// Tab opens another tab of the same person.
func (p *Page) Tab() *Page {
	p.tb.Helper()
	return p.browser.newPage(p.tb, p.ctx)
}

// Visit loads a URL.
func (p *Page) Visit(url string) {
	p.tb.Helper()
	if err := p.Try(url); err != nil {
		p.tb.Fatalf("visit %s: %v", url, err)
	}
}

// Try loads a URL and returns the browser's error where it shows one of its own pages,
// such as net::ERR_CERT_AUTHORITY_INVALID.
func (p *Page) Try(url string) error { return p.navigate(chromedp.Navigate(url)) }

// Back goes one page back in the history.
func (p *Page) Back() {
	p.tb.Helper()
	history := call(p, page.GetNavigationHistory, cdp.Empty{})
	if history.CurrentIndex == 0 {
		p.tb.Fatal("there is no page to go back to")
	}
	to := history.Entries[history.CurrentIndex-1]
	call(p, page.NavigateToHistoryEntry, page.NavigateToHistoryEntryParams{EntryID: to.ID})
	// A page that the browser has kept does not load again.
	p.wait(func() error {
		now, err := attempt(p, page.GetNavigationHistory, cdp.Empty{})
		if err != nil {
			return err
		}
		state, err := value[string](p, `document.readyState`)
		if err == nil && (now.CurrentIndex == history.CurrentIndex || state != "complete") {
			err = fmt.Errorf("the browser does not come back to %s", to.URL)
		}
		return err
	})
}

// Reload loads the page again.
func (p *Page) Reload() {
	p.tb.Helper()
	if err := p.navigate(chromedp.Reload()); err != nil {
		p.tb.Fatalf("reload: %v", err)
	}
}

// navigate runs what leads to another page, and waits until that has loaded.
func (p *Page) navigate(step chromedp.Action[chromedp.Void]) error {
	ctx, cancel := context.WithTimeout(p.ctx, limit)
	defer cancel()
	_, err := chromedp.RunResponse(ctx, step)
	return err
}

// Status returns the HTTP status of the page.
func (p *Page) Status() int {
	p.tb.Helper()
	return evaluate[int](p, `performance.getEntriesByType("navigation")[0].responseStatus`)
}

// URL returns the URL of the page.
func (p *Page) URL() string {
	p.tb.Helper()
	return evaluate[string](p, pageURL)
}

// Expressions for the URL and the visible text of a page.
const (
	pageURL  = `document.location.href`
	pageText = `document.body ? document.body.innerText : ""`
)

// Text returns the visible text of the page, each run of blanks as one.
func (p *Page) Text() string {
	p.tb.Helper()
	return strings.Join(strings.Fields(evaluate[string](p, pageText)), " ")
}

// Texts returns the visible text of every element that a CSS selector matches.
func (p *Page) Texts(selector string) []string {
	p.tb.Helper()
	return evaluate[[]string](p, fmt.Sprintf(`Array.from(document.querySelectorAll(%q), e => e.innerText)`, selector))
}

// See waits until the page has every text.
func (p *Page) See(texts ...string) {
	p.tb.Helper()
	p.wait(func() error {
		visible, err := value[string](p, pageText)
		if err != nil {
			return err
		}
		visible = strings.Join(strings.Fields(visible), " ")
		for _, text := range texts {
			if !strings.Contains(visible, text) {
				return fmt.Errorf("the page does not say %q; it says\n%s", text, visible)
			}
		}
		return nil
	})
}

// Miss fails if the page has the text.
func (p *Page) Miss(text string) {
	p.tb.Helper()
	if visible := p.Text(); strings.Contains(visible, text) {
		p.tb.Errorf("the page at %s says %q, want that it does not:\n%s", p.URL(), text, visible)
	}
}

// AwaitURL waits until the page's URL begins with a prefix.
func (p *Page) AwaitURL(prefix string) {
	p.tb.Helper()
	p.wait(func() error {
		url, err := value[string](p, pageURL)
		if err == nil && !strings.HasPrefix(url, prefix) {
			err = fmt.Errorf("the page is %s, want %s", url, prefix)
		}
		return err
	})
}

// Cookies returns the cookies of this person, for every host.
func (p *Page) Cookies() []*network.Cookie {
	p.tb.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, limit)
	defer cancel()
	result, err := chromedp.CallBrowser(ctx, storage.GetCookies, storage.GetCookiesParams{BrowserContextID: chromedp.FromContext(p.ctx).BrowserContextID})
	if err != nil {
		p.tb.Fatalf("read the cookies: %v", err)
	}
	return result.Cookies
}

// SetCookie replaces the value of a cookie that the person has.
func (p *Page) SetCookie(name, value string) {
	p.tb.Helper()
	for _, c := range p.Cookies() {
		if c.Name == name {
			call(p, network.SetCookie, network.SetCookieParams{Name: name, Value: value, Domain: c.Domain, Path: c.Path,
				HTTPOnly: &c.HTTPOnly, Secure: &c.Secure, SameSite: c.SameSite})
			return
		}
	}
	p.tb.Fatalf("there is no cookie %s to replace", name)
}

// Scripts switches the scripts of pages on or off.
func (p *Page) Scripts(on bool) {
	p.tb.Helper()
	call(p, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !on})
}

// Language sets the languages that the browser asks for, such as "de-DE,de;q=0.9".
func (p *Page) Language(accept string) {
	p.tb.Helper()
	agent := evaluate[string](p, `navigator.userAgent`)
	call(p, emulation.SetUserAgentOverride, emulation.SetUserAgentOverrideParams{UserAgent: agent, AcceptLanguage: accept})
}

// wait polls ready until it returns nil. An error of the browser, as at the moment at which
// one page follows another, is polled again too.
func (p *Page) wait(ready func() error) {
	p.tb.Helper()
	for deadline := time.Now().Add(limit); ; time.Sleep(20 * time.Millisecond) {
		err := ready()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			p.tb.Fatalf("%v\nthe page is %s and says\n%s", err, p.URL(), p.Text())
		}
	}
}

// do runs actions.
func (p *Page) do(steps ...chromedp.Action[chromedp.Void]) error {
	ctx, cancel := context.WithTimeout(p.ctx, limit)
	defer cancel()
	return chromedp.Do(ctx, steps...)
}

// attempt runs a command of the DevTools protocol.
func attempt[P, R any](p *Page, command cdp.Command[P, R], params P) (R, error) {
	ctx, cancel := context.WithTimeout(p.ctx, limit)
	defer cancel()
	return chromedp.Call(ctx, command, params)
}

// call is attempt for a command that must not fail.
func call[P, R any](p *Page, command cdp.Command[P, R], params P) R {
	p.tb.Helper()
	result, err := attempt(p, command, params)
	if err != nil {
		p.tb.Fatalf("%s: %v", command.Method, err)
	}
	return result
}

// value returns the value of an expression, which may be a promise. It does so where scripts
// are off, too.
func value[T any](p *Page, expression string) (T, error) {
	ctx, cancel := context.WithTimeout(p.ctx, limit)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

// evaluate is value for an expression that must not fail.
func evaluate[T any](p *Page, expression string) T {
	p.tb.Helper()
	result, err := value[T](p, expression)
	if err != nil {
		p.tb.Fatalf("evaluate %.60s: %v", expression, err)
	}
	return result
}
