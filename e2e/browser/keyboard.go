package browser

import (
	"fmt"
	"strings"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// maxTabs is how many elements of a page a person is expected to pass with the tabulator.
const maxTabs = 60

// Press presses and releases keys, one a rune: "\t", " ", or what is to be typed.
func (p *Page) Press(keys string) {
	p.tb.Helper()
	if err := p.do(chromedp.KeyEvent(keys)); err != nil {
		p.tb.Fatalf("press %q: %v", keys, err)
	}
}

// Enter presses Enter and waits for the page that it leads to.
func (p *Page) Enter() {
	p.tb.Helper()
	if err := p.navigate(chromedp.KeyEvent("\r")); err != nil {
		p.tb.Fatalf("the page after Enter: %v\nthe page is %s and says\n%s", err, p.URL(), p.Text())
	}
}

// TabTo presses the tabulator until the element of this accessible name has the focus. It
// fails if the focus cannot be seen, there or on the way (WCAG 2.2, 2.4.7).
func (p *Page) TabTo(name string) {
	p.tb.Helper()
	var passed []string
	for range maxTabs {
		p.Press("\t")
		focused := p.focused()
		if focused == "" {
			continue // the browser itself
		}
		if !evaluate[bool](p, focusIsVisible) {
			p.tb.Errorf("the focus on %q cannot be seen", focused)
		}
		if focused == name {
			return
		}
		passed = append(passed, fmt.Sprintf("%q", focused))
	}
	p.tb.Fatalf("the tabulator does not lead to %q, but to %s", name, strings.Join(passed, ", "))
}

// focusIsVisible says whether the focused element has an outline or a shadow. The button in
// a date field, which is no element of the page, has one of the browser's own.
const focusIsVisible = `(() => {
	const element = document.activeElement, style = getComputedStyle(element);
	if (element.type === "date" && !element.matches(":focus-visible")) return true;
	return style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0 || style.boxShadow !== "none" })()`

// focused returns the accessible name of the element that has the focus, or "".
func (p *Page) focused() string {
	p.tb.Helper()
	element := call(p, runtime.Evaluate, runtime.EvaluateParams{Expression: `document.activeElement`}).Result
	for _, node := range call(p, accessibility.GetPartialAXTree, accessibility.GetPartialAXTreeParams{ObjectID: element.ObjectID, FetchRelatives: new(false)}).Nodes {
		if name := text(node.Name); text(node.Role) != "RootWebArea" && name != "" {
			return name
		}
	}
	return ""
}
