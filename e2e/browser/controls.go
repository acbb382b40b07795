package browser

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/dom"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
)

// Click clicks a link or a button and waits for the page that it leads to.
func (p *Page) Click(name string) {
	p.tb.Helper()
	p.follow(name, p.find(name, "link", "button"))
}

// ClickFirst clicks the first link or button whose name begins with a prefix, and waits for
// the page that it leads to.
func (p *Page) ClickFirst(prefix string) {
	p.tb.Helper()
	var found []*accessibility.Node
	p.wait(func() (err error) {
		found, err = p.elements([]string{"link", "button"}, func(name string) bool { return strings.HasPrefix(name, prefix) })
		if err == nil && len(found) == 0 {
			err = fmt.Errorf("the page has no link and no button whose name begins with %q", prefix)
		}
		return err
	})
	p.follow(prefix, found[0].BackendDOMNodeID)
}

// follow clicks an element and waits for the page that it leads to.
func (p *Page) follow(name string, element cdp.BackendNodeID) {
	p.tb.Helper()
	x, y := p.center(element)
	if err := p.navigate(chromedp.MouseClickXY(x, y)); err != nil {
		p.tb.Fatalf("the page after a click on %q: %v\nthe page is %s and says\n%s", name, err, p.URL(), p.Text())
	}
}

// Toggle clicks what leads to no other page: a checkbox, a radio button, a disclosure.
func (p *Page) Toggle(name string) {
	p.tb.Helper()
	x, y := p.center(p.find(name, "checkbox", "radio", "switch", "DisclosureTriangle", "DisclosureTriangleGrouped", "button", "tab"))
	if err := p.do(chromedp.MouseClickXY(x, y)); err != nil {
		p.tb.Fatalf("click on %q: %v", name, err)
	}
}

// Fill replaces the text of a field.
func (p *Page) Fill(name, text string) {
	p.tb.Helper()
	call(p, dom.Focus, dom.FocusParams{BackendNodeID: p.find(name, "textbox", "searchbox", "spinbutton", "combobox")})
	evaluate[any](p, `document.activeElement.select()`)
	if text == "" {
		p.Press("\b")
		return
	}
	call(p, input.InsertText, input.InsertTextParams{Text: text})
}

// Choose chooses an option of a list.
func (p *Page) Choose(name, option string) {
	p.tb.Helper()
	call(p, dom.Focus, dom.FocusParams{BackendNodeID: p.find(name, "combobox", "listbox")})
	if !evaluate[bool](p, fmt.Sprintf(`(() => {
		const list = document.activeElement, at = Array.from(list.options).findIndex(o => o.label === %q);
		if (at >= 0) list.selectedIndex = at;
		return at >= 0 })()`, option)) {
		p.tb.Fatalf("the list %q has no option %q", name, option)
	}
}

// Has reports whether the page has an element of this accessible name, and of one of the
// roles if there are any.
func (p *Page) Has(name string, roles ...string) bool {
	p.tb.Helper()
	found, err := p.elements(roles, func(n string) bool { return n == name })
	if err != nil {
		p.tb.Fatalf("look for %q: %v", name, err)
	}
	return len(found) > 0
}

// find waits for the one element of an accessible name that has one of the roles.
func (p *Page) find(name string, roles ...string) cdp.BackendNodeID {
	p.tb.Helper()
	var found []*accessibility.Node
	p.wait(func() (err error) {
		found, err = p.elements(roles, func(n string) bool { return n == name })
		if err == nil && len(found) != 1 {
			err = fmt.Errorf("the page has %d %s named %q, want one", len(found), strings.Join(roles, " or "), name)
		}
		return err
	})
	return found[0].BackendDOMNodeID
}

// elements returns the accessible elements that have one of the roles, any if there are
// none, and a name that matches.
func (p *Page) elements(roles []string, matches func(name string) bool) ([]*accessibility.Node, error) {
	document, err := attempt(p, dom.GetDocument, dom.GetDocumentParams{})
	if err != nil {
		return nil, err
	}
	all, err := attempt(p, accessibility.QueryAXTree, accessibility.QueryAXTreeParams{BackendNodeID: document.Root.BackendNodeID})
	return slices.DeleteFunc(all.Nodes, func(n *accessibility.Node) bool {
		return n.Ignored || len(roles) > 0 && !slices.Contains(roles, text(n.Role)) || !matches(text(n.Name))
	}), err
}

// text returns the text of a property of an accessible element.
func text(v *accessibility.Value) string {
	var s string
	if v != nil {
		_ = json.Unmarshal(v.Value, &s) // another type has no text
	}
	return strings.ReplaceAll(strings.Join(strings.Fields(s), " "), " :", ":") // what only a screen reader gets is set apart by a blank
}

// center scrolls to an element and returns its center.
func (p *Page) center(node cdp.BackendNodeID) (x, y float64) {
	p.tb.Helper()
	call(p, dom.ScrollIntoViewIfNeeded, dom.ScrollIntoViewIfNeededParams{BackendNodeID: node})
	quads := call(p, dom.GetContentQuads, dom.GetContentQuadsParams{BackendNodeID: node}).Quads
	if len(quads) == 0 {
		p.tb.Fatal("the element has no place on the page")
	}
	q := quads[0]
	return (q[0] + q[4]) / 2, (q[1] + q[5]) / 2
}
