package oidc

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"golang.org/x/oauth2"

	"shorepass/providers"
)

// party is what an error of the token endpoint is about.
type party int

const (
	unnamed  party = iota // the code does not tell
	person                // the person or the grant, whatever the status
	request               // the form of our request
	ours                  // our client
	upstream              // the provider itself
)

// meaning is what an error code of the token endpoint stands for.
type meaning struct {
	party  party
	reason providers.Reason // why a person is refused; WrongPassword where empty
	advice string           // what an operator can do
}

const (
	needsBrowser = "the person must sign in with a browser first, for a second factor or a consent"
	checkClient  = "check client_id, client_secret and auth_style"
	checkGrants  = "allow the client this grant at the provider"
	checkScopes  = "check scopes"
)

// codes are the error codes that are reported by name; all others are reported as
// "other". They are of RFC 6749, sections 4.1.2.1 and 5.2, RFC 8628, section 3.5,
// RFC 8707, section 2, RFC 9449, section 5, OpenID Connect Core 1.0, section
// 3.1.2.6, Auth0 (mfa_required, password_leaked, too_many_attempts) and the UAA
// (unauthorized, invalid_token).
var codes = map[string]meaning{
	"invalid_grant":              {party: person},
	"access_denied":              {party: person},
	"unauthorized":               {party: unnamed},
	"invalid_token":              {party: unnamed},
	"mfa_required":               {person, providers.Disabled, needsBrowser},
	"interaction_required":       {person, providers.Disabled, needsBrowser},
	"login_required":             {person, providers.Disabled, needsBrowser},
	"consent_required":           {person, providers.Disabled, needsBrowser},
	"account_selection_required": {person, providers.Disabled, needsBrowser},
	"too_many_attempts":          {party: person, reason: providers.Locked},
	"password_leaked":            {party: person, reason: providers.MustChange},

	"invalid_request":    {party: request},
	"invalid_scope":      {party: request, advice: checkScopes},
	"insufficient_scope": {party: request, advice: checkScopes},
	"invalid_target":     {party: request},

	"invalid_client":         {party: ours, advice: checkClient},
	"unauthorized_client":    {party: ours, advice: checkGrants},
	"unsupported_grant_type": {party: ours, advice: checkGrants},
	"invalid_dpop_proof":     {party: ours},
	"use_dpop_nonce":         {party: ours},

	"server_error":            {party: upstream},
	"temporarily_unavailable": {party: upstream},
	"slow_down":               {party: upstream},
	"authorization_pending":   {party: upstream},
}

// entraCodes are those of Entra ID's numbers (AADSTS) that say more than the
// invalid_grant which they come with.
var entraCodes = map[int]meaning{
	50034: {party: person, reason: providers.Unknown},
	50053: {party: person, reason: providers.Locked},
	50055: {party: person, reason: providers.Expired},
	50057: {party: person, reason: providers.Disabled},
	50072: {person, providers.Disabled, needsBrowser},
	50074: {person, providers.Disabled, needsBrowser},
	50076: {person, providers.Disabled, needsBrowser},
	50079: {person, providers.Disabled, needsBrowser},
	50126: {party: person},
	50144: {party: person, reason: providers.Expired},
	53003: {person, providers.Disabled, "a conditional access policy blocks the sign-in"},
	80001: {party: upstream, advice: "the authentication agent cannot reach Active Directory"},
	80002: {party: upstream, advice: "the authentication agent does not answer in time"},
	80014: {party: upstream, advice: "the authentication agent does not answer in time"},
	90033: {party: upstream},
}

// tokenAnswer is an error answer of the token endpoint (RFC 6749, section 5.2).
type tokenAnswer struct {
	status     int
	code       string // as it came, and so never printed unless it is one of codes
	entra      int    // one of entraCodes, or 0
	challenged bool   // WWW-Authenticate names Basic, so it is the client that is to authenticate
}

// readTokenAnswer reads what x/oauth2 has of an error answer. A code in a JSON
// object counts whatever the Content-Type.
func readTokenAnswer(answer *oauth2.RetrieveError) tokenAnswer {
	a := tokenAnswer{code: answer.ErrorCode}
	if answer.Response != nil {
		a.status = answer.Response.StatusCode
		for _, challenge := range answer.Response.Header.Values("WWW-Authenticate") {
			scheme, _, _ := strings.Cut(strings.TrimSpace(challenge), " ")
			a.challenged = a.challenged || strings.EqualFold(scheme, "Basic")
		}
	}
	var body struct {
		Error string          `json:"error"`
		Entra json.RawMessage `json:"error_codes"`
	}
	if json.Unmarshal(answer.Body, &body) != nil {
		return a
	}
	if a.code == "" {
		a.code = body.Error
	}
	var numbers []int
	_ = json.Unmarshal(body.Entra, &numbers) // others than Entra ID may have anything there
	for _, number := range numbers {
		if _, known := entraCodes[number]; known {
			a.entra = number
			break
		}
	}
	return a
}

func (a tokenAnswer) meaning() meaning {
	if m, known := entraCodes[a.entra]; known {
		return m
	}
	if m, known := codes[a.code]; known {
		return m
	}
	if strings.HasPrefix(a.code, "client_") || strings.HasSuffix(a.code, "_client") {
		return meaning{party: ours, advice: checkClient}
	}
	return meaning{}
}

// Error names the status and the code, if it is one of ours, and nothing else of
// the answer.
func (a tokenAnswer) Error() string {
	text := fmt.Sprintf("the token endpoint answered %d", a.status)
	switch _, known := codes[a.code]; {
	case known:
		text += " " + a.code
	case a.code != "":
		text += " other"
	}
	if a.entra != 0 {
		text += fmt.Sprintf(" AADSTS%d", a.entra)
	}
	if advice := a.meaning().advice; advice != "" {
		text += " (" + advice + ")"
	}
	return text
}

// refuses reports whether the answer refuses the person or the grant. Anything
// else says that the provider cannot tell now:
//
//	status                     code                        refuses
//	408, 429, 5xx, 3xx         any                         no
//	200, other 4xx             of the person               yes
//	400, 401, 403              of our client, upstream     no
//	400                        of our request              a refresh grant (Dex: invalid_request)
//	401, 403                   of our request              no
//	401 with Basic challenge   any other                   no: the client is to authenticate
//	401                        any other                   yes (UAA: unauthorized)
//	400, 403                   any other                   yes, but for the status's own words,
//	                                                       which a gateway or a framework writes
//	any                        none                        no
func (a tokenAnswer) refuses(grant string) bool {
	switch a.status {
	case http.StatusRequestTimeout, http.StatusTooManyRequests:
		return false
	}
	if a.status != http.StatusOK && (a.status < 400 || a.status >= 500) {
		return false
	}
	switch a.meaning().party {
	case person:
		return true
	case request:
		return grant == grantRefresh && a.status == http.StatusBadRequest
	case ours, upstream:
		return false
	}
	switch a.status {
	case http.StatusUnauthorized:
		return a.code != "" && !a.challenged
	case http.StatusBadRequest, http.StatusForbidden:
		return a.code != "" && a.code != http.StatusText(a.status)
	}
	return false
}

// unread reports whether the code says that the provider did not look at the secret:
// it names our client, or the scopes. An invalid_request may come after that: Dex
// answers so for every bind that its own directory refused with another code than 49 or 19.
func (a tokenAnswer) unread() bool {
	m, known := codes[a.code]
	return known && (m.party == ours || m.party == request && a.code != "invalid_request")
}

// tokenError returns the error for a failed request to the token endpoint: a
// refusal with its reason, or why nothing can be told. A secret that the
// provider did not look at, since it was not sent or by its code, is marked with
// [providers.NotSent].
func tokenError(grant string, err error, p *progress) error {
	failed, ok := errors.AsType[*oauth2.RetrieveError](err)
	if !ok {
		err = p.fault(err)
		if !p.connected.Load() {
			err = providers.NotSent(err)
		}
		return err
	}
	answer := readTokenAnswer(failed)
	means := answer.meaning()
	switch {
	case !answer.refuses(grant) && answer.unread():
		return providers.NotSent(answer)
	case !answer.refuses(grant):
		return answer
	case grant == grantPassword && means.reason != "":
		return providers.Reject(means.reason, answer)
	case grant == grantPassword:
		return providers.Reject(providers.WrongPassword, answer)
	}
	return fmt.Errorf("%w: %w", providers.ErrRejected, answer)
}
