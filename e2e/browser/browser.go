// Package browser drives a headless Chromium as a person uses one: it finds what it
// clicks and fills in by the names that a screen reader says, waits for the pages that
// come, takes screenshots, and checks pages for accessibility.
//
// [Start] starts a browser, [Browser.Open] a page with cookies of its own. Every method
// fails its test if what it waits for has not come after 20 seconds.
package browser

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// limit is the longest time that a page is waited for.
const limit = 20 * time.Second

// Options configure a [Browser].
type Options struct {
	Hosts []string // host names that lead to 127.0.0.1, such as auth.corp.example
	CAs   []string // PEM files of certificate authorities that it trusts

	// OnSecret is called with each cookie and each authorization code that the browser
	// gets, which no log may have. It is called concurrently. Optional.
	OnSecret func(description, secret string)
}

// Browser is a running Chromium. It is safe for concurrent use.
type Browser struct {
	ctx      context.Context
	onSecret func(description, secret string)
}

// Start starts a browser, which ends with the test. If Chromium, certutil or axe-core is
// missing, it skips the test, or fails it if the environment has CI=true.
func Start(tb testing.TB, o Options) *Browser {
	tb.Helper()
	for _, program := range []string{"chromium", "certutil"} {
		if _, err := exec.LookPath(program); err != nil {
			missing(tb, program)
		}
	}
	if _, err := os.Stat(axePath()); err != nil {
		missing(tb, axePath())
	}
	home := tb.TempDir()
	trust(tb, home, o.CAs)
	rules := []string{}
	for _, host := range o.Hosts {
		rules = append(rules, "MAP "+host+" 127.0.0.1")
	}
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath("chromium"),
		chromedp.NoSandbox,
		chromedp.Env("HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_CACHE_HOME="+home),
		chromedp.UserDataDir(filepath.Join(home, "profile")),
		chromedp.Flag("host-resolver-rules", strings.Join(rules, ",")),
		chromedp.Flag("no-proxy-server", true),
		chromedp.Flag("lang", "en-US"),
	)...)
	tb.Cleanup(cancel)
	// What chromedp logs are events that it does not know yet.
	ctx, cancel = chromedp.NewContext(ctx, chromedp.WithErrorf(func(string, ...any) {}))
	tb.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		tb.Fatalf("start chromium: %v", err)
	}
	if o.OnSecret == nil {
		o.OnSecret = func(string, string) {}
	}
	return &Browser{ctx: ctx, onSecret: o.OnSecret}
}

// trust makes the certificate database in a home, from which Chromium reads whom it trusts
// besides the authorities that it knows.
func trust(tb testing.TB, home string, authorities []string) {
	tb.Helper()
	database := filepath.Join(home, ".pki", "nssdb")
	if err := os.MkdirAll(database, 0o700); err != nil {
		tb.Fatal(err)
	}
	run := func(args ...string) {
		if out, err := exec.Command("certutil", append(args, "-d", "sql:"+database)...).CombinedOutput(); err != nil {
			tb.Fatalf("certutil %s: %v\n%s", args[0], err, out)
		}
	}
	run("-N", "--empty-password")
	for i, file := range authorities {
		run("-A", "-n", fmt.Sprintf("authority %d", i), "-t", "C,,", "-i", file)
	}
}

// Open opens a page in a browser context of its own, as another person's browser, which
// shares no cookies. It closes when the test ends.
func (b *Browser) Open(tb testing.TB) *Page {
	tb.Helper()
	return b.newPage(tb, b.ctx, chromedp.WithNewBrowserContext())
}

// top returns the path of a file in the repository.
func top(elements ...string) string {
	_, here, _, _ := runtime.Caller(0)
	return filepath.Join(append([]string{filepath.Dir(here), "..", ".."}, elements...)...)
}

// missing skips the test, or fails it in CI.
func missing(tb testing.TB, what string) {
	tb.Helper()
	if os.Getenv("CI") == "true" {
		tb.Fatalf("%s is missing: run e2e/install", what)
	}
	tb.Skipf("%s is missing: run e2e/install", what)
}
