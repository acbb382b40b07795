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

// The error codes of the distribution specification that the token endpoint
// uses. DENIED is not among them: docker reads it as "repository does not
// exist".
const (
	codeUnauthorized    = "UNAUTHORIZED"
	codeUnsupported     = "UNSUPPORTED"
	codeTooManyRequests = "TOOMANYREQUESTS"
	codeUnavailable     = "UNAVAILABLE"
	codeUnknown         = "UNKNOWN"
)

// retryUnavailable is the Retry-After of a 503. No client waits longer than
// three seconds whatever it says, so it speaks to proxies and people.
const retryUnavailable = 5 * time.Second

// httpError is an error as the wire knows it. The cause goes to the log under
// the request's id and never to the client.
type httpError struct {
	status     int
	code       string        // distribution's error code
	oauth      string        // RFC 6749, section 5.2
	message    string        // a sentence that a person at a terminal can act on
	retryAfter time.Duration // rounded up to seconds; none when zero
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

// errAnonymous says that somebody without credentials asked for what only a
// login gives.
var errAnonymous = errors.New("no credentials")

func malformed(message string) httpError {
	return httpError{status: http.StatusBadRequest, code: codeUnsupported, oauth: "invalid_request", message: message}
}

// errOneTime says that a one-time login password came where none is spent.
var errOneTime = errors.New("a one-time password in a request that is no docker login")

func unauthorized(message string, cause error) httpError {
	return httpError{status: http.StatusUnauthorized, code: codeUnauthorized, oauth: "invalid_grant", cause: cause, message: message}
}

func forbidden(message string) httpError {
	return httpError{status: http.StatusForbidden, code: codeUnsupported, oauth: "access_denied", message: message}
}

// unavailable says that what is needed to answer cannot answer now.
func unavailable(cause error) httpError {
	return httpError{status: http.StatusServiceUnavailable, code: codeUnavailable, oauth: "temporarily_unavailable", retryAfter: retryUnavailable, cause: cause,
		message: "the login cannot be checked right now; your password may well be right, try again in a moment"}
}

// wireError turns an error of any package into the answer on the wire, and is
// the only place that does. An error that it does not recognize is a fault of
// ours, 500.
func wireError(err error) httpError {
	if known, ok := errors.AsType[httpError](err); ok {
		return known
	}
	if wait, ok := errors.AsType[*throttle.RetryAfter](err); ok {
		return httpError{status: http.StatusTooManyRequests, code: codeTooManyRequests, oauth: "slow_down", retryAfter: wait.After, cause: err,
			message: "too many wrong passwords; try again in " + inMinutes(wait.After)}
	}
	if spent, ok := errors.AsType[*session.SpentError](err); ok {
		return unauthorized(fmt.Sprintf("this one-time password was used at %s, and is good for one login; make another one", spent.At.UTC().Format(time.RFC3339)), err)
	}
	switch {
	case errors.Is(err, errOneTime):
		return unauthorized("a one-time password is for docker login, which asks for a token that lasts; other clients need a personal access token", err)
	case errors.Is(err, errAnonymous):
		return unauthorized("authentication required: log in first, for example with docker login", err)
	case errors.Is(err, providers.ErrUnavailable), errors.Is(err, registry.ErrNoValidKey):
		return unavailable(err)
	case errors.Is(err, providers.ErrRefreshName):
		return httpError{status: http.StatusUnauthorized, code: codeUnauthorized, oauth: "invalid_grant", cause: err,
			message: "the refresh token was sent nowhere; write the user name as $refresh:PROVIDER, with the provider's name as your operators have it"}
	case errors.Is(err, providers.ErrRejected), errors.Is(err, providers.ErrGone), errors.Is(err, providers.ErrNotMine), errors.Is(err, session.ErrRefused):
		return unauthorized("incorrect username or password, or the login has ended; log in again", err)
	case errors.Is(err, registry.ErrNotOurToken):
		return httpError{status: http.StatusUnauthorized, code: codeUnauthorized, oauth: "invalid_token", cause: err,
			message: "the token is not valid here, or has ended; log in again"}
	case errors.Is(err, providers.ErrMalformedLogin):
		return httpError{status: http.StatusBadRequest, code: codeUnsupported, oauth: "invalid_request", cause: err,
			message: "the user name holds a control character, is not UTF-8, or is too long"}
	case errors.Is(err, registry.ErrUnknownService):
		return httpError{status: http.StatusBadRequest, code: codeUnsupported, oauth: "invalid_request", cause: err,
			message: "the service parameter is missing or names no registry that is served here"}
	case errors.Is(err, registry.ErrDisabled):
		return unauthorized("this registry is switched off here; ask its operators", err)
	case errors.Is(err, registry.ErrTooManyScopes):
		return httpError{status: http.StatusBadRequest, code: codeUnsupported, oauth: "invalid_request", cause: err,
			message: "too many scopes are asked for at once"}
	case errors.Is(err, context.Canceled):
		// The client went away; nobody reads this, and the audit line says so.
		return httpError{status: http.StatusServiceUnavailable, code: codeUnavailable, oauth: "temporarily_unavailable", cause: err,
			message: "the request was given up"}
	}
	return httpError{status: http.StatusInternalServerError, code: codeUnknown, oauth: "server_error", cause: err,
		message: "something went wrong here; the operators find it in the log under this request's id"}
}

// inMinutes writes a length of time for a person, rounded up to minutes.
func inMinutes(d time.Duration) string {
	minutes := int((d + time.Minute - 1) / time.Minute)
	if minutes <= 1 {
		return "a minute"
	}
	return fmt.Sprintf("%d minutes", minutes)
}

// errorBody is the one body for GET and POST: the registry's errors and OAuth
// 2.0's side by side, which every client that prints any text prints rightly.
type errorBody struct {
	Errors           []registryError `json:"errors"`
	Details          string          `json:"details,omitempty"` // dockerd shows its second try's error without it
	Error            string          `json:"error"`
	ErrorDescription string          `json:"error_description"`
}

type registryError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// writeError answers with e.
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
