package server

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"shorepass/internal/secret"
	"shorepass/providers"
	"shorepass/registry"
)

// maxBody bounds the body of a POST, in bytes: scopes at their limit, a JWT as
// the password, and room for the escapes of a form.
const maxBody = 256 << 10

// proof says what a question brought to show who asks.
type proof int

const (
	proofNone    proof = iota // no Authorization header: anonymous
	proofSecret               // a name and a secret: Basic, or grant_type=password
	proofRefresh              // grant_type=refresh_token
)

// question is what a client asks of the token endpoint, by GET or by POST,
// parsed once. Nothing behind it knows of HTTP.
type question struct {
	proof   proof
	login   providers.Login // empty beside a bare token
	secret  secret.Text     // empty only for proofNone
	account string          // the account parameter of a GET, as it came
	service string          // as asked; empty is for registry.Issuer.Service to settle
	scopes  []registry.Scope
	offline bool
	post    bool // the answer states its scope (RFC 6749, section 5.1)
	client  string
}

// parseQuestion reads a request to the token endpoint. Its errors are
// httpError with status 400, or wrap an error that errors.go knows.
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
	q := &question{offline: params.Get("offline_token") == "true" || params.Get("access_type") == "offline"}
	if err := q.readCommon(params, "account", "offline_token"); err != nil {
		return nil, err
	}
	q.account = params.Get("account")
	return q, q.readBasic(r.Header["Authorization"])
}

// readForm reads the body of a POST.
func readForm(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return nil, malformed("the Content-Type of a POST must be application/x-www-form-urlencoded")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	switch {
	case errors.Is(err, errTooManyBodies):
		return nil, unavailable(err)
	case err != nil:
		return nil, malformed(fmt.Sprintf("the body cannot be read or is longer than %d bytes", maxBody))
	}
	params, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, malformed("the form is malformed")
	}
	return params, nil
}

func parsePost(w http.ResponseWriter, r *http.Request) (*question, error) {
	params, err := readForm(w, r)
	if err != nil {
		return nil, err
	}
	q := &question{post: true, offline: params.Get("access_type") == "offline"}
	if err := q.readCommon(params, "grant_type", "username", "password", "refresh_token"); err != nil {
		return nil, err
	}
	switch grant := params.Get("grant_type"); grant {
	case "password":
		return q, q.readSecret(params.Get("username"), params.Get("password"))
	case "refresh_token":
		q.proof, q.secret = proofRefresh, secret.New(params.Get("refresh_token"))
		return q, nil
	case "":
		return nil, malformed("grant_type is missing; use password or refresh_token")
	default:
		return nil, httpError{status: http.StatusBadRequest, code: codeUnsupported, oauth: "unsupported_grant_type",
			message: "this grant_type is not supported; use password or refresh_token"}
	}
}

// readCommon reads what GET and POST have in common. Apart from scope, no
// parameter may come twice (RFC 6749, section 3.2); single names those that
// only one of the two methods has.
func (q *question) readCommon(params url.Values, single ...string) error {
	for _, name := range append(single, "service", "client_id", "access_type") {
		values := params[name]
		if len(values) > 1 {
			return malformed(name + " is given more than once")
		}
		if len(values) == 1 && !utf8.ValidString(values[0]) {
			return malformed(name + " is not UTF-8")
		}
	}
	q.service, q.client = params.Get("service"), withoutTokens(params.Get("client_id"))
	var err error
	q.scopes, err = registry.ParseScopes(params["scope"])
	return err
}

// readBasic reads the Authorization header (RFC 7617). No header is nobody; one
// that is there but malformed or empty is an error and never anonymous.
func (q *question) readBasic(headers []string) error {
	if len(headers) == 0 {
		return nil
	}
	if len(headers) > 1 {
		return malformed("there is more than one Authorization header")
	}
	scheme, encoded, _ := strings.Cut(headers[0], " ")
	if !strings.EqualFold(scheme, "Basic") {
		return malformed("the Authorization header must use the Basic scheme")
	}
	decoded, err := base64.StdEncoding.DecodeString(strings.Trim(encoded, " "))
	if err != nil {
		return malformed("the Basic credentials are not base64")
	}
	name, secret, ok := strings.Cut(string(decoded), ":")
	if !ok {
		return malformed("the Basic credentials hold no colon between user name and password")
	}
	return q.readSecret(name, secret)
}

func (q *question) readSecret(name, password string) error {
	if !utf8.ValidString(password) {
		return malformed("the password is not UTF-8")
	}
	login, err := providers.ParseLogin(name)
	if err != nil {
		return err
	}
	q.proof, q.login, q.secret = proofSecret, login, secret.New(password)
	return nil
}

// checkAccount refuses a password that is sent for another account than the
// query names. Beside a token the parameter is ignored: whose it is, the token
// itself says.
func (q *question) checkAccount() error {
	if q.account == "" || q.proof != proofSecret {
		return nil
	}
	account, err := providers.ParseLogin(q.account)
	if err != nil {
		return err
	}
	if account != q.login {
		return malformed("account and the user name of the Basic credentials differ")
	}
	return nil
}
