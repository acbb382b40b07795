package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"shorepass/providers"
	"shorepass/registry"
	"shorepass/session"
	"shorepass/throttle"
)

// The error codes of the distribution specification that the token endpoint uses. docker
// reads DENIED as "repository does not exist" unless a sentence comes with it: the code is
// for refused rights (denial.go) and for the docker engine (engine.go). A malformed
// request is UNSUPPORTED.
const (
	codeDenied          = "DENIED"
	codeUnauthorized    = "UNAUTHORIZED"
	codeUnsupported     = "UNSUPPORTED"
	codeTooManyRequests = "TOOMANYREQUESTS"
	codeUnavailable     = "UNAVAILABLE"
	codeUnknown         = "UNKNOWN"
)

// retryUnavailable is the Retry-After of a 503. It is for proxies and people: no
// client waits longer than three seconds, whatever the header says.
const retryUnavailable = 5 * time.Second

// httpError is an error as it is sent to the client. The cause is logged under the
// request's id and never sent.
type httpError struct {
	status     int
	code       string        // distribution's error code
	oauth      string        // RFC 6749, section 5.2
	message    string        // a sentence that a person at a terminal can act on
	retryAfter time.Duration // rounded up to seconds; no header when zero
	challenge  string        // the WWW-Authenticate of a 401; Basic when empty
	cause      error
}

func (e httpError) Error() string {
	if e.cause != nil {
		return e.cause.Error()
	}
	return e.message
}

func (e httpError) Unwrap() error { return e.cause }

// errAnonymous is for a request without credentials where a login is required.
var errAnonymous = errors.New("no credentials")

func malformed(message string) httpError {
	return httpError{status: http.StatusBadRequest, code: codeUnsupported, oauth: "invalid_request", message: message}
}

// errOneTime is for a one-time password in a request that cannot spend it.
var errOneTime = errors.New("a one-time password in a request that is no docker login")

// oneTimeError is for one that has expired, is for another service, or was never made.
type oneTimeError struct{ error }

func (e oneTimeError) Unwrap() error { return e.error }

func unauthorized(message string, cause error) httpError {
	return httpError{status: http.StatusUnauthorized, code: codeUnauthorized, oauth: "invalid_grant", cause: cause, message: message}
}

func forbidden(message string) httpError {
	return httpError{status: http.StatusForbidden, code: codeDenied, oauth: "access_denied", message: message}
}

// unavailable returns the 503 for a dependency that cannot answer now.
func unavailable(cause error) httpError {
	return httpError{status: http.StatusServiceUnavailable, code: codeUnavailable, oauth: "temporarily_unavailable", retryAfter: retryUnavailable, cause: cause,
		message: "the login cannot be checked right now; your password may well be right, try again in a moment"}
}

// statusClientClosed is nginx's status of a request whose client disconnected before the
// answer. It is not 503: a stranger who hangs up would look like an outage of this side.
const statusClientClosed = 499

// failure returns the answer to an error, which a client that disconnected does not read;
// the audit line and the metrics have its status.
func (g *Generation) failure(r *http.Request, err error) httpError {
	failure := g.wireError(err)
	if r.Context().Err() != nil && errors.Is(err, context.Canceled) {
		failure.status = statusClientClosed
	}
	return failure
}

// wireError maps an error of any package to the answer on the wire, and is the only
// function that does. An error that it does not recognize is a bug of ours, 500.
func (g *Generation) wireError(err error) httpError {
	if known, ok := errors.AsType[httpError](err); ok {
		return known
	}
	if wait, ok := errors.AsType[*throttle.RetryAfter](err); ok {
		return httpError{status: http.StatusTooManyRequests, code: codeTooManyRequests, oauth: "slow_down", retryAfter: wait.After, cause: err,
			message: "too many wrong passwords; try again in " + inMinutes(wait.After)}
	}
	if spent, ok := errors.AsType[*session.SpentError](err); ok {
		return unauthorized(fmt.Sprintf("this one-time password was used at %s, and is good for one login; make another one%s", spent.At.UTC().Format(time.RFC3339), g.atPage()), err)
	}
	if _, ok := errors.AsType[oneTimeError](err); ok {
		return unauthorized("this one-time password is not good here; it is for one docker login to its own registry, within ten minutes; make another one"+g.atPage(), err)
	}
	switch {
	case errors.Is(err, errOneTime):
		return unauthorized("a one-time password is for docker login, which asks for a token that lasts; other clients need a personal access token"+g.atPage(), err)
	case errors.Is(err, errAnonymous):
		return unauthorized("authentication required: log in first, for example with docker login"+g.orSignIn(), err)
	case errors.Is(err, registry.ErrNoValidKey):
		// It lasts until an operator replaces the certificate, or sets the clock right.
		failure := unavailable(err)
		failure.message = "no registry would take a token now, because the certificate that signs them has ended; trying again does not help, ask " + g.Config.Contact
		return failure
	case errors.Is(err, providers.ErrUnavailable):
		return unavailable(err)
	case errors.Is(err, providers.ErrRefreshName):
		return httpError{status: http.StatusUnauthorized, code: codeUnauthorized, oauth: "invalid_grant", cause: err,
			message: "the refresh token was sent to no provider; write the user name as $refresh:PROVIDER; for the provider's name ask " + g.Config.Contact}
	case errors.Is(err, providers.ErrRejected), errors.Is(err, providers.ErrGone), errors.Is(err, providers.ErrNotMine), errors.Is(err, session.ErrRefused):
		return unauthorized("incorrect username or password, or the login has ended; log in again"+g.orSignIn(), err)
	case errors.Is(err, registry.ErrNotOurToken):
		return httpError{status: http.StatusUnauthorized, code: codeUnauthorized, oauth: "invalid_token", cause: err,
			message: "the token is not valid here, or has ended; log in again"}
	case errors.Is(err, providers.ErrMalformedLogin):
		return httpError{status: http.StatusBadRequest, code: codeUnsupported, oauth: "invalid_request", cause: err,
			message: "the user name contains a control character, is not UTF-8, or is too long"}
	case errors.Is(err, registry.ErrUnknownService):
		return httpError{status: http.StatusBadRequest, code: codeUnsupported, oauth: "invalid_request", cause: err,
			message: unknownServiceMessage(err)}
	case errors.Is(err, registry.ErrDisabled):
		return unauthorized("this registry is disabled here; ask "+g.Config.Contact, err)
	case errors.Is(err, registry.ErrTooManyScopes):
		return httpError{status: http.StatusBadRequest, code: codeUnsupported, oauth: "invalid_request", cause: err,
			message: "too many scopes in one request; ask for fewer"}
	case errors.Is(err, context.Canceled):
		return httpError{status: http.StatusServiceUnavailable, code: codeUnavailable, oauth: "temporarily_unavailable", cause: err,
			message: "the client canceled the request"}
	}
	return httpError{status: http.StatusInternalServerError, code: codeUnknown, oauth: "server_error", cause: err,
		message: "internal error, whose cause is in the log under this request's id; ask " + g.Config.Contact}
}

// orSignIn is the end of each 401 for a password: people of a provider with the grant
// browser have none that is good here. It is empty where there is no such provider.
func (g *Generation) orSignIn() string {
	if g.signInURL == "" {
		return ""
	}
	return ", or sign in at " + g.signInURL
}

// atPage names the page at which people make one-time passwords and tokens, if there is one.
func (g *Generation) atPage() string {
	if g.pages == nil {
		return ""
	}
	return " at " + g.pagesOrigin.JoinPath("/me").String()
}

// serviceError is registry.ErrUnknownService or ErrDisabled with the service that was
// asked, as the client and the audit line may have it. No answer lists the services.
type serviceError struct {
	asked string // empty where the parameter is missing
	err   error
}

func (e serviceError) Error() string { return fmt.Sprintf("%v: %q", e.err, e.asked) }
func (e serviceError) Unwrap() error { return e.err }

func unknownServiceMessage(err error) string {
	unknown, _ := errors.AsType[serviceError](err)
	if unknown.asked == "" {
		return "the service parameter is missing; set auth.token.service in the registry's configuration"
	}
	return fmt.Sprintf("no registry that is served here has the service %q; correct auth.token.service in the registry's configuration, or token.services here", unknown.asked)
}

// inMinutes formats a duration for people, rounded up to minutes.
func inMinutes(d time.Duration) string {
	minutes := int((d + time.Minute - 1) / time.Minute)
	if minutes <= 1 {
		return "a minute"
	}
	return fmt.Sprintf("%d minutes", minutes)
}

// errorBody is the body of an error, for GET and POST alike. It has the fields of
// the registry's errors and of OAuth 2.0's, so that every client that prints an
// error finds one that it can print.
type errorBody struct {
	Errors           []registryError `json:"errors"`
	Details          string          `json:"details,omitempty"` // without it dockerd shows the error of its second attempt
	Error            string          `json:"error"`
	ErrorDescription string          `json:"error_description"`
}

type registryError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// writeError sends e.
func writeError(w http.ResponseWriter, e httpError) {
	body := errorBody{
		Errors:           []registryError{{Code: e.code, Message: e.message}},
		Error:            e.oauth,
		ErrorDescription: e.message,
	}
	if e.status == http.StatusUnauthorized {
		body.Details = e.message
		w.Header().Set("WWW-Authenticate", cmp.Or(e.challenge, `Basic realm="shorepass"`))
	}
	if e.retryAfter > 0 {
		seconds := (e.retryAfter + time.Second - 1) / time.Second
		w.Header().Set("Retry-After", strconv.Itoa(int(seconds)))
	}
	writeJSON(w, e.status, body)
}
