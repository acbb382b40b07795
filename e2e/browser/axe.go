package browser

import (
	"fmt"
	"os"
	"strings"
	"sync"
)

// axePath is the path of axe-core, which e2e/install downloads.
func axePath() string { return top(".tools", "axe", "node_modules", "axe-core", "axe.min.js") }

// axe returns the script of axe-core.
var axe = sync.OnceValues(func() (string, error) {
	text, err := os.ReadFile(axePath())
	return string(text), err
})

// violation is what axe-core finds of one rule.
type violation struct {
	ID    string `json:"id"`
	Help  string `json:"help"`
	Nodes []struct {
		HTML           string `json:"html"`
		FailureSummary string `json:"failureSummary"`
	} `json:"nodes"`
}

// String returns the rule and the elements that break it.
func (v violation) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s", v.ID, v.Help)
	for _, n := range v.Nodes {
		fmt.Fprintf(&b, "\n  %s\n    %s", n.HTML, strings.ReplaceAll(n.FailureSummary, "\n", "\n    "))
	}
	return b.String()
}

// Check fails for every rule of WCAG 2.2 AA, and every good practice, that axe-core finds
// broken. It needs the scripts of pages to be on.
func (p *Page) Check() {
	p.tb.Helper()
	for _, v := range p.violations() {
		p.tb.Errorf("the page at %s: %s", p.URL(), v)
	}
}

// violations returns what axe-core finds.
func (p *Page) violations() []violation {
	p.tb.Helper()
	script, err := axe()
	if err != nil {
		p.tb.Fatal(err)
	}
	evaluate[any](p, script+"\n;1")
	return evaluate[[]violation](p, `axe.run({runOnly: {type: "tag", values:
		["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}}).then(r => r.violations)`)
}
