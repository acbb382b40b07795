package pages

import (
	"net/http"
	"time"

	"shorepass/internal/secret"
	"shorepass/session"
)

// Names of cookies, without their prefix.
const (
	cookieSession  = "shorepass"          // the token of the browser session
	cookieProvider = "shorepass-provider" // the provider that the person chose last
	cookieSignIn   = "shorepass-sign-in-" // a sign-in in progress; the first letters of its state follow
)

const (
	// maxCookie bounds the value of a cookie, in bytes. Browsers store no longer one.
	maxCookie = 4 << 10

	// rememberProvider is how long the choice of a provider is remembered.
	rememberProvider = 365 * 24 * time.Hour
)

// cookieName returns the name of a cookie as the browser has it. At an https origin it has
// the prefix __Host- (RFC 6265bis, section 4.1.3.2): browsers take such a cookie only from
// this host itself, so that no neighbour in the domain can set or shadow it. On loopback,
// over http, not every browser takes the prefix.
func (p *Pages) cookieName(name string) string {
	if p.secure() {
		return "__Host-" + name
	}
	return name
}

// secure reports whether browsers reach the pages by https, whatever the connection to the
// server is.
func (p *Pages) secure() bool { return p.Origin.Scheme == "https" }

// cookie returns a cookie that lives for age.
func (p *Pages) cookie(name, value string, age time.Duration) *http.Cookie {
	return &http.Cookie{
		Name: p.cookieName(name), Value: value, Path: "/", MaxAge: max(1, int(age.Seconds())),
		Secure: p.secure(), HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
}

// deletion returns the cookie that deletes the one of that name.
func (p *Pages) deletion(name string) *http.Cookie {
	deleted := p.cookie(name, "", 0)
	deleted.MaxAge = -1
	return deleted
}

// cookieValue returns the value of a cookie, "" without one. One of several with the same
// name is not ours, and nothing tells which, so that none counts.
func (p *Pages) cookieValue(r *http.Request, name string) string {
	found := r.CookiesNamed(p.cookieName(name))
	if len(found) != 1 || len(found[0].Value) > maxCookie {
		return ""
	}
	return found[0].Value
}

// sessionToken returns the token of the browser's session, the zero Text without one.
func (p *Pages) sessionToken(r *http.Request) secret.Text {
	token := secret.New(p.cookieValue(r, cookieSession))
	if session.KindOf(token) != session.KindBrowser {
		return secret.Text{}
	}
	return token
}
