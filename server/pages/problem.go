package pages

import (
	"errors"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"shorepass/providers"
	"shorepass/session"
	"shorepass/throttle"
)

// problem is an error page: what happened, what to do, whom to ask.
type problem struct {
	status     int
	key        string        // of the texts problem.KEY.title, .what and .do
	way        way           // where its button leads
	allow      string        // the methods that the path has, of a 405
	retryAfter time.Duration // 0 for none
}

// way says where the button of an error page leads.
type way int

const (
	waySignIn way = iota // to the sign-in page
	wayHome              // to the logins of a person who has a session, else to the sign-in page
	wayAgain             // to the same page, if that is one to look at
)

// Error makes a problem an error, so that a handler can return one.
func (p problem) Error() string { return strings.ReplaceAll(p.key, "_", " ") }

var (
	errNotFound        = problem{status: http.StatusNotFound, key: "not_found", way: wayHome}
	errUnknownProvider = problem{status: http.StatusNotFound, key: "unknown_provider"}
	errMethod          = problem{status: http.StatusMethodNotAllowed, key: "method", way: wayHome}
	errMalformed       = problem{status: http.StatusBadRequest, key: "malformed", way: wayHome}
	errCrossOrigin     = problem{status: http.StatusForbidden, key: "cross_origin", way: wayHome}

	errSignInLost      = problem{status: http.StatusBadRequest, key: "sign_in_lost", way: wayHome}    // unknown, used, or of another browser
	errSignInTooOld    = problem{status: http.StatusBadRequest, key: "sign_in_too_old", way: wayHome} // older than signInTTL
	errNoCookies       = problem{status: http.StatusBadRequest, key: "no_cookies"}
	errSignInMixedUp   = problem{status: http.StatusBadRequest, key: "sign_in_mixed_up"}  // answered at the callback of another provider
	errSignInRefused   = problem{status: http.StatusUnauthorized, key: "sign_in_refused"} // such as a code that was used
	errConsentRefused  = problem{status: http.StatusForbidden, key: "consent_refused"}
	errProviderRefused = problem{status: http.StatusBadRequest, key: "provider_refused"}

	errRejected     = problem{status: http.StatusUnauthorized, key: "rejected"}
	errNotAllowed   = problem{status: http.StatusForbidden, key: "not_allowed"}
	errTooMany      = problem{status: http.StatusTooManyRequests, key: "too_many"}
	errUnavailable  = problem{status: http.StatusServiceUnavailable, key: "unavailable", way: wayAgain, retryAfter: 10 * time.Second}
	errSessionEnded = problem{status: http.StatusUnauthorized, key: "session_ended"}
	errNotFresh     = problem{status: http.StatusUnauthorized, key: "not_fresh"}
	errInternal     = problem{status: http.StatusInternalServerError, key: "internal", way: wayAgain}
)

// methodProblem returns the problem of a path without the method.
func methodProblem(of *route) problem {
	var methods []string
	for method := range of.methods {
		methods = append(methods, method)
		if method == http.MethodGet && !of.once {
			methods = append(methods, http.MethodHead)
		}
	}
	slices.Sort(methods)
	found := errMethod
	found.allow = strings.Join(methods, ", ")
	return found
}

// problemOf returns the problem of an error, and is the only function that does.
func problemOf(err error) problem {
	if known, ok := errors.AsType[problem](err); ok {
		return known
	}
	if limited, ok := errors.AsType[*throttle.RetryAfter](err); ok {
		found := errTooMany
		found.retryAfter = limited.After
		return found
	}
	if refused, ok := errors.AsType[*providers.AuthorizationError](err); ok {
		return authorizationProblem(refused.Code)
	}
	switch {
	case errors.Is(err, providers.ErrUnavailable):
		return errUnavailable
	case errors.Is(err, providers.ErrRejected) && providers.ReasonOf(err) == providers.RefusedByConfig:
		return errNotAllowed
	case errors.Is(err, providers.ErrRejected) && providers.ReasonOf(err) == providers.Unspecified:
		return errSignInRefused
	case errors.Is(err, providers.ErrRejected), errors.Is(err, providers.ErrGone), errors.Is(err, providers.ErrNotMine):
		return errRejected
	case errors.Is(err, session.ErrRefused):
		return errSessionEnded
	}
	return errInternal
}

// authorizationProblem returns the problem of an error that a provider sent the browser
// back with, by its code.
func authorizationProblem(code string) problem {
	switch code {
	case "access_denied":
		return errConsentRefused
	case "server_error", "temporarily_unavailable":
		return errUnavailable
	}
	return errProviderRefused
}

// setHeader sets the header fields of a problem.
func (p problem) setHeader(h http.Header) {
	if p.allow != "" {
		h.Set("Allow", p.allow)
	}
	if p.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(p.retryAfter.Seconds()))))
	}
}

// problemView is the data of problem.html.
type problemView struct {
	What, Do string // sentences
	Button   string // text of the link to URL
	URL      string // a path of the pages
}

// problemPage returns the page of a problem, whose button leads to path.
func (p *Pages) problemPage(v *Visit, found problem, button, path string) *Response {
	text := func(part string) string { return v.text.get("problem." + found.key + "." + part) }
	response := p.page(v, found.status, "problem", view{
		Title: text("title"),
		Data:  problemView{What: text("what"), Do: text("do"), Button: v.text.get(button), URL: path},
	})
	found.setHeader(response.Header)
	return response
}

// wayOf returns the text and the path of a button.
func (p *Pages) wayOf(v *Visit, to way) (button, path string) {
	switch here := v.Request.URL.Path; {
	case to == wayAgain && v.Request.Method == http.MethodGet && p.routes[here].methods[http.MethodGet] != nil:
		return "problem.again", here
	case to != waySignIn && !p.sessionToken(v.Request).IsZero():
		return "me.title", p.routePath(routeMe)
	}
	return "problem.button", "/login"
}

// errorPage returns the response to a visit that failed.
func (p *Pages) errorPage(v *Visit, err error) *Response {
	if needed, ok := errors.AsType[*signInNeeded](err); ok {
		return p.askSignIn(v, needed)
	}
	found := problemOf(err)
	button, path := p.wayOf(v, found.way)
	return p.problemPage(v, found, button, path)
}

// Problem returns the page of an error of the server, such as an audit line that could not
// be written.
func (p *Pages) Problem(v *Visit, err error) *Response {
	if v.text == nil {
		v.text = languageOf(v.Request.Header.Get("Accept-Language"))
	}
	v.cookies = nil // what they stand for was not recorded
	return p.finish(v, p.errorPage(v, err))
}
