package oidc

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"golang.org/x/oauth2"

	"shorepass/providers"
)

// cause is what an error code of the token endpoint blames.
type cause int

const (
	causeUnknown  cause = iota // the code does not tell
	causePerson                // the person or the grant, whatever the status
	causeRequest               // the form of our request
	causeClient                // our client
	causeProvider              // the provider itself
)

// errorClass classifies an error code of the token endpoint.
type errorClass struct {
	cause  cause
	reason providers.Reason // of a rejected password; WrongPassword if empty
	advice string           // what the operator can do
}

const (
	needsBrowser = "the person must sign in with a browser first, for a second factor or a consent"
	checkClient  = "check client_id, client_secret or client_key, and auth_style"
	checkGrants  = "check client_id and client_secret, and allow the client this grant at the provider"
	checkScopes  = "check scopes"
)

// errorCodes are the error codes that errors name; any other is "other" there.
// They come from RFC 6749, sections 4.1.2.1 and 5.2, RFC 8628, section 3.5, RFC
// 8707, section 2, RFC 9449, section 5, OpenID Connect Core 1.0, section 3.1.2.6,
// Auth0 (mfa_required, password_leaked, too_many_attempts) and the UAA
// (unauthorized, invalid_token).
var errorCodes = map[string]errorClass{
	"invalid_grant":              {cause: causePerson},
	"access_denied":              {cause: causePerson},
	"unauthorized":               {cause: causeUnknown},
	"invalid_token":              {cause: causeUnknown},
	"mfa_required":               {causePerson, providers.Disabled, needsBrowser},
	"interaction_required":       {causePerson, providers.Disabled, needsBrowser},
	"login_required":             {causePerson, providers.Disabled, needsBrowser},
	"consent_required":           {causePerson, providers.Disabled, needsBrowser},
	"account_selection_required": {causePerson, providers.Disabled, needsBrowser},
	"too_many_attempts":          {cause: causePerson, reason: providers.Locked},
	"password_leaked":            {cause: causePerson, reason: providers.MustChange},

	"invalid_request":    {cause: causeRequest},
	"invalid_scope":      {cause: causeRequest, advice: checkScopes},
	"insufficient_scope": {cause: causeRequest, advice: checkScopes},
	"invalid_target":     {cause: causeRequest},

	"invalid_client":         {cause: causeClient, advice: checkClient},
	"unauthorized_client":    {cause: causeClient, advice: checkGrants},
	"unsupported_grant_type": {cause: causeClient, advice: checkGrants},
	"invalid_dpop_proof":     {cause: causeClient},
	"use_dpop_nonce":         {cause: causeClient},

	"server_error":            {cause: causeProvider},
	"temporarily_unavailable": {cause: causeProvider},
	"slow_down":               {cause: causeProvider},
	"authorization_pending":   {cause: causeProvider},
}

// entraCodes are the AADSTS numbers of Entra ID that say more than the
// invalid_grant with them.
var entraCodes = map[int]errorClass{
	50034: {cause: causePerson, reason: providers.Unknown},
	50053: {cause: causePerson, reason: providers.Locked},
	50055: {cause: causePerson, reason: providers.Expired},
	50057: {cause: causePerson, reason: providers.Disabled},
	50072: {causePerson, providers.Disabled, needsBrowser},
	50074: {causePerson, providers.Disabled, needsBrowser},
	50076: {causePerson, providers.Disabled, needsBrowser},
	50079: {causePerson, providers.Disabled, needsBrowser},
	50126: {cause: causePerson},
	50144: {cause: causePerson, reason: providers.Expired},
	53003: {causePerson, providers.Disabled, "a conditional access policy blocks the sign-in"},
	80001: {cause: causeProvider, advice: "the authentication agent cannot reach Active Directory"},
	80002: {cause: causeProvider, advice: "the authentication agent does not answer in time"},
	80014: {cause: causeProvider, advice: "the authentication agent does not answer in time"},
	90033: {cause: causeProvider},
}

// errorResponse is an error response of the token endpoint (RFC 6749, section
// 5.2).
type errorResponse struct {
	endpoint   string // that answered; the token endpoint if empty
	status     int
	code       string // as received; printed only if it is a key of errorCodes
	entra      int    // a key of entraCodes, or 0
	challenged bool   // WWW-Authenticate names Basic: the client failed to authenticate
}

// readErrorResponse parses the error response in an error of x/oauth2, whose body
// is normalized.
func readErrorResponse(failed *oauth2.RetrieveError) errorResponse {
	r := errorResponse{status: failed.Response.StatusCode, code: failed.ErrorCode}
	for _, challenge := range failed.Response.Header.Values("WWW-Authenticate") {
		scheme, _, _ := strings.Cut(strings.TrimSpace(challenge), " ")
		r.challenged = r.challenged || strings.EqualFold(scheme, "Basic")
	}
	body, _ := decodeMembers(failed.Body)
	var numbers []int
	_ = json.Unmarshal(body["error_codes"], &numbers) // other providers may have anything there
	for _, number := range numbers {
		if _, known := entraCodes[number]; known {
			r.entra = number
			break
		}
	}
	return r
}

// class returns the class of the response: of its Entra number, else of its code,
// else the zero class.
func (r errorResponse) class() errorClass {
	if m, known := entraCodes[r.entra]; known {
		return m
	}
	if m, known := errorCodes[r.code]; known {
		return m
	}
	if strings.HasPrefix(r.code, "client_") || strings.HasSuffix(r.code, "_client") {
		return errorClass{cause: causeClient, advice: checkClient}
	}
	return errorClass{}
}

// Error returns the status and, if known, the code, and no other text
// of the response.
func (r errorResponse) Error() string {
	text := fmt.Sprintf("%s answered %d", cmp.Or(r.endpoint, "the token endpoint"), r.status)
	switch _, known := errorCodes[r.code]; {
	case known:
		text += " " + r.code
	case r.code != "":
		text += " other"
	}
	if r.entra != 0 {
		text += fmt.Sprintf(" AADSTS%d", r.entra)
	}
	if advice := r.class().advice; advice != "" {
		text += " (" + advice + ")"
	}
	return text
}

// refuses reports whether the response rejects the person or the grant. All other
// responses mean unavailable:
//
//	status                     cause of the code           refuses
//	408, 429, 5xx, 3xx         any                         no
//	200, other 4xx             person                      yes
//	200, other 4xx             client, provider            no
//	at a refresh grant, and at that of an authorization code:
//	400                        request, unknown, no code   yes (Dex: invalid_request)
//	401                        request                     yes
//	otherwise:
//	200, other 4xx             request                     no
//	401 with Basic challenge   unknown                     no: the client failed to authenticate
//	401                        unknown                     yes (UAA: unauthorized)
//	400, 403                   unknown                     yes, unless the code is the status text,
//	                                                       which a gateway or a framework writes
//	200, other 4xx             unknown                     no
//	any                        no code                     no: at 401 it may be the client
//
// A 400 at a refresh grant is about the refresh token whatever its code, since
// the rest of the request is the same as at every other one; so with an authorization
// code, which comes from the browser.
func (r errorResponse) refuses(grant string) bool {
	switch r.status {
	case http.StatusRequestTimeout, http.StatusTooManyRequests:
		return false
	}
	if r.status != http.StatusOK && (r.status < 400 || r.status >= 500) {
		return false
	}
	cause := r.class().cause
	switch cause {
	case causePerson:
		return true
	case causeClient, causeProvider:
		return false
	}
	if (grant == grantRefresh || grant == grantCode) && (r.status == http.StatusBadRequest || r.status == http.StatusUnauthorized && cause == causeRequest) {
		return true
	}
	switch {
	case cause == causeRequest || r.code == "":
		return false
	case r.status == http.StatusUnauthorized:
		return !r.challenged
	case r.status == http.StatusBadRequest, r.status == http.StatusForbidden:
		return r.code != http.StatusText(r.status)
	}
	return false
}

// aboutClient reports whether the response blames our client or the grants that
// it may use.
func (r errorResponse) aboutClient() bool {
	if r.status == http.StatusTooManyRequests || r.status >= 500 {
		return false
	}
	return r.class().cause == causeClient || r.status == http.StatusUnauthorized && r.challenged && r.class().cause == causeUnknown
}

// key returns the configuration key to change, "" if the response does not blame
// the configuration. Keycloak answers a wrong secret with 401 unauthorized_client.
func (r errorResponse) key(cfg Config) string {
	class := r.class()
	switch {
	case r.status == http.StatusTooManyRequests, r.status >= 500:
		return ""
	case class.advice == checkScopes:
		return "scopes"
	case r.code == "unsupported_grant_type":
		return "grants"
	case r.code == "unauthorized_client" && r.status == http.StatusBadRequest:
		return "client_id"
	case r.aboutClient() && cfg.ClientKey != "":
		return "client_key"
	case r.aboutClient() && cfg.ClientSecret.IsZero():
		return "client_id"
	case r.aboutClient():
		return "client_secret"
	}
	return ""
}

// secretUnread reports whether, by the code, the provider rejected the request
// before it read the secret: the code blames our client or our request. Not so
// invalid_request: Dex sends it for a bind that its directory refused with any
// code but 49 or 19.
func (r errorResponse) secretUnread() bool {
	m, known := errorCodes[r.code]
	return known && (m.cause == causeClient || m.cause == causeRequest && r.code != "invalid_request")
}

// tokenError returns the error for an error response of the token endpoint: a
// rejection with its reason, or why the provider is unavailable, with the key to
// change if the response blames the configuration.
func tokenError(cfg Config, grant string, failed *oauth2.RetrieveError) error {
	response := readErrorResponse(failed)
	reason := response.class().reason
	switch {
	case !response.refuses(grant) && response.key(cfg) != "":
		return providers.WithKey(response.key(cfg), response)
	case !response.refuses(grant):
		return response
	case grant == grantPassword && reason != "":
		return providers.Reject(reason, response)
	case grant == grantPassword:
		return providers.Reject(providers.WrongPassword, response)
	}
	return fmt.Errorf("%w: %w", providers.ErrRejected, response)
}

// notCountedIfUnread marks an error of the token endpoint with
// [providers.NotCounted] if the provider did not read the secret.
func notCountedIfUnread(err error) error {
	response, ok := errors.AsType[errorResponse](err)
	if ok && !errors.Is(err, providers.ErrRejected) && response.secretUnread() {
		return providers.NotCounted(err)
	}
	return err
}
