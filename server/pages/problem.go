package pages

import (
	"errors"
	"net/http"

	"shorepass/providers"
	"shorepass/session"
	"shorepass/throttle"
)

// problem is an error page: what happened, what to do, whom to ask.
type problem struct {
	status int
	key    string // of the texts problem.KEY.title, .what and .do
}

// Error makes a problem an error, so that a handler can return one.
func (p problem) Error() string { return "page: " + p.key }

var (
	errNotFound    = problem{http.StatusNotFound, "not_found"}
	errMethod      = problem{http.StatusMethodNotAllowed, "method"}
	errCrossOrigin = problem{http.StatusForbidden, "cross_origin"}
)

// problemOf returns the problem of an error, and is the only function that does.
func problemOf(err error) problem {
	if known, ok := errors.AsType[problem](err); ok {
		return known
	}
	if _, ok := errors.AsType[*throttle.RetryAfter](err); ok {
		return problem{http.StatusTooManyRequests, "too_many"}
	}
	switch {
	case errors.Is(err, providers.ErrUnavailable):
		return problem{http.StatusServiceUnavailable, "unavailable"}
	case errors.Is(err, providers.ErrRejected), errors.Is(err, providers.ErrGone), errors.Is(err, providers.ErrNotMine):
		return problem{http.StatusUnauthorized, "rejected"}
	case errors.Is(err, session.ErrRefused):
		return problem{http.StatusUnauthorized, "session_ended"}
	}
	return problem{http.StatusInternalServerError, "internal"}
}

// problemView is the data of problem.html.
type problemView struct{ What, Do, Contact string }

// problemPage returns the page of an error.
func (p *Pages) problemPage(v *Visit, err error) *Response {
	found := problemOf(err)
	return p.page(v, found.status, "problem", view{
		Title: v.text.get("problem." + found.key + ".title"),
		Data:  problemView{v.text.get("problem." + found.key + ".what"), v.text.get("problem." + found.key + ".do"), p.Contact},
	})
}

// Problem returns the page of an error of the server, such as an audit line that could not
// be written.
func (p *Pages) Problem(v *Visit, err error) *Response {
	if v.text == nil {
		v.text = languageOf(v.Request.Header.Get("Accept-Language"))
	}
	return p.problemPage(v, err)
}
