package pages

import (
	"testing"

	"shorepass/providers"
)

// The button of an error page leads on: to the same page, to the person's logins, or to a
// sign-in.
func TestProblemButton(t *testing.T) {
	_, chain, sessions, b := newTestPages(t, origin)
	expect := func(got *Response, status int, button string) {
		t.Helper()
		if got.Status != status || !has(got, button) {
			t.Errorf("%d, want %d and %s\n%s", got.Status, status, button, got.Body)
		}
	}
	const signIn, home = `href="/login">Sign in</a>`, `href="/me">Your logins</a>`
	expect(b.get("/nothing"), 404, signIn)
	expect(b.get("/login/sso/callback?state=x"), 400, signIn)
	chain.down = providers.ErrUnavailable
	expect(b.get("/login?provider=sso"), 503, `href="/login">Try again</a>`)
	chain.down = nil
	b.signIn("sso", "code-alice")
	expect(b.get("/nothing"), 404, home)
	expect(b.get("/login/sso/callback?state=x"), 400, home)
	sessions.down = providers.ErrUnavailable
	expect(b.get("/me"), 503, `href="/me">Try again</a>`)
	expect(b.post("/logout"), 503, home)
	expect(b.post("/me/revoke", "id", "x"), 503, home)
}
