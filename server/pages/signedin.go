package pages

import (
	"context"
	"errors"
	"net/http"

	"shorepass/session"
)

// signInNeeded is the error of a visit that needs a browser session, or a fresh one.
type signInNeeded struct {
	stale *session.Session // the session that is not fresh; nil where there is none
}

func (e *signInNeeded) Error() string {
	if e.stale != nil {
		return "the browser session is not fresh"
	}
	return "there is no browser session"
}

// signedIn returns the browser session of a visit. Any error must be returned by the
// handler: without a session it sends a GET to the sign-in page and back, and answers a
// POST with a page which says that nothing was done.
func (p *Pages) signedIn(ctx context.Context, v *Visit) (*session.Session, error) {
	token := p.sessionToken(v.Request)
	if token.IsZero() {
		return nil, &signInNeeded{}
	}
	found, err := p.Sessions.Redeem(ctx, token, "", v.Client, session.KindBrowser)
	if errors.Is(err, session.ErrRefused) {
		v.setCookie(p.deletion(cookieSession))
		return nil, &signInNeeded{}
	}
	if err != nil {
		return nil, err
	}
	v.Record.Session, v.Record.Identity = found, found.Identity
	return found, nil
}

// fresh is signedIn for what only a fresh session may do ([session.Session.Fresh]).
func (p *Pages) fresh(ctx context.Context, v *Visit) (*session.Session, error) {
	found, err := p.signedIn(ctx, v)
	if err != nil {
		return nil, err
	}
	if !found.Fresh(v.Now) {
		return nil, &signInNeeded{stale: found}
	}
	return found, nil
}

// askSignIn answers a visit that needs a sign-in, which returns to the same page. A
// session that is not fresh goes to its own provider again, or to the form with its name.
func (p *Pages) askSignIn(v *Visit, needed *signInNeeded) *Response {
	to := p.nameOf(v.Request.URL.Path)
	found, path := errSessionEnded, signInPath(to, "", "")
	if needed.stale != nil {
		found, path = errNotFresh, p.signInAgainPath(to, needed.stale)
	}
	if v.Request.Method == http.MethodPost {
		return p.problemPage(v, found, "problem.button", path)
	}
	return redirect(path)
}

// signInAgainPath returns the path with which the person of a session signs in again: at
// its own provider, or in the form with its name.
func (p *Pages) signInAgainPath(to string, stale *session.Session) string {
	provider := ""
	if p.offers(stale.Identity.Provider) {
		provider = stale.Identity.Provider
	}
	return signInPath(to, provider, cleanHint(stale.LoginName))
}
