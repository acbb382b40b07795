package server

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"unicode/utf8"

	"shorepass/internal/secret"
	"shorepass/registry"
)

// maxBody bounds the body of a POST, in bytes. It has room for scopes at their limit
// and a JWT as the password, with the escapes of a form.
const maxBody = 256 << 10

// question is a parsed request to the token endpoint, by GET or by POST. The code
// that handles it does not see HTTP.
type question struct {
	credential credential
	service    string // as sent; registry.Issuer.Service decides what an empty one means
	scopes     []registry.Scope
	post       bool // a POST, whose answer has a scope (RFC 6749, section 5.1)
}

// parseQuestion parses a request to the token endpoint. Its errors are httpError with
// status 400, or wrap an error that wireError recognizes.
func parseQuestion(w http.ResponseWriter, r *http.Request) (*question, error) {
	if r.Method == http.MethodPost {
		return parsePost(w, r)
	}
	return parseGet(r)
}

func parseGet(r *http.Request) (*question, error) {
	params, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, malformed("the query string is malformed")
	}
	q, err := parseCommon(params, "account", "offline_token")
	if err != nil {
		return nil, err
	}
	q.credential.account = params.Get("account")
	q.credential.offline = q.credential.offline || params.Get("offline_token") == "true"
	return q, q.credential.readBasic(r.Header["Authorization"])
}

func parsePost(w http.ResponseWriter, r *http.Request) (*question, error) {
	params, err := readForm(w, r, maxBody)
	if err != nil {
		return nil, err
	}
	q, err := parseCommon(params, "grant_type", "username", "password", "refresh_token")
	if err != nil {
		return nil, err
	}
	q.post = true
	switch params.Get("grant_type") {
	case "password":
		return q, q.credential.readSecret(params.Get("username"), params.Get("password"))
	case "refresh_token":
		q.credential.kind, q.credential.secret = kindRefresh, secret.New(params.Get("refresh_token"))
		return q, nil
	case "":
		return nil, malformed("grant_type is missing; use password or refresh_token")
	default:
		return nil, httpError{status: http.StatusBadRequest, code: codeUnsupported, oauth: "unsupported_grant_type",
			message: "this grant_type is not supported; use password or refresh_token"}
	}
}

// parseCommon parses the parameters that GET and POST share. single names the other
// ones of the request, none of which may be repeated.
func parseCommon(params url.Values, single ...string) (*question, error) {
	if err := checkParams(params, single...); err != nil {
		return nil, err
	}
	scopes, err := registry.ParseScopes(params["scope"])
	if err != nil {
		return nil, err
	}
	return &question{
		credential: credential{clientID: clientID(params), offline: params.Get("access_type") == "offline"},
		service:    params.Get("service"),
		scopes:     scopes,
	}, nil
}

// checkParams refuses repeated parameters and those that are not UTF-8, of single and
// of the parameters that every endpoint has. Only scope may be repeated (RFC 6749,
// section 3.2).
func checkParams(params url.Values, single ...string) error {
	for _, names := range [][]string{single, commonParams} {
		for _, name := range names {
			values := params[name]
			if len(values) > 1 {
				return malformed(name + " is given more than once")
			}
			if len(values) == 1 && !utf8.ValidString(values[0]) {
				return malformed(name + " is not UTF-8")
			}
		}
	}
	return nil
}

// commonParams are the parameters that every endpoint has, but for scope.
var commonParams = []string{"service", "client_id", "access_type"}

// readForm reads and parses the body of a POST, of at most limit bytes.
func readForm(w http.ResponseWriter, r *http.Request, limit int64) (url.Values, error) {
	const form = "application/x-www-form-urlencoded"
	if given := r.Header.Get("Content-Type"); given != form { // which is what most clients send
		if kind, _, err := mime.ParseMediaType(given); err != nil || kind != form {
			return nil, malformed("the Content-Type of a POST must be " + form)
		}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	switch {
	case errors.Is(err, errTooManyBodies):
		return nil, unavailable(err)
	case err != nil:
		return nil, malformed(fmt.Sprintf("the body cannot be read or is longer than %d bytes", limit))
	}
	params, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, malformed("the form is malformed")
	}
	return params, nil
}
