package pages

import (
	"context"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"shorepass/providers"
	"shorepass/session"
)

// attack is the pages with a victim who is not signed in, and an attacker with an account.
type attack struct {
	*testing.T
	pages            *Pages
	chain            *fakeProviders
	sessions         *testSessions
	victim, attacker *browser
}

func newAttack(t *testing.T) *attack {
	p, chain, sessions, victim := newTestPages(t, origin)
	attacker := newBrowser(t, p)
	attacker.now = victim.now
	return &attack{t, p, chain, sessions, victim, attacker}
}

// isSignedIn reports whether a browser has a session that is good.
func (a *attack) isSignedIn(b *browser) bool {
	a.Helper()
	return b.get("/me").Status == http.StatusOK
}

// refused checks that a response is an error page and that the browser has no session.
func (a *attack) refused(b *browser, got *Response, status int) {
	a.Helper()
	if got.Status != status || got.Location != "" || a.isSignedIn(b) {
		a.Errorf("status %d to %q, want %d and no session\n%s", got.Status, got.Location, status, got.Body)
	}
}

const cookieName = "__Host-shorepass"

// Each attack on the sign-in fails. Those on what the provider signs are in
// TestProviderAttacks.
func TestAttacks(t *testing.T) {
	for name, run := range map[string]func(*attack){
		"a code for another callback: the state of one provider at the callback of another": func(a *attack) {
			sent := a.victim.startAt("/login?provider=sso")
			a.refused(a.victim, a.victim.get("/login/lab/callback?code=code-alice&state="+sent.Get("state")), http.StatusBadRequest)
			a.refused(a.victim, a.victim.get("/login/sso/callback?code=code-alice&state="+sent.Get("state")), http.StatusBadRequest) // the cookie was used
		},
		"login CSRF: the victim opens the attacker's callback": func(a *attack) {
			target := "/login/sso/callback?code=code-mallory&state=" + a.attacker.startAt("/login?provider=sso").Get("state")
			a.refused(a.victim, a.victim.get(target), http.StatusBadRequest)
			a.victim.startAt("/login?provider=sso") // one of the victim's own in progress
			a.refused(a.victim, a.victim.get(target), http.StatusBadRequest)
		},
		"login CSRF: the attacker posts the form for the victim": func(a *attack) {
			a.victim.header.Set("Sec-Fetch-Site", "cross-site")
			a.refused(a.victim, a.victim.post("/login", "login", "mallory", "password", "right"), http.StatusForbidden)
		},
		"a state of the attacker's with the sealed cookie of the victim": func(a *attack) {
			own, sent := a.attacker.startAt("/login?provider=sso").Get("state"), a.victim.startAt("/login?provider=sso").Get("state")
			a.victim.cookies[a.pages.cookieName(cookieSignIn+own[:stateID])] = a.victim.cookies[a.pages.cookieName(cookieSignIn+sent[:stateID])]
			a.refused(a.victim, a.victim.get("/login/sso/callback?code=code-mallory&state="+own), http.StatusBadRequest)
		},
		"code replay: the same callback again": func(a *attack) {
			target := "/login/sso/callback?code=code-alice&state=" + a.victim.startAt("/login?provider=sso").Get("state")
			a.victim.get(target)
			asked := a.chain.redeemed
			if got := a.victim.get(target); got.Status != http.StatusBadRequest || a.chain.redeemed != asked {
				a.Errorf("status %d; the provider was asked %d times, want %d", got.Status, a.chain.redeemed, asked)
			}
		},
		"a callback with two states or two codes": func(a *attack) {
			state := a.victim.startAt("/login?provider=sso").Get("state")
			a.refused(a.victim, a.victim.get("/login/sso/callback?code=code-alice&state="+state+"&state=x"), http.StatusBadRequest)
			a.refused(a.victim, a.victim.get("/login/sso/callback?code=code-alice&code=code-mallory&state="+state), http.StatusBadRequest)
		},
		"session fixation: the attacker's cookie is in the browser before the sign-in": func(a *attack) {
			a.attacker.signIn("sso", "code-mallory")
			planted := a.attacker.cookies[cookieName]
			a.victim.cookies[cookieName] = planted
			a.victim.signIn("sso", "code-alice")
			if a.victim.cookies[cookieName] == planted || a.isSignedIn(a.attacker) {
				a.Error("the planted session goes on")
			}
		},
		"a superseded session kept alive by a stale cookie": func(a *attack) {
			a.victim.signIn("sso", "code-alice")
			a.attacker.cookies[cookieName] = a.victim.cookies[cookieName] // a copy
			a.victim.signIn("lab", "code-alice")
			if a.isSignedIn(a.attacker) {
				a.Error("the replaced session goes on")
			}
			a.attacker.cookies[cookieName] = a.victim.cookies[cookieName]
			a.victim.post("/logout")
			if a.isSignedIn(a.attacker) {
				a.Error("the session goes on after the logout")
			}
		},
		"cookie tossing: a neighbour in the domain sets a cookie without the prefix": func(a *attack) {
			a.attacker.signIn("sso", "code-mallory")
			token := a.attacker.cookies[cookieName]
			for _, name := range []string{"shorepass", "__host-shorepass", "__Secure-shorepass"} {
				a.victim.cookies[name] = token
			}
			if a.isSignedIn(a.victim) {
				a.Error("the cookie counts")
			}
			a.victim.signIn("sso", "code-alice")
			if !a.isSignedIn(a.victim) || a.victim.visit.Record.Identity.User != "alice" {
				a.Error("the cookie shadows the session")
			}
		},
		"cookie tossing: two cookies of our name": func(a *attack) {
			a.attacker.signIn("sso", "code-mallory")
			a.victim.signIn("sso", "code-alice")
			a.victim.header.Add("Cookie", cookieName+"="+a.attacker.cookies[cookieName])
			if a.isSignedIn(a.victim) {
				a.Error("one of two counts")
			}
		},
		"another token of ours as the cookie": func(a *attack) {
			token, _, err := a.sessions.Issue(context.Background(), person("sso", "mallory"), "registry", session.Client{})
			if err != nil {
				a.Fatal(err)
			}
			a.victim.cookies[cookieName] = token.Reveal()
			if a.isSignedIn(a.victim) {
				a.Error("a refresh token counts")
			}
			a.victim.post("/logout")
			if _, err := a.sessions.Redeem(context.Background(), token, "registry", session.Client{}, session.KindRefresh); err != nil {
				a.Errorf("a logout ended it: %v", err)
			}
		},
		"which login names exist: the answers differ": func(a *attack) {
			wrong := a.attacker.post("/login", "login", "alice", "password", "wrong")
			a.chain.down = providers.ErrNotMine // as for a name that is unknown
			if unknown := a.attacker.post("/login", "login", "alice", "password", "wrong"); string(unknown.Body) != string(wrong.Body) || unknown.Status != wrong.Status {
				a.Errorf("%d\n%s\n%d\n%s", wrong.Status, wrong.Body, unknown.Status, unknown.Body)
			}
		},
		"a provider's cookie that was set by a neighbour": func(a *attack) {
			a.victim.header.Set("Cookie", `__Host-shorepass-provider=lab"evil`)
			if got := a.victim.get("/login"); got.Status != http.StatusOK || has(got, "evil") || has(got, english.get("sign_in.last")) {
				a.Errorf("%d\n%s", got.Status, got.Body)
			}
		},
	} {
		t.Run(name, func(t *testing.T) { run(newAttack(t)) })
	}
}

// hostile are texts that redirect somewhere else or break out of a page where a program
// takes them as they are.
var hostile = []string{
	"https://evil.example", "//evil.example", `/\evil.example`, `\\evil.example`, "/%09/evil.example", "\t//evil.example", "%2f%2fevil.example",
	"https:evil.example", "javascript:alert(1)", "/me/../../evil.example", "me\r\nLocation: https://evil.example", "me\x00evil", "ｍｅ", "ME", "..", ".",
	`"><script src=//evil.example>`, "{{evil}}", strings.Repeat("evil", 2000),
}

// No redirect leads to a place that a request names, and no page repeats it as markup.
func TestNoOpenRedirect(t *testing.T) {
	a := newAttack(t)
	own := map[string]bool{"/login?to=me&accepted": true, "/me": true, "/login?to=me": true}
	refs, script := regexp.MustCompile(`(?:(?:href|src|action)="|url=)([^"]*)"`), regexp.MustCompile(`<script src=[^"]`)
	base, err := url.Parse(origin + "/login")
	if err != nil {
		t.Fatal(err)
	}
	check := func(what string, got *Response) {
		t.Helper()
		location, err := url.Parse(got.Location)
		if err != nil || got.Location != "" && !own[got.Location] && location.Host != "idp.sso.example" || strings.ContainsAny(got.Location, "\r\n\\") {
			t.Errorf("%s: redirects to %q", what, got.Location)
		}
		for _, ref := range refs.FindAllSubmatch(got.Body, -1) {
			to, err := base.Parse(html.UnescapeString(string(ref[1])))
			if err != nil || to.Host != base.Host && to.Host != "idp.sso.example" || to.Scheme != "https" {
				t.Errorf("%s: the page refers to %q", what, ref[1])
			}
		}
		if script.Match(got.Body) || got.Status >= 500 {
			t.Errorf("%s: status %d\n%s", what, got.Status, got.Body)
		}
	}
	for _, text := range hostile {
		query := url.QueryEscape(text)
		check("to", a.victim.get("/login?provider=sso&to="+query))
		check("provider", a.victim.get("/login?provider="+query))
		check("hint", a.victim.get("/login?provider=sso&hint="+query))
		check("return", a.victim.get("/me?to="+query+"&next="+query))
		check("path", a.victim.get("/login/"+url.PathEscape(text)+"/callback?code=x&state="+query))
		check("callback", a.victim.get("/login/sso/callback?code="+query+"&state="+query+"&iss="+query+"&error="+query+"&error_description="+query+"&error_uri="+query))
		check("logout path", a.victim.post("/logout/"+url.PathEscape(text), "logout_token", text))
		check("form", a.victim.post("/login", "login", text, "password", "wrong", "to", text))
		check("form, signed in", a.victim.post("/login", "login", "alice", "password", "right", "to", text))
		check("after the form", a.victim.get("/login?accepted&to="+query))
		check("logout", a.victim.post("/logout", "provider", text, "to", text))
	}
}

// The host of a request reaches no page and no redirect.
func TestHostIsIgnored(t *testing.T) {
	p, _, _, b := newTestPages(t, origin)
	b.signIn("sso", "code-alice")
	for _, target := range []string{"/", "/login", "/login?provider=sso", "/login/sso/callback?state=x", "/logout", "/me", "/nothing"} {
		r := httptest.NewRequest(http.MethodGet, target, nil)
		r.Host = "evil.example"
		r.Header.Set("X-Forwarded-Host", "evil.example")
		r.Header.Set("Forwarded", "host=evil.example;proto=http")
		r.AddCookie(&http.Cookie{Name: cookieName, Value: b.cookies[cookieName]})
		got := p.Serve(t.Context(), &Visit{Request: r, ID: "R1", Now: b.now})
		if has(got, "evil.example") || strings.Contains(got.Location, "evil.example") {
			t.Errorf("GET %s: %d to %q\n%s", target, got.Status, got.Location, got.Body)
		}
	}
}

// A POST from another origin does nothing, at every path that takes one; the back-channel
// has no cookie to misuse. The other names of the server are trusted.
func TestCrossOriginPost(t *testing.T) {
	p, _, sessions, b := newTestPages(t, origin)
	b.signIn("sso", "code-alice")
	from := func(site, origin string) http.Header {
		h := http.Header{}
		if site != "" {
			h.Set("Sec-Fetch-Site", site)
		}
		if origin != "" {
			h.Set("Origin", origin)
		}
		return h
	}
	for path, one := range p.routes {
		if one.methods[http.MethodPost] == nil || one.crossOrigin {
			continue
		}
		for _, h := range []http.Header{
			from("cross-site", ""), from("same-site", ""), from("cross-site", "https://evil.example"), from("same-site", "https://evil.corp.example"),
			from("", "https://evil.example"), from("", "null"), from("", origin+".evil.example"), from("same-site", origin+":8443"),
			from("same-site", origin2), from("cross-site", "http://auth.corp.example"), from("", "http://auth.corp.example"),
		} {
			b.header = h
			if h.Get("Sec-Fetch-Site") == "" {
				b.header["Sec-Fetch-Site"] = []string{""}
			}
			if got := b.post(path); got.Status != http.StatusForbidden || !has(got, "Another site sent this request") {
				t.Errorf("POST %s with %v: %d", path, h, got.Status)
			}
		}
	}
	if len(sessions.live()) != 1 {
		t.Error("the session has ended")
	}
	b.header = http.Header{"Sec-Fetch-Site": {""}, "Origin": {origin}} // an old browser, and a proxy that replaces the host
	b.host = "127.0.0.1:5001"
	if got := b.post("/logout"); got.Status != http.StatusOK || len(sessions.live()) != 0 {
		t.Errorf("POST /logout from %s: %d", origin, got.Status)
	}
}

// Every response, whatever its status, may neither be framed, nor stored, nor sniffed, and
// loads nothing of others.
func TestSecurityHeaders(t *testing.T) {
	_, _, _, b := newTestPages(t, origin)
	signedOut := []*Response{b.get("/"), b.get("/login"), b.get("/login?provider=sso"), b.get("/login/sso/callback"), b.get("/me"), b.get("/nothing"), b.get("/logout"),
		b.do(http.MethodDelete, "/me", nil), b.post("/login", "login", "alice", "password", "wrong"), b.post("/logout/sso")}
	signedIn := []*Response{b.signIn("sso", "code-alice"), b.get("/me"), b.get("/logout"), b.post("/logout")}
	for i, got := range append(signedOut, signedIn...) {
		for name, want := range map[string]string{
			"Cache-Control":                "no-store",
			"Content-Security-Policy":      "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
			"Cross-Origin-Opener-Policy":   "same-origin",
			"Cross-Origin-Resource-Policy": "same-origin",
			"Permissions-Policy":           "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
			"Referrer-Policy":              "strict-origin",
			"X-Content-Type-Options":       "nosniff",
			"X-Frame-Options":              "DENY",
			"X-Robots-Tag":                 "noindex",
		} {
			if got.Header.Get(name) != want {
				t.Errorf("response %d (%d to %q) has %s %q", i, got.Status, got.Location, name, got.Header.Get(name))
			}
		}
	}
}

// A code is spent by the person's own visit alone: neither by HEAD nor by a browser that
// guesses where the person goes next. It is good afterwards.
func TestCodeIsNotSpentAhead(t *testing.T) {
	_, chain, sessions, b := newTestPages(t, origin)
	callback := "/login/sso/callback?code=code-alice&state=" + url.QueryEscape(b.startAt("/login?provider=sso").Get("state"))
	pending := b.signIns()
	if got := b.do(http.MethodHead, callback, nil); got.Status != http.StatusMethodNotAllowed || got.Header.Get("Allow") != "GET" {
		t.Errorf("HEAD: %d, Allow %q", got.Status, got.Header.Get("Allow"))
	}
	for _, purpose := range []string{"prefetch", "prefetch;prerender", "prefetch;anonymous-client-ip"} {
		b.header["Sec-Purpose"] = []string{purpose}
		for _, target := range []string{callback, "/login?provider=sso", "/me", "/login"} {
			if got := b.get(target); got.Status != http.StatusForbidden || len(got.Cookies)+len(got.Body) != 0 || got.Location != "" {
				t.Errorf("Sec-Purpose: %s of %s: %d to %q, cookies %v", purpose, target, got.Status, got.Location, got.Cookies)
			}
		}
	}
	if got := b.signIns(); !slices.Equal(got, pending) || chain.redeemed != 0 || len(sessions.live()) != 0 {
		t.Errorf("the browser has the sign-ins %v, want %v; %d codes were spent, %d sessions made", got, pending, chain.redeemed, len(sessions.live()))
	}
	delete(b.header, "Sec-Purpose")
	if got := b.get(callback); got.Status != http.StatusSeeOther || got.Location != "/me" {
		t.Errorf("the person's own visit: %d to %q\n%s", got.Status, got.Location, got.Body)
	}
}

// HEAD is answered as GET, and other methods with those that there are.
func TestMethods(t *testing.T) {
	_, _, sessions, b := newTestPages(t, origin)
	b.signIn("sso", "code-alice")
	for _, c := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{"HEAD", "/login", 200, ""}, {"HEAD", "/me", 200, ""}, {"HEAD", "/logout", 200, ""},
		{"OPTIONS", "/login", 405, "GET, HEAD, POST"}, {"TRACE", "/me", 405, "GET, HEAD"}, {"GET", "/logout/sso", 405, "POST"},
		{"POST", "/login/sso/callback", 405, "GET"}, {"PUT", "/logout", 405, "GET, HEAD, POST"}, {"get", "/login", 405, "GET, HEAD, POST"},
	} {
		if got := b.do(c.method, c.path, nil); got.Status != c.status || got.Header.Get("Allow") != c.allow {
			t.Errorf("%s %s: %d, Allow %q", c.method, c.path, got.Status, got.Header.Get("Allow"))
		}
	}
	if len(sessions.live()) != 1 {
		t.Error("the session has ended")
	}
}

// A query is bounded, and one that cannot be read is refused.
func TestMalformedQuery(t *testing.T) {
	_, _, _, b := newTestPages(t, origin)
	for _, target := range []string{"/login?hint=" + strings.Repeat("a", maxQuery), "/login/sso/callback?code=" + strings.Repeat("a", maxQuery), "/login?a;b", "/login?to=%zz"} {
		if got := b.get(target); got.Status != http.StatusBadRequest || !has(got, "not complete") {
			t.Errorf("GET %.40s: %d", target, got.Status)
		}
	}
}

// What a handler panics with becomes a page, and an error for the log.
func TestPanic(t *testing.T) {
	p, _, _, b := newTestPages(t, origin)
	p.routes["/me"] = route{methods: handlers{"GET": func(*Pages, context.Context, *Visit) (*Response, error) { panic("a canary") }}}
	if got := b.get("/me"); got.Status != http.StatusInternalServerError || has(got, "canary") || !strings.Contains(b.visit.Record.Err.Error(), "a canary") {
		t.Errorf("%d, error %v\n%s", got.Status, b.visit.Record.Err, got.Body)
	}
}
