package browser

import (
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// form is a page without a fault: what the methods of [Page] need, and no more.
const form = `<!doctype html><html lang="en"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Form</title>
<style>:root { color-scheme: light dark } body { background: Canvas; color: CanvasText } input, button { font-size: 1rem; padding: .5rem }</style>
<main><h1>Form</h1><p id="scheme">It is <span></span></p>
<form method="post" action="/sent"><p><label>User name <input name="user" value="nobody"></label>
<label><input type="checkbox" name="keep"> Keep</label>
<label>For <select name="days"><option>1 day</option><option>30 days</option></select></label>
<p><button>Send</button></form><a href="/gone">Away</a></main>`

// faulty is a page with faults that a person with a screen reader, a small phone, or
// without a mouse notices.
const faulty = `<!doctype html><title></title><style>* { outline: none !important } p { width: 500px; color: #ccc; background: #fff }</style>
<p>Pale<input id="x"><a href="/gone" style="outline: none">Away</a>`

func newSite(t *testing.T) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	page := func(path, text string) {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'")
			http.SetCookie(w, &http.Cookie{Name: "seen", Value: "yes", Path: "/"})
			fmt.Fprint(w, text)
		})
	}
	page("GET /form", form)
	page("GET /faulty", faulty)
	mux.HandleFunc("GET /gone", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "It is gone.", http.StatusGone) })
	mux.HandleFunc("POST /sent", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/got?"+url.Values{"got": {r.FormValue("user") + " " + r.FormValue("keep") + " " + r.FormValue("days")}}.Encode(), http.StatusSeeOther)
	})
	mux.HandleFunc("GET /got", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, "<p>Got %s in %s", r.FormValue("got"), r.Header.Get("Accept-Language"))
	})
	site := httptest.NewServer(mux)
	t.Cleanup(site.Close)
	return site
}

// faults collects what a page reports, where a test wants it reported.
type faults struct {
	testing.TB
	found []string
}

func (f *faults) Errorf(format string, args ...any) {
	f.found = append(f.found, fmt.Sprintf(format, args...))
}

func TestPage(t *testing.T) {
	site, pictures := newSite(t), t.TempDir()
	var mu sync.Mutex // guards reported
	reported := map[string]bool{}
	b := Start(t, Options{Hosts: []string{"auth.corp.example"}, OnSecret: func(description, secret string) {
		mu.Lock()
		defer mu.Unlock()
		reported[description+" "+secret] = true
	}})

	t.Run("a form is filled in with the mouse", func(t *testing.T) {
		p := b.Open(t)
		p.Language("de")
		p.Visit(site.URL + "/form")
		p.Fill("User name", "alice")
		p.Toggle("Keep")
		p.Choose("For", "30 days")
		p.Click("Send")
		p.See("Got alice on 30 days in de")
		if got := p.Requested(); len(got) != 3 || got[1] != site.URL+"/sent" {
			t.Errorf("requested = %v, want the form, /sent and /got", got)
		}
		p.Back()
		p.ClickFirst("Aw")
		p.See("It is gone.")
		if p.Status() != http.StatusGone {
			t.Errorf("status = %d, want 410", p.Status())
		}
	})
	t.Run("with the keyboard, and scripts off", func(t *testing.T) {
		p := b.Open(t)
		p.Scripts(false)
		p.Visit(site.URL + "/form")
		p.TabTo("User name")
		p.Press("bob")
		p.TabTo("Keep")
		p.Press(" ")
		p.TabTo("Send")
		p.Enter()
		p.See("Got bob on 1 day")
	})
	t.Run("persons share no cookies, tabs do", func(t *testing.T) {
		p := b.Open(t)
		p.Visit(site.URL + "/form")
		p.SetCookie("seen", "twice")
		for _, c := range p.Tab().Cookies() {
			if c.Name == "seen" && c.Value != "twice" {
				t.Errorf("cookie = %q in another tab, want twice", c.Value)
			}
		}
		if n := len(p.Tab().Cookies()); n != 1 {
			t.Errorf("another tab has %d cookies, want 1", n)
		}
		if n := len(b.Open(t).Cookies()); n != 0 {
			t.Errorf("another person has %d cookies, want none", n)
		}
	})
	t.Run("a name leads here", func(t *testing.T) {
		p := b.Open(t)
		p.Visit(strings.Replace(site.URL, "127.0.0.1", "auth.corp.example", 1) + "/form")
		p.AwaitURL("http://auth.corp.example:")
	})
	t.Run("secrets are reported", func(t *testing.T) {
		p := b.Open(t)
		p.Visit(site.URL + "/form?code=a-code")
		p.See("Form")
		mu.Lock()
		defer mu.Unlock()
		if !reported["authorization code a-code"] || !reported["cookie seen yes"] {
			t.Errorf("reported = %v, want the code and the cookie", reported)
		}
	})
	t.Run("inspected", func(t *testing.T) {
		t.Setenv("SCREENSHOTS", pictures)
		good := b.Open(t)
		good.Visit(site.URL + "/form")
		good.Inspect("form")
		files, err := filepath.Glob(filepath.Join(pictures, "form-*.png"))
		if err != nil || len(files) != 6 {
			t.Errorf("screenshots = %v, want six", files)
		}
		bad := b.Open(t)
		bad.Visit(site.URL + "/faulty")
		found := &faults{TB: t}
		bad.tb = found
		bad.Inspect("faulty")
		bad.Press("\t")
		bad.TabTo("Away")
		text := strings.Join(found.found, "\n")
		for _, want := range []string{"html-has-lang", "document-title", "color-contrast", "label:", "scrolls sideways", `focus on "Away" cannot be seen`} {
			if !strings.Contains(text, want) {
				t.Errorf("found of a page with faults:\n%s\nwant %s too", text, want)
			}
		}
	})
}

// TestTrust: an authority is trusted if it is named, and only then.
func TestTrust(t *testing.T) {
	t.Parallel()
	site := httptest.NewTLSServer(http.NotFoundHandler())
	site.Config.ErrorLog = log.New(io.Discard, "", 0)
	t.Cleanup(site.Close)
	authority := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(authority, certificatePEM(site), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Start(t, Options{CAs: []string{authority}}).Open(t).Try(site.URL); err != nil {
		t.Errorf("a page of a trusted authority: %v", err)
	}
	if err := Start(t, Options{}).Open(t).Try(site.URL); err == nil || !strings.Contains(err.Error(), "ERR_CERT_AUTHORITY_INVALID") {
		t.Errorf("a page of an unknown authority: %v, want ERR_CERT_AUTHORITY_INVALID", err)
	}
}

func certificatePEM(s *httptest.Server) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
}
